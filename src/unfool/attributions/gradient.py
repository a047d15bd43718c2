"""Attributions that are gradients at the input."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ..query import Query
from ..spec import Count, Fraction
from .base import Attribution


class Gradient(Attribution):
    """The plain gradient, signed, for every channel (Simonyan et al., 2014)."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return query.gradient(x).slope


class GradientTimesInput(Attribution):
    """The gradient times the image, summed over channels: for a linear model each position's share of the score.

    Sees the image as much as the network: it fails the weight-randomisation check on most data.
    """

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return (query.gradient(x).slope * x).sum(1, keepdim=True)


class IntegratedGradients(Attribution):
    """Gradients along the straight way from a plain image to this one, times the way (Sundararajan et al., 2017).

    The sum of the map comes to the difference of the two scores (midpoint rule).
    """

    steps: Count = 32
    baseline: Fraction = 0.0
    """The plain image's value everywhere; 0 is black."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        plain = torch.full_like(x, self.baseline)
        way = (plain + (x - plain) * ((k + 0.5) / self.steps) for k in range(self.steps))
        gradients = query.packed(lambda q, v: q.gradient(v).slope, way)
        return ((x - plain) * mean(gradients)).sum(1, keepdim=True)


def mean(maps: Iterable[Tensor]) -> Tensor:
    """The mean of maps that come one by one."""
    maps = iter(maps)
    total, n = next(maps).clone(), 1
    for n, one in enumerate(maps, 2):  # noqa: B007  the count outlives the loop
        total += one
    return total / n
