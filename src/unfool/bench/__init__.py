"""How fast the methods are, as multiples of one forward pass, beside other libraries that are installed."""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from ..analysis.rates import Rate, rate
from ..errors import InputError
from ..model import Model
from .setting import Setting, digits_setting, setting
from .tasks import LONG, STEPS, STRONG, TASKS, Contender
from .timing import Action, in_passes


class Row(NamedTuple):
    """How many forward passes one library needs for one task."""

    net: str
    task: str
    who: str
    passes: float
    """The median of all rounds."""
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.net:<10} {self.task:<15} {self.who:<31} {self.passes:6.2f}  ({self.low:.2f} to {self.high:.2f})"


class Found(NamedTuple):
    """On how many images an attack succeeds, judged in float32 on the network itself."""

    net: str
    task: str
    who: str
    fooled: Rate

    def __str__(self) -> str:
        return f"{self.net:<10} {self.task:<15} {self.who:<31} fools {self.fooled}"


def run_bench(
    nets: Sequence[str] = ("resnet18", "resnet50"),
    *,
    tasks: Sequence[str] = (),
    rounds: int = 7,
    quick: bool = False,
    report: Callable[[str], None] = print,
) -> dict[str, list[dict[str, Any]]]:
    """Time every task on every network at 224 x 224, batch 8 (``quick``: 64 x 64), then count what PGD fools.

    ``tasks`` are the names of those wanted. What takes hundreds of passes is timed once, on one image.
    """
    wanted = _wanted(tasks)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    side, rounds = (64, 3) if quick else (224, rounds)
    report(
        f"batch 8 at {side} x {side}, {device}, {torch.get_num_threads()} threads, {rounds} rounds; in forward passes"
    )
    times: list[Row] = []
    for name in nets:
        where = setting(name, side, 8, device)
        for task, contenders in wanted.items():
            long = task in LONG
            place = where._replace(x=where.x[:1], y=where.y[:1]) if long else where
            for row in _timed(place, task, contenders, 1 if long else rounds, report):
                report(str(row))
                times.append(row)
    found = list(_found(digits_setting())) if any(task.startswith("PGD") for task in wanted) else []
    for one in found:
        report(str(one))
    return {
        "times": [row._asdict() for row in times],
        "found": [one._asdict() | {"fooled": one.fooled.as_dict()} for one in found],
    }


def _wanted(tasks: Sequence[str]) -> dict[str, dict[str, Contender]]:
    if unknown := [task for task in tasks if task not in TASKS]:
        raise InputError(f"there is no task called {unknown[0]!r}", "one of " + "; ".join(TASKS))
    return {task: TASKS[task] for task in tasks or TASKS}


def _timed(
    where: Setting, task: str, contenders: dict[str, Contender], rounds: int, report: Callable[[str], None]
) -> Iterator[Row]:
    @torch.no_grad()
    def forward() -> torch.Tensor:
        return where.net(where.x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other libraries' own
        actions = dict(_installed(where, contenders))
        found = in_passes(forward, actions, rounds, where.x.is_cuda, report)
    for who, timed in found.items():
        yield Row(where.name, task, who, timed.middle, timed.low, timed.high, rounds)


def _found(where: Setting) -> Iterator[Found]:
    model = Model(copy.deepcopy(where.net))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        for who, attack in _installed(where, STRONG):
            changed = attack().detach().float()
            near = (changed - where.x).abs() <= where.eps * (1 + 1e-5)
            inside = (near & (changed >= 0) & (changed <= 1)).flatten(1).all(1)
            fooled = (model(changed).argmax(1) != where.y) & inside
            yield Found(where.name, f"PGD-{STEPS}", who, rate(fooled))


def _installed(where: Setting, contenders: dict[str, Contender]) -> Iterator[tuple[str, Action]]:
    for who, contender in contenders.items():
        own = where._replace(net=copy.deepcopy(where.net))  # some leave their hooks on it
        try:
            yield who, contender(own)
        except ImportError:
            continue
