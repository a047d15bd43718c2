"""What goes quietly wrong elsewhere, tried on every library that is installed, this one included.

    python bench/defects.py --json > bench/defects.json && python bench/table.py

Each line is one trap: a small case whose answer is known, the same for everyone. A library passes, fails (with what was
seen), or has no such attack. Networks are tiny and seeded: a minute in all.
"""

import argparse
import copy
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import unfool
from unfool.vision import torchvision

Net = nn.Module
Run = Callable[..., Tensor]


class Seen(NamedTuple):
    """Whether a library passed, and what was seen."""

    passed: bool
    text: str


def ours(attack: Any, **how: Any) -> Run:
    def run(net: Net, x: Tensor, y: Tensor, eps: Any = None) -> Tensor:
        within = how.get("norm", unfool.Linf)(eps) if eps is not None else None
        return attack(unfool.Model(net), x, y, within=within).x

    return run


def foolbox(name: str, **options: Any) -> Run:
    library = import_module("foolbox")

    def run(net: Net, x: Tensor, y: Tensor, eps: Any = None) -> Tensor:
        model = library.PyTorchModel(net, bounds=(0, 1), device="cpu")
        return getattr(library.attacks, name)(**options)(model, x, y, epsilons=eps)[1]

    return run


def torchattacks(name: str, **options: Any) -> Run:
    library = import_module("torchattacks")

    def run(net: Net, x: Tensor, y: Tensor, eps: Any = None) -> Tensor:
        radius = {} if eps is None else {"eps": eps}
        return getattr(library, name)(net, **radius, **options)(x, y)

    return run


def advlib(name: str, **options: Any) -> Run:
    torchvision()  # which it imports
    attack = getattr(import_module("adv_lib.attacks"), name)
    greek = "eps" if name == "apgd" else "ε"

    def run(net: Net, x: Tensor, y: Tensor, eps: Any = None) -> Tensor:
        return attack(net, x, y, **({} if eps is None else {greek: eps}), **options)

    return run


def art(name: str, **options: Any) -> Run:
    attacks, wrap = import_module("art.attacks.evasion"), import_module("art.estimators.classification")

    def run(net: Net, x: Tensor, y: Tensor, eps: Any = None) -> Tensor:
        with torch.no_grad():
            classes = int(copy.deepcopy(net).eval()(x).shape[1])
        wrapped = wrap.PyTorchClassifier(
            net, nn.CrossEntropyLoss(), tuple(x.shape[1:]), classes, clip_values=(0, 1), device_type="cpu"
        )
        radius = {} if eps is None else {"eps": eps}
        attack = getattr(attacks, name)(wrapped, **radius, **options)
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return run


def cleverhans(**options: Any) -> Run:
    path = "cleverhans.torch.attacks.projected_gradient_descent"
    attack: Any = import_module(path).projected_gradient_descent

    def run(net: Net, x: Tensor, y: Tensor, eps: Any = None) -> Tensor:
        return attack(net, x, eps, eps / 4, 10, float("inf"), y=y, clip_min=0.0, clip_max=1.0, **options)

    return run


def autoattack(net: Net, x: Tensor, y: Tensor, eps: Any = None) -> Tensor:
    attack: Any = import_module("pyautoattack").AutoAttack(
        net, norm="Linf", eps=eps, version="standard", seed=0
    )
    return attack.run_standard_evaluation(x, y, batch_size=len(x))[0]


# What each library has: made when asked for, so that one that is not installed is left out.
LIBRARIES: dict[str, dict[str, Callable[[], Run]]] = {
    "unfool": {
        "pgd": lambda: ours(unfool.PGD()),
        "cw": lambda: ours(unfool.CarliniWagner()),
        "standard": lambda: ours(unfool.Standard()),
        "square": lambda: ours(unfool.Square(queries=60)),
    },
    "foolbox": {
        "pgd": lambda: foolbox("LinfPGD", steps=10),
        "cw": lambda: foolbox("L2CarliniWagnerAttack", binary_search_steps=5, steps=100),
    },
    "torchattacks": {
        "pgd": lambda: torchattacks("PGD", alpha=0.01, steps=10),
        "cw": lambda: torchattacks("CW", c=10, steps=200),
        "standard": lambda: torchattacks("AutoAttack", n_classes=2),
        "square": lambda: torchattacks("Square", n_queries=60),
    },
    "adv-lib": {
        "pgd": lambda: advlib("pgd_linf", steps=10),
        "cw": lambda: advlib(
            "carlini_wagner_l2", initial_const=1.0, binary_search_steps=5, max_iterations=100
        ),
    },
    "ART": {
        "pgd": lambda: art("ProjectedGradientDescent", max_iter=10, eps_step=0.01, verbose=False),
        "cw": lambda: art(
            "CarliniL2Method",
            max_iter=50,
            binary_search_steps=5,
            initial_const=1.0,
            batch_size=64,
            verbose=False,
        ),
        "standard": lambda: art("AutoAttack"),
        "square": lambda: art("SquareAttack", max_iter=60, verbose=False),
    },
    "cleverhans": {"pgd": lambda: cleverhans(sanity_checks=False)},
    "AutoAttack": {"standard": lambda: autoattack},
}


def linear(classes: int = 10, scale: float = 1.0, shift: float = 0.0) -> Net:
    """A linear classifier whose logits are multiplied and moved: its labels stay."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            stream = torch.Generator().manual_seed(0)
            self.head = nn.Linear(64, classes)
            self.head.weight.data = torch.randn(classes, 64, generator=stream)
            self.head.bias.data = -self.head.weight.data.sum(1) / 2

        def forward(self, x: Tensor) -> Tensor:
            return scale * self.head(x.flatten(1)) + shift

    return Linear().eval()


def conv(dims: int = 2, classes: int = 5) -> Net:
    """A small network with batch norm, in two or three dimensions."""
    kinds = {
        2: (nn.Conv2d, nn.BatchNorm2d, nn.AdaptiveAvgPool2d),
        3: (nn.Conv3d, nn.BatchNorm3d, nn.AdaptiveAvgPool3d),
    }
    convolution, norm, pool = kinds[dims]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [convolution(1, 8, 3, padding=1), norm(8), nn.ReLU(), pool(2), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(8 * 2**dims, classes)).eval()


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def labelled(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x).argmax(1)


def fooled(net: Net, found: Tensor, y: Tensor) -> float:
    return float((labelled(net, found.float()) != y).float().mean())


def saturated(run: Run) -> Seen:
    x, plain, large = images(100, 1, 8, 8), linear(), linear(scale=1e4)
    y = labelled(plain, x)
    small, big = (fooled(net, run(net, x, y, 0.1), y) for net in (plain, large))
    return Seen(big >= small - 0.02, f"fooled {100 * small:.0f} %, with logits × 10,000 {100 * big:.0f} %")


def binary(run: Run) -> Seen:
    net, x = linear(), images(40, 1, 8, 8).round()
    grey, sharp = (fooled(net, run(net, z, labelled(net, z)), labelled(net, z)) for z in (0.1 + 0.8 * x, x))
    return Seen(
        sharp >= grey - 0.1,
        f"fooled {100 * grey:.0f} % of images of .1 and .9, {100 * sharp:.0f} % of 0 and 1",
    )


def shifted(run: Run) -> Seen:
    x = images(40, 1, 8, 8)
    y = labelled(linear(), x)
    plain, moved = (fooled(net, run(net, x, y), y) for net in (linear(), linear(shift=-50.0)))
    return Seen(
        abs(plain - moved) <= 0.05,
        f"fooled {100 * plain:.0f} %, with 50 less on every logit {100 * moved:.0f} %",
    )


def frozen_norms(run: Run) -> Seen:
    net, x = conv().train(), images(4, 1, 8, 8)
    net[1].eval()  # pyright: ignore[reportIndexIssue]
    before = [module.training for module in net.modules()]
    run(net, x, labelled(copy.deepcopy(net).eval(), x), 0.05)
    same = before == [module.training for module in net.modules()]
    return Seen(same, "every part's mode is as it was" if same else "modes are changed")


def own_gradients(run: Run) -> Seen:
    net, x = conv(), images(4, 1, 8, 8)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    run(net, x, labelled(net, x), 0.05)
    kept = sum(p.grad is not None and bool((p.grad == 1).all()) for p in net.parameters())
    n = len(list(net.parameters()))
    return Seen(kept == n, f"{kept} of {n} weights keep the user's gradient")


def random_numbers(run: Run) -> Seen:
    net, x = conv(), images(4, 1, 8, 8)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    run(net, x, labelled(net, x), 0.05)
    same = torch.equal(before, torch.random.get_rng_state())
    return Seen(
        same, "the user's random stream is where it was" if same else "the user's random stream has moved"
    )


def two_classes(run: Run) -> Seen:
    net, x = linear(classes=2), images(10, 1, 8, 8)
    y = labelled(net, x)
    rate = fooled(net, run(net, x, y, 0.1), y)
    return Seen(rate > 0, f"fooled {100 * rate:.0f} %")


def volumes(run: Run) -> Seen:
    net, x = conv(dims=3), images(4, 1, 6, 8, 8)
    found = run(net, x, labelled(net, x), 0.1)
    return Seen(found.shape == x.shape, "volumes work")


def sizes_by_row(run: Run) -> Seen:
    net, x = linear(), images(3, 1, 8, 8)
    eps = torch.tensor([0.01, 0.05, 0.2])
    moved = (run(net, x, labelled(net, x), eps) - x).abs().flatten(1).amax(1)
    return Seen(bool((moved <= eps + 1e-6).all() and moved[2] > eps[0]), "each image has its own eps")


def neighbours(run: Run) -> Seen:
    net, x = linear(), images(8, 1, 8, 8)
    y = labelled(net, x)

    def first(n: int) -> Tensor:
        torch.manual_seed(0)
        return run(net, x[:n], y[:n], 0.02)[0]

    with torch.random.fork_rng(devices=[]):
        same = torch.allclose(first(8), first(1), atol=1e-5)
    return Seen(
        same,
        "an image's result does not depend on its batch" if same else "it depends on the rest of the batch",
    )


TRAPS: dict[str, tuple[str, Callable[[Run], Seen]]] = {
    "PGD where logits are large": ("pgd", saturated),
    "C&W on images of 0 and 1": ("cw", binary),
    "C&W where logits are shifted": ("cw", shifted),
    "batch norms frozen by the user": ("pgd", frozen_norms),
    "gradients of the user's own": ("pgd", own_gradients),
    "the user's random numbers": ("pgd", random_numbers),
    "an eps for each image": ("pgd", sizes_by_row),
    "PGD on volumes": ("pgd", volumes),
    "Square on volumes": ("square", volumes),
    "Square, alone or in a batch": ("square", neighbours),
    "full evaluation of two classes": ("standard", two_classes),
}


def tried() -> Iterator[dict[str, Any]]:
    for library, attacks in LIBRARIES.items():
        for trap, (kind, trial) in TRAPS.items():
            if kind not in attacks:
                continue
            try:
                run = attacks[kind]()
            except ImportError:
                break
            try:
                seen = trial(run)
            except ImportError:  # it lacks something of its own
                continue
            except Exception as error:  # whatever the other library raises is its answer
                seen = Seen(False, f"{type(error).__name__}: {' '.join(str(error).split())[:80]}")
            yield {"trap": trap, "who": library, **seen._asdict()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    rows: list[dict[str, Any]] = []
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # the other libraries' own
    for row in tried():
        rows.append(row)
        print(
            f"{'✓' if row['passed'] else '✗'} {row['who']:<13} {row['trap']:<32} {row['text']}",
            file=sys.stderr,
        )
    if asked.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
