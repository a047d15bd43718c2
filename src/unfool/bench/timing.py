"""Times as multiples of one forward pass, taken in turn so that a slow moment hits everyone alike."""

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch

Action = Callable[[], Any]


class Timed(NamedTuple):
    """How long something takes in forward passes: the median of all rounds, the shortest and the longest."""

    middle: float
    low: float
    high: float


def seconds(action: Action, cuda: bool) -> float:
    """How long one call takes, what it left running on a GPU included."""
    if cuda:
        torch.cuda.synchronize()
    begun = perf_counter()
    action()
    if cuda:
        torch.cuda.synchronize()
    return perf_counter() - begun


LONG = 50
"""What takes more forward passes than this has warmed itself up."""


def in_passes(
    forward: Action,
    actions: Mapping[str, Action],
    rounds: int,
    cuda: bool,
    report: Callable[[str], None] = print,
) -> dict[str, Timed]:
    """Every action timed ``rounds`` times after a call to warm up, each beside forward passes of its own.

    The pass is timed before and after the action, and the faster of the two counts. Of what is long the first call is
    the first round. A library that fails, beside another torch than its own, say, is left out.
    """
    forward()
    found: dict[str, list[float]] = {name: [] for name in actions}

    def timed(name: str) -> float:
        before, own, after = (seconds(a, cuda) for a in (forward, actions[name], forward))
        return own / min(before, after)

    for name in actions:
        try:
            first = timed(name)
        except Exception as error:
            if name.startswith("unfool"):
                raise
            report(f"{name} fails and is left out: {type(error).__name__}: {error}")
            del found[name]
            continue
        found[name] += [first] if first > LONG else []
    for _ in range(rounds):
        for name, ratios in found.items():
            if len(ratios) < rounds:
                ratios.append(timed(name))
    return {name: Timed(median(ratios), min(ratios), max(ratios)) for name, ratios in found.items()}
