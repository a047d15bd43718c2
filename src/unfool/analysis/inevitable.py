"""The bounds of :mod:`unfool.analysis.bounds` beside what half-spaces do, and beside how dense real classes are."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..samples import Samples, digits8
from ..spec import Count, Natural, Positive, Spec
from .bounds import Bound, cube_bound, cube_distances, sparse_bound, sphere_bound, sphere_distances
from .rates import Rate, rate

POWERS = {"L2": 2.0, "Linf": math.inf, "L1": 1.0}


class Bounds(Spec):
    """Which dimensions and how many points the bounds are held against."""

    dimensions: tuple[Count, ...] = (8, 32, 128, 512)
    points: Count = 4000
    density: Positive = 2.0
    """Of a class that fills just the half the classifier gives it, relative to the uniform one: no class is thinner."""
    seed: Natural = 0


class Curve(NamedTuple):
    """Shares of points within each distance of the other class, and the bound there."""

    space: str  # sphere, L2, Linf, L1 or L0
    classifier: str
    d: int
    eps: tuple[float, ...]
    near: tuple[Rate, ...]
    bound: tuple[Bound, ...]

    @property
    def holds(self) -> bool:
        """Whether every measured share may lie at or above the bound: the upper end of its interval does."""
        return all(one.high >= bound.share - 1e-12 for one, bound in zip(self.near, self.bound, strict=True))


class Density(NamedTuple):
    """What the images of one class say of how dense it must be."""

    name: str
    n: int
    constant: int  # positions with the same value in every image: there the density has no bound at all
    decades: float  # log10 of the least density on a box that holds all the others


class Shown(NamedTuple):
    """Everything about bounds."""

    plan: Bounds
    curves: tuple[Curve, ...]
    classes: tuple[Density, ...]
    limits: tuple[tuple[str, float, int, float], ...]
    """What is said of a picture: region, d, and the density beyond which the bound says nothing."""


def measure_bounds(plan: Bounds, progress: Callable[[int], None] = lambda n: None) -> Shown:
    """Half-spaces that are right about everything, in every dimension; then the densities of real classes."""
    curves: list[Curve] = []
    for d in plan.dimensions:
        sphere, cube = (measure(d, plan.points, plan.seed) for measure in (sphere_distances, cube_distances))
        curves += [_curve(plan, name, values, d) for name, values in (*sphere.items(), *cube.items())]
        progress(1)
    data = digits8("train")
    return Shown(plan, tuple(curves), tuple(class_densities(data)), tuple(_limits(data.x[0].numel())))


def _curve(plan: Bounds, name: str, distances: Tensor, d: int) -> Curve:
    space, _, classifier = name.partition(" ")
    eps = _places(space, distances, d)
    near = tuple(rate(distances <= e + 1e-12) for e in eps)
    return Curve(space, classifier, d, eps, near, tuple(bound_at(space, e, d, plan.density) for e in eps))


def _places(space: str, distances: Tensor, d: int) -> tuple[float, ...]:
    """From 0 to where nearly every point is near."""
    if space == "L0":
        most = max(2, math.ceil(2.2 * math.sqrt(d)))
        return tuple(float(k) for k in sorted({round(most * i / 20) for i in range(21)}))
    most = {"sphere": min(math.pi / 2, 3.2 / math.sqrt(d)), "L1": 0.85 * math.sqrt(d)}.get(space, 0.85)
    del distances
    return tuple(most * i / 24 for i in range(25))


def bound_at(space: str, eps: float, d: int, density: float = 1.0) -> Bound:
    """The bound for a space by its name: sphere, L0, or the cube in L1, L2 or Linf."""
    if space == "sphere":
        return sphere_bound(eps, d, density)
    if space == "L0":
        return sparse_bound(int(eps), d, density)
    return cube_bound(eps, d, POWERS[space], density)


def class_densities(data: Samples) -> list[Density]:
    """The least density each class can have if it lies in the smallest box that holds its images."""
    found: list[Density] = []
    for k, name in enumerate(data.classes):
        x = data.x[data.y == k].flatten(1).double() / 255
        width = x.amax(0) - x.amin(0)
        still = width == 0
        found.append(Density(name, len(x), int(still.sum()), float(-width[~still].log10().sum())))
    return found


def _limits(d: int) -> Sequence[tuple[str, float, int, float]]:
    """1 over the share of the cube that can be farther than eps, for usual budgets on digits and photographs."""
    photo = 224 * 224
    budgets = [
        ("L2", 1.0, d),
        ("Linf", 0.2, d),
        ("L0", 5, d),
        ("L2", 3.0, 3 * photo),
        ("Linf", 8 / 255, 3 * photo),
    ]
    budgets += [("L2", 10.0, 3 * photo), ("L0", 5000, photo)]
    return [(space, eps, n, limit_decades(space, eps, n)) for space, eps, n in budgets]


def limit_decades(space: str, eps: float, d: int) -> float:
    """log10 of the density from which on the bound is vacuous; where it is in any case, 0."""
    if space == "L0":
        return max(0.0, (eps**2 / d - math.log(2)) / math.log(10))
    straight = eps * d ** (0.5 - 1 / min(POWERS[space], 2.0))
    tail = torch.special.log_ndtr(torch.tensor(-math.sqrt(2 * math.pi) * straight, dtype=torch.float64))
    return max(0.0, -float(tail) / math.log(10))
