"""What training gives and takes: every method on digits of 8 x 8, MNIST at 0.3 against a whole evaluation, passes.

    python bench/train.py digits --seeds 3
    python bench/train.py cost
    python bench/train.py mnist DATA
    python bench/train.py mnist DATA --device cuda --net deep --method "Trades(PGD(steps=20), beta=1.0)" --epochs 40

``DATA`` holds train.npz and test.npz with x and y. Each training is a folder in runs/bench-train: stopped at any
moment, the same command goes on. Rows go into train.json, which ``python bench/table.py`` writes into README.md. This
file is an address as well: ``bench/train.py:small``.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unfool
from unfool.analysis.rates import rate
from unfool.attacks.base import Attack
from unfool.borrow import copied
from unfool.method import Question
from unfool.rows import Batch
from unfool.runs.course import Course
from unfool.runs.train import run_train
from unfool.training.base import Training

HERE = Path(__file__).parent
RUNS = Path("runs/bench-train")
STRONG = unfool.Repeated(unfool.PGD(steps=40, loss=unfool.Margin()), 3)


def small() -> nn.Module:
    """The network of Wong et al.'s MNIST: two convolutions of stride two, 166 thousand weights."""
    return _stridden(16, 32, 100)


def wide() -> nn.Module:
    """The same with about twice as many channels."""
    return _stridden(32, 64, 256)


def _stridden(first: int, second: int, dense: int) -> nn.Module:
    layers = [nn.Conv2d(1, first, 4, 2, 1), nn.ReLU(), nn.Conv2d(first, second, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(49 * second, dense), nn.ReLU(), nn.Linear(dense, 10)
    )


def deep() -> nn.Module:
    """Four convolutions and two dense layers, as Carlini and Wagner's and Trades' MNIST."""
    layers: list[nn.Module] = []
    for wide_, out, pool in ((1, 32, False), (32, 32, True), (32, 64, False), (64, 64, True)):
        layers += [nn.Conv2d(wide_, out, 3), nn.ReLU(), *[nn.MaxPool2d(2)] * pool]
    dense = [nn.Linear(1024, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)]
    return nn.Sequential(*layers, nn.Flatten(), *dense)


METHODS: tuple[Training, ...] = (
    unfool.Natural(),
    unfool.Both(unfool.FGSM()),
    unfool.Both(unfool.PGD(steps=7)),
    unfool.Fast(),
    unfool.Madry(unfool.PGD(steps=7)),
    unfool.Free(replays=4),
    unfool.Trades(unfool.PGD(steps=7)),
    unfool.Mart(unfool.PGD(steps=7)),
    unfool.AWP(unfool.Madry(unfool.PGD(steps=7)), gamma=0.005),
    unfool.NFGSM(),
)


def right(
    model: unfool.Model, attack: Attack | None, data: str, within: unfool.Region, n: int, together: int = 250
) -> Tensor:
    """Which of the first images of a data set stay right."""
    source = unfool.open_data(data)
    ids, told = source.ids()[:n], list[Tensor]()
    for k in range(0, len(ids), together):
        batch = source.batch(ids[k : k + together], model.view, model.classes)
        x, y = batch.x.to(model.device), batch.y.to(model.device)
        x = x if attack is None else attack(model, x, y, within=within, ids=batch.ids).x
        told.append((model(x).argmax(1) == y).cpu())
    return torch.cat(told)


def trained(course: Course, folder: Path, device: str | None) -> dict[str, Any]:
    """The training itself, and what it took."""
    begun = time.perf_counter()
    model = unfool.load(course.model, device=device, seed=course.seed)
    log = run_train(course, model, unfool.open_data(course.data), None, folder, tell=print)
    taught = sum(e.seconds for e in log.epochs)
    last, images = log.epochs[-1], log.images
    passes = sum(last.passes) / (2 * images * max(1, last.number))
    natural = (log.natural or 0.0) * images
    print(f"{time.perf_counter() - begun:.0f} s with judging", flush=True)
    told = {"epochs": last.number, "kept": log.best(course.train.method.adversarial).number}
    return {**told, "seconds": taught, "natural_seconds": natural, "passes": passes}


def where(model: unfool.Model) -> str:
    """What a network runs on."""
    on_gpu = model.device.type == "cuda"
    return torch.cuda.get_device_name(model.device) if on_gpu else f"{torch.get_num_threads()} threads"


def digits(seeds: int, only: str) -> list[dict[str, Any]]:
    """The lecture's table: each method from scratch at 0.2, judged on 500 digits; by seed."""
    rows: list[dict[str, Any]] = []
    within = unfool.Linf(0.2)
    attacks: dict[str, Attack | None] = {
        "clean": None,
        "fgsm": unfool.FGSM(),
        "pgd": unfool.PGD(steps=40, loss=unfool.CrossEntropy()),
        "robust": STRONG,
    }
    for method in (m for m in METHODS if only in repr(m)):
        epochs = 10 if isinstance(method, unfool.Free) else 40
        fit = unfool.Train(method, unfool.Adam(3e-3), epochs=epochs, rows=64, ramp=0.3)
        found: dict[str, list[Tensor]] = {name: [] for name in attacks}
        spent: dict[str, Any] = {}
        for seed in range(seeds):
            course = Course(
                fit,
                "unfool:digits8?weights=none",
                "unfool:digits8?split=train",
                within,
                alarm="tell",
                seed=seed,
            )
            folder = RUNS / f"digits8-{METHODS.index(method)}-{seed}"
            spent = trained(course, folder, None)
            taught = unfool.load(str(folder))
            for name, attack in attacks.items():
                found[name].append(right(taught, attack, "unfool:digits8", within, 500))
        told = {name: [float(one.double().mean()) for one in each] for name, each in found.items()}
        rows.append({"task": "digits8", "method": repr(method), "eps": 0.2, "n": 500, **told, **spent})
        kept(rows[-1:])
        print(rows[-1], flush=True)
    return rows


def mnist(given: argparse.Namespace) -> list[dict[str, Any]]:
    """One training at 0.3, judged by Standard, clean on all test images."""
    method, within = unfool.parse(given.method, Training), unfool.Linf(0.3)
    how = {"epochs": given.epochs, "rows": given.rows, "ramp": 0.3, "average": given.average}
    precision = "bfloat16" if given.half else "float32"
    fit = unfool.Train(method, unfool.Adam(given.rate), precision=precision, **how)
    address, train = f"{Path(__file__)}:{given.net}", str(given.data / "train.npz")
    judge = unfool.PGD(steps=20, loss=unfool.Margin())
    course = Course(fit, address, train, within, judge=judge, sample=1000, limit=given.limit, seed=given.seed)
    spent = trained(course, given.out or RUNS / f"mnist-{given.net}", given.device)
    model = unfool.load(str(given.out or RUNS / f"mnist-{given.net}"), device=given.device)
    begun, test = time.perf_counter(), str(given.data / "test.npz")
    told: dict[str, Any] = {"clean": rate(right(model, None, test, within, 10_000)).as_dict()}
    for name, attack in (("pgd", STRONG), ("standard", unfool.Standard())):
        told[name] = rate(right(model, attack, test, within, given.judged)).as_dict()
        print(name, told[name], f"{time.perf_counter() - begun:.0f} s", flush=True)
    row = {
        "task": "mnist",
        "method": repr(method),
        "net": given.net,
        "eps": 0.3,
        "where": where(model),
        **told,
        **spent,
    }
    print(row, flush=True)
    return [row]


def cost(rounds: int) -> list[dict[str, Any]]:
    """What an update takes beside as many plain passes, forward and back to the weights, as it makes: in turn."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    nets: list[tuple[str, unfool.Model, Tensor, tuple[Training, ...]]] = [
        ("wide", unfool.Model(wide()), torch.rand(128, 1, 28, 28), METHODS),
        ("digits8", unfool.load("unfool:digits8?weights=none"), torch.rand(64, 1, 8, 8), METHODS[4:5]),
    ]
    with suppress(unfool.UnfoolError):  # where torchvision is not there
        net = unfool.load("torchvision:resnet18?weights=none&classes=10")
        nets.append(("resnet18", net, torch.rand(16, 3, 64, 64), METHODS[4:5]))
    rows: list[dict[str, Any]] = []
    for name, model, x, methods in nets:
        rows += costs(name, model, x, methods, rounds)
        kept(rows)
    return rows


def costs(
    name: str, model: unfool.Model, x: Tensor, methods: Sequence[Training], rounds: int
) -> list[dict[str, Any]]:
    """Seconds of the processor, which others at work do not change; the median of ratios taken in pairs."""
    batch = Batch(tuple(map(str, range(len(x)))), x, torch.arange(len(x)) % 10)
    question = Question(model, unfool.Linf(0.3))
    one = passing(model, batch)
    updates = {repr(method): updating(method, question, batch) for method in methods}
    passes = {text: update() for text, update in updates.items()}
    found: dict[str, list[float]] = {text: [] for text in updates}
    for _ in range(rounds):
        for text, update in updates.items():
            n = round(passes[text])
            own, plain = processor(update, 1), processor(one, n)
            found[text].append(own / plain * n / passes[text])
    rows: list[dict[str, Any]] = []
    for text, ratios in found.items():
        low, high = sorted(ratios)[rounds // 4], sorted(ratios)[-1 - rounds // 4]
        shape, times = list(x.shape), {"times": median(ratios), "low": low, "high": high}
        rows.append({"task": "cost", "method": text, "net": name, "shape": shape, "passes": passes[text]})
        rows[-1] |= {**times, "rounds": rounds}
        print(rows[-1], flush=True)
    return rows


def updating(method: Training, question: Question, batch: Batch) -> Callable[[], float]:
    """One update of a method, which tells the mean of its forward and backward passes of each image."""
    fit = unfool.Train(method, unfool.Adam(1e-3), rows=len(batch))
    pupil = fit.start(question, batch)

    def update() -> float:
        before = sum(pupil.spent.values())
        fit.update(question, pupil, batch)
        return (sum(pupil.spent.values()) - before) / len(batch) / 2

    return update


def passing(model: unfool.Model, batch: Batch) -> Callable[[], None]:
    """One forward and one backward pass to the weights, by torch alone."""
    net = copied(model.net).train()

    def one() -> None:
        net.zero_grad()
        F.cross_entropy(net(batch.x), batch.y).backward()

    return one


def processor(do: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        do()
    return time.process_time() - begun


def kept(rows: Sequence[dict[str, Any]]) -> None:
    """Put rows into train.json, in place of those of the same task, method, network, epochs and machine."""
    path, names = HERE / "train.json", ("task", "method", "net", "epochs", "where")
    held = json.loads(path.read_text()) if path.exists() else []
    new = {tuple(row.get(name) for name in names) for row in rows}
    held = [row for row in held if tuple(row.get(name) for name in names) not in new]
    path.write_text(json.dumps([*held, *rows], indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(dest="task", required=True)
    table = tasks.add_parser("digits")
    table.add_argument("--seeds", type=int, default=3)
    table.add_argument("--only", default="", help="methods whose text holds this")
    tasks.add_parser("cost").add_argument("--rounds", type=int, default=9)
    one = tasks.add_parser("mnist")
    one.add_argument("data", type=Path)
    one.add_argument("--net", choices=("small", "wide", "deep"), default="wide")
    one.add_argument("--method", default="Madry(PGD(steps=7))")
    one.add_argument("--epochs", type=int, default=20)
    one.add_argument("--rows", type=int, default=128)
    one.add_argument("--rate", type=float, default=3e-3)
    one.add_argument("--average", type=float, default=0.999, help="how much of the mean weights stays")
    one.add_argument("--half", action="store_true", help="products in bfloat16")
    one.add_argument("--limit", type=int, help="images learned from")
    one.add_argument("--judged", type=int, default=1000, help="test images under Standard")
    one.add_argument("--device")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.task == "digits":
        digits(given.seeds, given.only)
    elif given.task == "cost":
        cost(given.rounds)
    else:
        kept(mnist(given))


if __name__ == "__main__":
    main()
