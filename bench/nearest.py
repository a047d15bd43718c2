"""Who finds the smallest changes: median sizes at the same number of passes through a network, forward and backward.

Every result is judged by the same code, in float32 on the network itself; an image that was not flipped counts as
infinitely far. Rivals that are not installed are left out. Results are merged into nearest.json,
the table into README.md.

    python bench/nearest.py unfool:digits=unfool:digits --images 50 --budget 200
    python bench/nearest.py FOLDER/networks.py:mnist_plain=FOLDER/mnist/test.npz --norms L2 L1
"""

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import unfool
from unfool.vision import torchvision

HERE = Path(__file__).parent
MARKS = "<!-- Written by bench/nearest.py from nearest.json. -->\n", "<!-- End of bench/nearest.py. -->\n"
NORMS = {"L0": 0, "L1": 1, "L2": 2, "Linf": math.inf}
Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Counting(nn.Module):
    """Counts the images that go through a network forward and backward."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.passes = net, 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        out = self.net(x)
        if out.requires_grad:
            out.register_hook(lambda grad: setattr(self, "passes", self.passes + len(grad)))
        return out


class Contender(NamedTuple):
    """An attack whose cost grows with one whole number."""

    who: str
    make: Callable[[int], Attack]
    ours: bool = False


def ours(kind: str, norm: str, **how: Any) -> Contender:
    def make(n: int) -> Attack:
        def attack(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            assert isinstance(net, Counting)
            region = getattr(unfool, norm).whole(x)
            found = getattr(unfool, kind)(steps=n, **how)(unfool.Model(net.net), x, y, within=region)
            net.passes += found.cost["forward"] + found.cost.get("backward", 0) - len(x)  # the verdict's
            return found.x

        return attack

    options = ", ".join(f"{k}={v}" for k, v in how.items())
    return Contender(f"unfool {kind}" + (f"({options})" if how else ""), make, True)


def contenders(norm: str) -> Iterator[Contender]:
    """Everybody who works in a norm."""
    for kind in OURS[norm]:
        yield ours(kind, norm)
    for package, make in ("adv_lib", adv_lib), ("foolbox", foolbox), ("torchattacks", torchattacks):
        try:
            torchvision()
            yield from make(norm)
        except ImportError as error:
            print(f"{package} is left out: {error}", file=sys.stderr)


OURS = {
    "L0": ("SigmaZero", "FMN"),
    "L1": ("FAB", "FMN"),
    "L2": ("DDN", "FAB", "FMN", "DeepFool"),
    "Linf": ("FAB", "FMN", "DeepFool"),
}


def adv_lib(norm: str) -> Iterator[Contender]:
    a: Any = import_module("adv_lib.attacks")
    apgd: Any = import_module("adv_lib.attacks.auto_pgd").minimal_apgd
    p = NORMS[norm]

    def named(name: str, make: Callable[[int], Attack]) -> Contender:
        return Contender(f"adv-lib {name}", make)

    yield named("fmn", lambda n: lambda net, x, y: a.fmn(net, x, y, norm=p, steps=n))
    yield named("pdpgd", lambda n: lambda net, x, y: a.pdpgd(net, x, y, norm=p, num_steps=n))
    if norm == "L0":
        yield named("sigma_zero", lambda n: lambda net, x, y: a.sigma_zero(net, x, y, num_steps=n))
        return
    yield named("fab", lambda n: lambda net, x, y: a.fab(net, x, y, norm=p, n_iter=n))

    def minimal(targeted: bool) -> Callable[[int], Attack]:
        return lambda n: (
            lambda net, x, y: apgd(
                net,
                x,
                y,
                norm=p,
                max_eps={"L1": 40.0, "L2": 5.0, "Linf": 0.5}[norm],
                binary_search_steps=8,
                targeted_version=targeted,
                n_iter=n,
            )
        )

    yield named("minimal_apgd", minimal(False))
    if norm == "L2":
        yield named("ddn", lambda n: lambda net, x, y: a.ddn(net, x, y, steps=n, levels=None))
        yield named("pdgd", lambda n: lambda net, x, y: a.pdgd(net, x, y, num_steps=n))
        yield named("sdf", lambda n: lambda net, x, y: a.sdf(net, x, y, steps=n))
    if norm != "L1":
        yield named("tr", lambda n: lambda net, x, y: a.tr(net, x, y, iter=n, p=p))


def foolbox(norm: str) -> Iterator[Contender]:
    fb: Any = import_module("foolbox")

    def named(name: str, **how: Any) -> Contender:
        def make(n: int) -> Attack:
            def attack(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
                model = fb.PyTorchModel(net, bounds=(0, 1))
                return getattr(fb.attacks, name)(steps=n, **how)(model, x, y, epsilons=None)[1]

            return attack

        return Contender(f"foolbox {name}", make)

    if norm == "L1":
        yield named("EADAttack", binary_search_steps=3, decision_rule="L1")
    if norm == "L2":
        yield named("DDNAttack")
    if norm in ("L2", "Linf"):
        yield named(f"{norm}DeepFoolAttack")


def torchattacks(norm: str) -> Iterator[Contender]:
    ta: Any = import_module("torchattacks")
    if norm == "L0":
        return

    def make(n: int) -> Attack:
        far = {"L1": 40.0, "L2": 5.0, "Linf": 0.5}[norm]
        return lambda net, x, y: ta.FAB(net, norm=norm, eps=far, steps=n)(x, y)

    yield Contender("torchattacks FAB", make)


def within_budget(contender: Contender, net: nn.Module, x: Tensor, y: Tensor, budget: int) -> Attack:
    """The attack with the largest number of steps that costs no more passes per image, from two small trials."""
    costs = [spent(contender.make(n), net, x[:4], y[:4])[1] for n in (4, 8)]
    each = (costs[1] - costs[0]) / 4
    steps = int((budget - costs[0]) / each) + 4 if each > 0 else 50
    return contender.make(max(steps, 1))


def spent(attack: Attack, net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    counting = Counting(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attack(counting, x.clone(), y.clone()).detach()
    return found, counting.passes / len(x)


@torch.no_grad()
def sizes(net: nn.Module, x: Tensor, y: Tensor, found: Tensor, norm: str) -> Tensor:
    """How far each flipped image is, infinity for the others; positions are counted once for all channels."""
    fooled = (net(found).argmax(1) != y) & (found.flatten(1).amin(1) >= 0) & (found.flatten(1).amax(1) <= 1)
    size = getattr(unfool, norm)(1.0).size(found - x)
    return torch.where(fooled, size, torch.inf)


def setting(address: str, images: int) -> tuple[str, nn.Module, Tensor, Tensor]:
    """The network and the first images of the data that it gets right."""
    place, _, data = address.partition("=")
    model, source = unfool.load(place), unfool.open_data(data)
    batch = source.batch(source.ids()[: 2 * images], None, model.classes)
    net = model.net
    with torch.no_grad():
        right = (net(batch.x).argmax(1) == batch.y).nonzero()[:images, 0]
    return place.rpartition(":")[2], net, batch.x[right], batch.y[right]


def compare(address: str, norm: str, budget: int, images: int, only: str = "") -> Iterator[dict[str, Any]]:
    name, net, x, y = setting(address, images)
    for contender in contenders(norm):
        if only not in contender.who:
            continue
        torch.manual_seed(0)
        try:
            attack = within_budget(contender, net, x, y, budget)
            found, passes = spent(attack, net, x, y)
        except Exception as error:  # whatever a rival breaks on
            if contender.ours:
                raise
            print(f"{contender.who} in {norm} is left out: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        size = sizes(net, x, y, found, norm)
        yield {
            "net": name,
            "norm": norm,
            "budget": budget,
            "who": contender.who,
            "median": round(float(size.median()), 5),
            "mean": round(float(size[size.isfinite()].mean()), 5),
            "found": int(size.isfinite().sum()),
            "n": len(x),
            "passes": round(passes, 1),
        }


def merged(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["net"], row["norm"], row["budget"], row["who"]

    old = json.loads(path.read_text()) if path.exists() else []
    return sorted(
        {key(row): row for row in (*old, *rows)}.values(), key=lambda row: (*key(row)[:3], row["median"])
    )


def table(rows: list[dict[str, Any]]) -> str:
    """One column for each network and norm; the smallest of each in bold."""
    return "\n".join(block(rows, budget) for budget in sorted({row["budget"] for row in rows}))


def block(rows: list[dict[str, Any]], budget: int) -> str:
    rows = [row for row in rows if row["budget"] == budget]
    nets = list(dict.fromkeys(row["net"] for row in rows))
    lines = [
        f"\nAt most {budget} passes per image:\n",
        f"| norm | attack | {' | '.join(nets)} |",
        f"|---|---|{'---|' * len(nets)}",
    ]
    for norm in NORMS:
        here = {(row["who"], row["net"]): row for row in rows if row["norm"] == norm}
        least = {net: min((r["median"] for (_, n), r in here.items() if n == net), default=0) for net in nets}
        for who in sorted({w for w, _ in here}, key=lambda w: (not w.startswith("unfool"), w)):
            cells = [cell(here.get((who, net)), least[net]) for net in nets]
            lines.append(f"| {norm} | {who} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(row: dict[str, Any] | None, least: float) -> str:
    if row is None:
        return "–"
    text = f"{row['median']:.4g}" if math.isfinite(row["median"]) else "∞"
    missed = row["n"] - row["found"]
    return (f"**{text}**" if row["median"] <= least else text) + (f" ({missed} missed)" if missed else "")


def write(rows: list[dict[str, Any]]) -> None:
    path, page = HERE / "nearest.json", HERE / "README.md"
    rows = merged(rows, path)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    text = page.read_text()
    if MARKS[0] in text:
        head, _, rest = text.partition(MARKS[0])
        page.write_text(head + MARKS[0] + table(rows) + MARKS[1] + rest.partition(MARKS[1])[2])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="NETWORK=DATA, by their addresses")
    parser.add_argument("--norms", nargs="+", default=list(NORMS), choices=list(NORMS))
    parser.add_argument("--budget", type=int, default=200, help="passes per image, forward and backward")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--only", default="", help="those whose name contains this")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for address in args.settings:
        for norm in args.norms:
            for row in compare(address, norm, args.budget, args.images, args.only):
                print(*row.values(), sep="  ", flush=True)
                rows.append(row)
    if not args.dry:
        write(rows)


if __name__ == "__main__":
    main()
