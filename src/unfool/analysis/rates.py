"""Rates with their number and interval: no rate goes without."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.stats import binomtest
from scipy.stats import t as student
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


class Mean(NamedTuple):
    """A mean with its 95 % interval by Student's t; one value alone has none."""

    mean: float
    low: float
    high: float
    n: int


def mean_of(values: Sequence[float]) -> Mean:
    """Of values that do not depend on each other, such as one for each image or seed."""
    n = len(values)
    mean = sum(values) / n if n else math.nan
    if n < 2:
        return Mean(mean, mean, mean, n)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(student.ppf(0.975, n - 1)) * spread / math.sqrt(n)
    return Mean(mean, mean - half, mean + half, n)
