"""Attacks that follow the gradient."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..loop import iterate
from ..objectives import Goal, LogOdds, Objective
from ..query import Query
from ..regions import L1, L2, Ball, Linf, Region
from ..rows import column, per_row
from ..slopes import Exact, Slope
from ..spec import Count, Fraction, PerRow, Positive
from .base import Attack


class FGSM(Attack):
    """One step to the edge of the region (Goodfellow et al., 2015)."""

    norms = (Linf, L2, L1)

    loss: Objective = LogOdds()
    """What to climb; the paper's cross-entropy rises the same way, but its slope vanishes where the network is sure."""
    start: Fraction = 0.0
    """The share of the radius that goes in a random direction first; the step takes the rest (Tramèr et al., 2018)."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        x, first = ball.center, ball._replace(eps=self.start * ball.eps)
        if self.start:
            x = within.edge(query.rng.sign(x), first)
        grad = self.slope(climbing(query, self.loss), x).slope
        return within.step(x, grad, ball.eps - first.eps, ball)


class Point(NamedTuple):
    """Where an attack is, the region it stays in, and the way it has gone so far."""

    x: Tensor
    ball: Ball
    step: Tensor
    way: Tensor | None = None


class PGD(Attack):
    """Many small steps, projected back after each (Madry et al., 2018).

    Without a random start it is the basic iterative method (Kurakin et al., 2017), and with ``momentum=1.0, reach=1.0``
    then MI-FGSM (Dong et al., 2018).
    """

    steps: Count = 10
    """How many steps to take at most; an image that has flipped takes no more."""
    loss: Objective = LogOdds()
    """What to climb; the paper's cross-entropy rises the same way, but its slope vanishes where the network is sure."""
    step: PerRow | None = None
    """Length of a step; by default ``reach * eps / steps``."""
    reach: Positive = 2.5
    """The way all steps together could go, in radii of the region."""
    random_start: bool = True
    """Start anywhere in the region rather than at the image."""
    momentum: Fraction = 0.0
    """How much of the way so far is kept at each step; every row's gradient counts by its direction alone."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Point, t: int) -> tuple[Point, Tensor]:
            _, reached, grad = self.slope(query, at.x)
            assert grad is not None
            way = None if at.way is None else self.momentum * at.way + sized_1(grad)
            x = within.step(at.x, grad if way is None else way, at.step, at.ball)
            return at._replace(x=x, way=way), reached

        start = within.sample(ball, query.rng) if self.random_start else ball.center
        point = Point(start, ball, self._length(ball), torch.zeros_like(start) if self.momentum else None)
        return iterate(step, point, climbing(query, self.loss), self.steps)

    def _length(self, ball: Ball) -> Tensor:
        if self.step is None:
            return self.reach * ball.eps / self.steps
        return per_row(self.step, ball.center, "PGD.step")


def sized_1(grad: Tensor) -> Tensor:
    """Each row's gradient with sizes that add up to 1."""
    sizes = grad.flatten(1).abs().sum(1).clamp_min(torch.finfo(grad.dtype).tiny)
    return grad / column(sizes, grad)


def climbing(query: Query, loss: Objective) -> Query:
    """The same goal, climbed by ``loss``."""
    assert isinstance(query.objective, Goal)
    return query.instead(query.objective.by(loss))
