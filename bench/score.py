"""Score-only attacks beside other libraries': success, queries and time on the same images and network.

    python bench/score.py DATA [--images 4] [--square-images 50] [--queries 1000] [--seeds 1]
                          [--device cpu]

DATA is a folder with ``networks.py`` (factories ``cifar10_resnet20`` and ``mnist_plain``), ``cifar10/test2000.npz`` and
``mnist/test.npz``. Prints a table, writes bench/score.json and its table in bench/README.md. Libraries that are not
installed are left out.
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import unfool
from unfool.analysis.rates import mean_share
from unfool.samples import digits8
from unfool.zoo.address import load

HERE = Path(__file__).parent
MARKS = "<!-- score: written by bench/score.py from score.json -->", "<!-- /score -->"
Images = tuple[nn.Module, Tensor, Tensor]


class Counted(nn.Module):
    """A network that counts the images it sees."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.seen = net, 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.net(x)


class PerImage(nn.Module):
    """A network that notes how often it was asked about each image, found by its nearest."""

    def __init__(self, net: nn.Module, x: Tensor):
        super().__init__()
        self.net, self.x, self.asked = net, x.flatten(1), torch.zeros(len(x))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        nearest = torch.cdist(x.flatten(1), self.x).argmin(1)
        self.asked.index_add_(0, nearest, torch.ones(len(x)))
        return self.net(x)


def images(data: Path, name: str, n: int) -> Images:
    """A network and images that it gets right."""
    if name == "digits8":
        net, held = load("unfool:digits8").net.requires_grad_(False), digits8("test")
        return only_right(net, held.x.float() / 255, held.y, n)
    factory, file = {
        "cifar10": ("cifar10_resnet20", "cifar10/test2000.npz"),
        "mnist": ("mnist_plain", "mnist/test.npz"),
    }[name]
    spec = importlib.util.spec_from_file_location("networks", data / "networks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = getattr(module, factory)().requires_grad_(False)
    arrays: Any = np.load(data / file)
    x, y = torch.from_numpy(arrays["x"][: 4 * n]), torch.from_numpy(arrays["y"][: 4 * n]).long()
    x = x[..., None] if x.ndim == 3 else x
    return only_right(net, (x.permute(0, 3, 1, 2) if x.shape[-1] in (1, 3) else x).float() / 255, y, n)


def only_right(net: nn.Module, x: Tensor, y: Tensor, n: int) -> Images:
    with torch.no_grad():
        right = net(x).argmax(1) == y
    return net, x[right][:n].contiguous(), y[right][:n]


def one_pixel(who: str, population: int, generations: int, batch: int) -> Callable[..., Tensor]:
    """One pixel by differential evolution, with the same population, number of generations and batch."""

    def ours(net: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        model = unfool.Model(net, capacity=batch)
        return unfool.OnePixel(population, generations)(model, x, y, within=unfool.L0(1), seed=seed).x

    def torchattacks_(net: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        import torchattacks

        return torchattacks.OnePixel(net, pixels=1, steps=generations, popsize=population, inf_batch=batch)(
            x, y
        )

    def art_(net: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        from art.attacks.evasion import PixelAttack

        # its population is popsize (x, y and a value per channel make five) times max_iter generations, as SciPy counts
        attack = PixelAttack(classifier(net, x), th=1, es=1, max_iter=generations, verbose=False)
        return torch.from_numpy(np.asarray(attack.generate(x.cpu().numpy(), y.cpu().numpy()))).float()

    return {"unfool": ours, "torchattacks": torchattacks_, "art": art_}[who]


def classifier(net: nn.Module, x: Tensor) -> Any:
    from art.estimators.classification import PyTorchClassifier

    where = "gpu" if x.is_cuda else "cpu"
    return PyTorchClassifier(
        net, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0, 1), device_type=where
    )


def square(who: str, eps: float, queries: int) -> Callable[..., Tensor]:
    """Square in Linf with the same budget and the same first share."""

    def ours(net: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        return unfool.Square(queries=queries)(unfool.Model(net), x, y, within=unfool.Linf(eps), seed=seed).x

    def torchattacks_(net: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        import torchattacks

        return torchattacks.Square(net, norm="Linf", eps=eps, n_queries=queries, p_init=0.8, seed=seed)(x, y)

    def art_(net: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        from art.attacks.evasion import SquareAttack

        attack = SquareAttack(
            classifier(net, x), eps=eps, max_iter=queries, p_init=0.8, batch_size=len(x), verbose=False
        )
        return torch.from_numpy(np.asarray(attack.generate(x.numpy(), y.numpy()))).float()

    return {"unfool": ours, "torchattacks": torchattacks_, "art": art_}[who]


def measured(
    task: str, who: str, run: Callable[..., Tensor], data: Images, seeds: int
) -> dict[str, Any] | None:
    """One row: success judged on the network itself, images asked about and seconds, each the mean over seeds."""
    net, x, y = data
    runs: list[dict[str, float]] = []
    fooled: list[Tensor] = []
    for seed in range(seeds):
        watch = PerImage(net, x) if task.startswith("Square") else Counted(net)
        torch.manual_seed(seed)
        np.random.seed(seed)
        start = time.perf_counter()
        try:
            found = run(watch, x, y, seed)
        except ImportError as error:
            print(f"{task}, {who}: not installed ({error})", file=sys.stderr)
            return None
        runs.append({"seconds": time.perf_counter() - start, **asked(watch, x)})
        with torch.no_grad():
            fooled.append((net(found.to(x.device)).argmax(1) != y).cpu())
        print(f"{task:<24} {who:<14} {runs[-1]}  {int(fooled[-1].sum())} of {len(x)}", flush=True)
    shares = torch.stack(fooled).double().mean(0)
    row: dict[str, Any] = {"task": task, "who": who, "fooled": mean_share(shares).as_dict(), "seeds": seeds}
    row |= {name: sum(one[name] for one in runs) / seeds for name in runs[0]}
    ends = {
        name: [f([one[name] for one in runs]) for f in (min, max)]
        for name in ("mean", "median")
        if name in row
    }
    return row | ({"ends": ends} if seeds > 1 else {})


def asked(watch: "PerImage | Counted", x: Tensor) -> dict[str, float]:
    if isinstance(watch, PerImage):
        return {"mean": float(watch.asked.mean()), "median": float(watch.asked.median())}
    return {"mean": watch.seen / len(x)}


def write_table(rows: list[dict[str, Any]]) -> None:
    """The rows between the marks of bench/README.md."""
    header = "| task | library | seconds | fooled | 95 % interval | n | seeds | queries, mean | median |"
    lines = [header, "|---" * 9 + "|"]
    for row in rows:
        fooled = row["fooled"]
        ends = f"{100 * fooled['low']:.1f} % to {100 * fooled['high']:.1f} %"
        told = [row["task"], row["who"], f"{row['seconds']:.1f}", f"{100 * fooled['rate']:.1f} %", ends]
        told += [str(fooled["n"]), str(row.get("seeds", 1)), counts(row, "mean"), counts(row, "median")]
        lines.append(f"| {' | '.join(told)} |")
    page = HERE / "README.md"
    head, rest = page.read_text().split(MARKS[0])
    table, tail = "\n".join(lines), rest.split(MARKS[1])[1]
    page.write_text(f"{head}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{tail}")


def counts(row: dict[str, Any], name: str) -> str:
    """A number of queries, with the least and the most of all seeds where there are several."""
    if name not in row:
        return "–"
    ends = row.get("ends", {}).get(name)
    return f"{row[name]:.0f}" + (f" ({ends[0]:.0f} to {ends[1]:.0f})" if ends else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--population", type=int, default=400)
    parser.add_argument("--generations", type=int, default=5)
    parser.add_argument("--square-images", type=int, default=50)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--device", default="cpu", help="where one pixel's networks run; Square's on the processor"
    )
    parser.add_argument("--who", nargs="*", default=["unfool", "torchattacks", "art"])
    parser.add_argument("--tasks", nargs="*", default=["pixel", "pixel-small", "cifar10", "mnist"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    told: list[dict[str, Any] | None] = []
    pixel = {"pixel": ["cifar10"], "pixel-small": ["digits8", "mnist"]}
    for name in [name for task, names in pixel.items() if task in given.tasks for name in names]:
        net, x, y = images(given.data, name, given.images)
        data = net.to(given.device), x.to(given.device), y.to(given.device)
        card = "" if given.device == "cpu" else f", {torch.cuda.get_device_name()}"
        for who in given.who:
            run = one_pixel(who, given.population, given.generations, 4096 if card else 256)
            if card and importlib.util.find_spec(who):
                run(net, data[1][:1], data[2][:1], 0)  # a card's first pass is slow
            told.append(measured(f"OnePixel, {name}{card}", who, run, data, given.seeds))
    for name, eps in (("cifar10", 2 / 255), ("mnist", 0.2)):
        if name in given.tasks:
            data = images(given.data, name, given.square_images)
            for who in given.who:
                told.append(
                    measured(f"Square, {name}", who, square(who, eps, given.queries), data, given.seeds)
                )
    path = HERE / "score.json"
    known = json.loads(path.read_text()) if path.exists() else []
    done = [row for row in told if row]
    new = {(row["task"], row["who"]) for row in done}
    rows = [r for r in known if (r["task"], r["who"]) not in new] + done
    path.write_text(json.dumps(rows, indent=1) + "\n")
    write_table(rows)


if __name__ == "__main__":
    main()
