"""Rates with their number and interval: no rate goes without."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.special import ndtri, stdtrit
from torch import Tensor


class Rate(NamedTuple):
    """``k`` of ``n``, with the 95 % Wilson interval; ``k`` may have a fraction where each of n is a share."""

    k: float
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

    @property
    def interval(self) -> tuple[float, float, float]:
        """The rate and the ends of its interval, as charts take them."""
        return self.value, self.low, self.high

    @property
    def brief(self) -> str:
        """In per cent, for tables that give n themselves."""
        value, low, high = (
            f"{100 * v:.1f}".replace("100.0", "100") for v in (self.value, self.low, self.high)
        )
        return f"{value} [{low}–{high}]"

    def as_dict(self) -> dict[str, float]:
        return {"k": self.k, "n": self.n, "rate": self.value, "low": self.low, "high": self.high}


def rate(flags: Tensor) -> Rate:
    """The share of true flags."""
    k, n = int(flags.sum()), len(flags)
    if not n:
        return Rate(0, 0, 0.0, 1.0)
    return Rate(k, n, *wilson(k / n, n))


def mean_share(shares: Tensor) -> Rate:
    """The mean of each image's own share of draws; n counts images, whose draws are not independent.

    The interval is Wilson's for n flags of that mean: shares spread less than flags, so it is never too narrow.
    """
    n, mean = len(shares), float(shares.double().mean()) if len(shares) else 0.0
    if not n:
        return Rate(0, 0, 0.0, 1.0)
    return Rate(mean * n, n, *wilson(mean, n))


def wilson(value: float, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """The ends of Wilson's interval of a share of ``n``."""
    z2 = float(ndtri(alpha / 2)) ** 2
    middle, room = value + z2 / (2 * n), math.sqrt(z2 * (value * (1 - value) + z2 / (4 * n)) / n)
    low, high = max(0.0, (middle - room) / (1 + z2 / n)), min(1.0, (middle + room) / (1 + z2 / n))
    return low if value > 0 else 0.0, high if value < 1 else 1.0


def newcombe(a: Rate, b: Rate, alpha: float = 0.05) -> tuple[float, float]:
    """The interval of the difference of two rates over different images (Newcombe, 1998, method 10)."""
    (low_a, high_a), (low_b, high_b) = wilson(a.value, a.n, alpha), wilson(b.value, b.n, alpha)
    apart = a.value - b.value
    below, above = (
        math.hypot(a.value - low_a, high_b - b.value),
        math.hypot(high_a - a.value, b.value - low_b),
    )
    return max(-1.0, apart - below), min(1.0, apart + above)


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
    half = float(stdtrit(n - 1, 0.975)) * spread / math.sqrt(n)
    return Mean(mean, mean - half, mean + half, n)
