"""Rates with their number and interval: no rate goes without."""

import math
from typing import NamedTuple

import torch
from scipy.stats import binomtest
from torch import Tensor


class Rate(NamedTuple):
    """``k`` of ``n``, with the 95 % Wilson interval."""

    k: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.k / self.n if self.n else float("nan")

    def __str__(self) -> str:
        return (
            f"{percent(self.value)} [{percent(self.low)}, {percent(self.high)}] of {self.n}"
            if self.n
            else "none"
        )

    def as_dict(self) -> dict[str, float]:
        return {"k": self.k, "n": self.n, "rate": self.value, "low": self.low, "high": self.high}


def rate(flags: Tensor) -> Rate:
    """The share of true flags."""
    k, n = int(flags.sum()), len(flags)
    if not n:
        return Rate(0, 0, 0.0, 1.0)
    low, high = binomtest(k, n).proportion_ci(0.95, "wilson")
    return Rate(k, n, float(low), float(high))


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


class Spread(NamedTuple):
    """A distribution in a few numbers; infinite where at least that share never flipped."""

    n: int
    low: float
    median: float
    high: float
    infinite: int


def spread(values: Tensor) -> Spread:
    """The quartiles of numbers, some of them infinite, and how many are."""
    if not len(values):
        return Spread(0, math.nan, math.nan, math.nan, 0)
    ordered = values.double().sort().values
    low, median, high = (float(ordered[int(q * (len(ordered) - 1))]) for q in (0.25, 0.5, 0.75))
    return Spread(len(values), low, median, high, int(torch.isinf(values).sum()))


def fooled_by(fooled: Tensor, queries: Tensor) -> list[tuple[float, Rate]]:
    """The share of images fooled within each number of queries, from 1 to the most that were asked."""
    ends = {1, *queries[fooled].tolist(), int(queries.max())} if len(queries) else {1}
    return [(float(at), rate(fooled & (queries <= at))) for at in sorted(ends)]
