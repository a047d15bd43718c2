"""How many images must lie near a decision boundary, whatever the classifier (Shafahi et al., 2019, arXiv:1809.02104).

A class has a density of at most ``density`` times the uniform one, and the classifier gives it at most half of the
space. Then at least the returned share of the class is wrong or within ``eps`` of being so. Where ``density`` is so
large that the share would be below 0, the statement is empty: such a bound is *vacuous*.

What was checked, beside reading the statements as they are commonly quoted:

* sphere: the exact area of every cap stays below ``sqrt(pi / 8) exp(-(d - 1) eps^2 / 2)`` on a fine grid of angles
  in dimensions 2 to 4096 (``tests/analysis/test_bounds.py``); caps are the extreme sets (Lévy, 1919).
* cube: proved here. The normal distribution function, applied to each coordinate, maps the Gaussian onto the cube and
  shrinks L2 distances by at least ``sqrt(2 pi)``, so half the cube grows at least as the half-space
  does: what is farther than ``eps`` has measure at most ``Q(sqrt(2 pi) eps)``, Q the upper tail of the normal law.
  Mills' ratio gives the published ``exp(-pi eps^2) / (2 pi eps)``. An Lp ball holds the L2 ball of the same radius
  for p ≥ 2, of ``eps d^(1/2 - 1/p)`` for p < 2, which gives all p.
* sparse: proved here. The number f of positions to change is a function with differences of at most 1, so by
  McDiarmid's inequality its mean m obeys 1/2 ≤ exp(-2 m²/d), and P(f ≥ k) ≤ exp(-2 (k - m)²/d) ≤ 2 exp(-k²/d), since
  (k - 2m)² ≥ 0.
"""

import math
from typing import Literal, NamedTuple

import torch
from scipy.special import betainc, ndtr
from torch import Tensor

from ..errors import InputError

Space = Literal["sphere", "cube", "sparse"]


class Bound(NamedTuple):
    """At least ``share`` of a class; ``raw`` is the formula's own value, which may be below 0."""

    share: float
    raw: float

    @property
    def vacuous(self) -> bool:
        """Whether it says nothing at all."""
        return self.raw <= 0

    @classmethod
    def of(cls, far: float, density: float) -> "Bound":
        """From the largest share of the space that can be farther than ``eps``."""
        raw = 1 - density * far
        return cls(min(1.0, max(0.0, raw)), raw)


def sphere_bound(eps: float, d: int, density: float = 1.0) -> Bound:
    """On the unit sphere in ``d`` dimensions, ``eps`` the angle (and so, too, the straight distance)."""
    _check(eps, d, density)
    return Bound.of(math.sqrt(math.pi / 8) * math.exp(-(d - 1) * eps**2 / 2), density)


def cube_bound(eps: float, d: int, p: float = 2.0, density: float = 1.0, *, published: bool = False) -> Bound:
    """In the unit cube in ``d`` dimensions, ``eps`` an Lp distance, 1 ≤ p ≤ infinity.

    With the normal tail itself, or as ``published`` with Mills' ratio in its place, which is never better.
    """
    _check(eps, d, density)
    if p < 1:
        raise InputError(f"p must be at least 1, not {p}", "sparse_bound counts changed positions")
    straight = eps * d ** (0.5 - 1 / min(p, 2.0))
    if published:
        far = math.exp(-math.pi * straight**2) / (2 * math.pi * straight) if straight else math.inf
        return Bound.of(far, density)
    return Bound.of(float(ndtr(-math.sqrt(2 * math.pi) * straight)), density)


def sparse_bound(k: int, d: int, density: float = 1.0) -> Bound:
    """In the unit cube with ``d`` positions, ``k`` of them changed at will."""
    _check(k, d, density)
    return Bound.of(2 * math.exp(-(k**2) / d), density)


def _check(eps: float, d: int, density: float) -> None:
    if not (eps >= 0 and d >= 1 and density >= 1):
        raise InputError(
            f"eps must be at least 0, d and density at least 1, not {eps}, {d}, {density}",
            "a density relative to the uniform one is at least 1",
        )


def cap_share(angle: float, d: int) -> float:
    """The exact share of the unit sphere in ``d`` dimensions that is farther than ``angle`` beyond the equator."""
    return float(betainc((d - 1) / 2, 0.5, math.cos(angle) ** 2)) / 2


def sphere_distances(d: int, n: int, seed: int = 0) -> dict[str, Tensor]:
    """Angles to the equator of uniform points on the upper half of the sphere; the half-space classifier is right."""
    x = _drawn("normal", seed, n, d)
    return {"sphere equator": (x[:, 0].abs() / x.norm(dim=1)).asin()}


def cube_distances(d: int, n: int, seed: int = 0) -> dict[str, Tensor]:
    """Exact distances inside the cube to two half-spaces that hold half of it: a mean of pixels, and a single pixel.

    The nearest point in L2 and Linf with a lower mean lowers every coordinate alike, down to 0; in L1 any order does,
    and of positions to change the largest values go first. Points are mirrored into the upper half.
    """
    x = _drawn("uniform", seed, n, d)
    upper = (x.sum(1) >= d / 2)[:, None]
    x = torch.where(upper, x, 1 - x)
    excess = x.sum(1) - d / 2
    shift = _common_shift(x, excess)
    moved = x - (x - shift[:, None]).clamp_min(0)
    largest = x.sort(1, descending=True).values.cumsum(1)
    single = (_drawn("uniform", seed + 1, n, 1)[:, 0] - 0.5).abs()
    return {
        "L2 mean": moved.norm(dim=1),
        "L2 one pixel": single,
        "Linf mean": shift,
        "Linf one pixel": single,
        "L1 mean": excess,
        "L0 mean": ((largest < excess[:, None]).sum(1) + 1).double(),
    }


def _common_shift(x: Tensor, excess: Tensor) -> Tensor:
    """How much every coordinate must be lowered, none below 0, to take ``excess`` off their sum; by bisection."""
    low, high = torch.zeros_like(excess), torch.ones_like(excess)
    for _ in range(40):
        middle = (low + high) / 2
        enough = torch.minimum(x, middle[:, None]).sum(1) >= excess
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high


def _drawn(kind: Literal["normal", "uniform"], seed: int, n: int, d: int) -> Tensor:
    """Random numbers in double precision from a seed: [n, d]."""
    draw = torch.randn if kind == "normal" else torch.rand
    return draw(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
