"""How fast the methods are, as multiples of one forward pass, beside other libraries that are installed."""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from .setting import Setting, setting
from .tasks import TASKS, Contender
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

    def as_dict(self) -> dict[str, str | float]:
        return self._asdict()


def run_bench(
    nets: Sequence[str] = ("resnet18", "resnet50"),
    *,
    rounds: int = 7,
    quick: bool = False,
    report: Callable[[str], None] = print,
) -> list[Row]:
    """Time every task on every network at 224 x 224, batch 8; ``quick`` takes 64 x 64 and 3 rounds."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    side, rounds = (64, 3) if quick else (224, rounds)
    report(
        f"batch 8 at {side} x {side}, {device}, {torch.get_num_threads()} threads, {rounds} rounds; in forward passes"
    )
    rows: list[Row] = []
    for name in nets:
        where = setting(name, side, 8, device)
        for task, contenders in TASKS.items():
            for row in _timed(where, task, contenders, rounds):
                report(
                    f"{row.net:<10} {task:<15} {row.who:<31} {row.passes:6.2f}  ({row.low:.2f} to {row.high:.2f})"
                )
                rows.append(row)
    return rows


def _timed(where: Setting, task: str, contenders: dict[str, Contender], rounds: int) -> Iterator[Row]:
    @torch.no_grad()
    def forward() -> torch.Tensor:
        return where.net(where.x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other libraries' own
        actions = dict(_installed(where, contenders))
        found = in_passes(forward, actions, rounds, where.x.is_cuda)
    for who, timed in found.items():
        yield Row(where.name, task, who, timed.middle, timed.low, timed.high, rounds)


def _installed(where: Setting, contenders: dict[str, Contender]) -> Iterator[tuple[str, Action]]:
    for who, contender in contenders.items():
        own = where._replace(net=copy.deepcopy(where.net))  # some leave their hooks on it
        try:
            yield who, contender(own)
        except ImportError:
            continue
