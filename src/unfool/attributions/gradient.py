"""Attributions that are gradients at the input."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..query import Query
from ..spec import Count, Fraction, Natural
from .base import Attribution


class Gradient(Attribution):
    """The plain gradient, signed, for every channel (Simonyan et al., 2014)."""

    channels: Literal["all", "strongest", "length", "sum"] = "all"
    """Each on its own, or one map of them: the largest absolute value, the Euclidean length, or the signed sum."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return self._reduced(query.gradient(x).slope)

    def explain_each(self, asked: Sequence[Query], x: Tensor) -> Sequence[Tensor]:
        return [self._reduced(slope) for slope in asked[0].gradients(x, asked)[1]]

    def _reduced(self, grad: Tensor) -> Tensor:
        if self.channels == "strongest":
            return grad.abs().amax(1, keepdim=True)
        if self.channels == "length":
            return grad.norm(dim=1, keepdim=True)
        return grad.sum(1, keepdim=True) if self.channels == "sum" else grad


class GradientTimesInput(Attribution):
    """The gradient times the image, summed over channels: for a linear model each position's share of the score.

    Sees the image as much as the network: it fails the weight-randomisation check on most data.
    """

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return (query.gradient(x).slope * x).sum(1, keepdim=True)

    def explain_each(self, asked: Sequence[Query], x: Tensor) -> Sequence[Tensor]:
        return [(slope * x).sum(1, keepdim=True) for slope in asked[0].gradients(x, asked)[1]]


class IntegratedGradients(Attribution):
    """Gradients along the straight way from a plain image to this one, times the way (Sundararajan et al., 2017).

    The sum of the map comes to the difference of the two scores (midpoint rule): by how much it fails to says how good
    the map is. Images where it fails by more than ``tolerance`` are given three times the steps, and again.
    """

    steps: Count = 8
    """How many at first."""
    baseline: Fraction = 0.0
    """The plain image's value everywhere; 0 is black."""
    tolerance: Fraction = 0.02
    """By what share of the difference the sum may fail; 1 is never to go on."""
    rounds: Natural = 3
    """How often the steps are multiplied by three, at most."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        plain = torch.full_like(x, self.baseline)
        gap, way = query.ask(x).score - query.ask(plain).score, x - plain
        rows, n = torch.arange(len(x), device=x.device), self.steps
        slope = self._mean(query, plain, way, n)
        for _ in range(self.rounds):
            short = ((way * slope).flatten(1).sum(1) - gap)[rows].abs()
            rows = rows[(short > self.tolerance * gap[rows].abs()) & (self.tolerance < 1)]
            if not len(rows):
                break
            n = 3 * n
            slope[rows] = slope[rows] / 3 + self._mean(query[rows], plain[rows], way[rows], n, fresh=True)
        return (way * slope).sum(1, keepdim=True)

    def _mean(self, query: Query, plain: Tensor, way: Tensor, n: int, fresh: bool = False) -> Tensor:
        """The mean gradient at the middles of ``n`` steps; with ``fresh`` the part of those no third as many have."""
        places = ((k + 0.5) / n for k in range(n) if not fresh or k % 3 != 1)
        return (
            summed(query.packed(lambda q, v: q.gradient(v).slope, (plain + share * way for share in places)))
            / n
        )


class GradientSHAP(Attribution):
    """The mean gradient at random places on the way from random plain images, times the way (Erion et al., 2021).

    Expected gradients: over many samples the sum of the map comes to the score less the mean score of the plain images,
    which are uniform noise, or one grey each.
    """

    samples: Count = 50
    plain: Literal["grey", "noise"] = "grey"
    """From what: images of one random grey each, or of independent noise."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        starts = list[Tensor]()

        def places() -> Iterator[Tensor]:
            one = x.new_empty(len(x), *[1] * (x.ndim - 1))
            for _ in range(self.samples):
                start = query.rng.uniform(x if self.plain == "noise" else one, 0, 1).expand_as(x)
                starts.append(start)
                yield start + query.rng.uniform(one, 0, 1) * (x - start)

        grads = query.packed(lambda q, v: q.gradient(v).slope, places())
        return mean((grad * (x - starts.pop(0))).sum(1, keepdim=True) for grad in grads)


def summed(maps: Iterable[Tensor]) -> Tensor:
    """The sum of maps that come one by one."""
    maps = iter(maps)
    total = next(maps).clone()
    for one in maps:
        total += one
    return total


def mean(maps: Iterable[Tensor]) -> Tensor:
    """The mean of maps that come one by one."""
    maps = iter(maps)
    total, n = next(maps).clone(), 1
    for n, one in enumerate(maps, 2):  # noqa: B007  the count outlives the loop
        total += one
    return total / n
