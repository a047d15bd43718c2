"""Attacks that follow the gradient."""

from typing import NamedTuple

from torch import Tensor

from ..loop import iterate
from ..objectives import CrossEntropy, Goal, Objective
from ..query import Query
from ..regions import L1, L2, Ball, Linf, Region
from ..rows import per_row
from ..slopes import Exact, Slope
from ..spec import Count, PerRow, Positive
from .base import Attack


class FGSM(Attack):
    """One step to the edge of the region (Goodfellow et al., 2015)."""

    norms = (Linf, L2, L1)

    loss: Objective = CrossEntropy()
    """What to climb."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        grad = self.slope(climbing(query, self.loss), ball.center).slope
        return within.step(ball.center, grad, ball.eps, ball)


class Point(NamedTuple):
    """Where an attack is, and the region it stays in."""

    x: Tensor
    ball: Ball
    step: Tensor


class PGD(Attack):
    """Many small steps, projected back after each (Madry et al., 2018).

    Without a random start it is the basic iterative method (Kurakin et al., 2017).
    """

    steps: Count = 10
    """How many steps to take at most; an image that has flipped takes no more."""
    loss: Objective = CrossEntropy()
    """What to climb."""
    step: PerRow | None = None
    """Length of a step; by default ``reach * eps / steps``."""
    reach: Positive = 2.5
    """The way all steps together could go, in radii of the region."""
    random_start: bool = True
    """Start anywhere in the region rather than at the image."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Point, t: int) -> tuple[Point, Tensor]:
            _, reached, grad = self.slope(query, at.x)
            assert grad is not None
            return at._replace(x=within.step(at.x, grad, at.step, at.ball)), reached

        start = within.sample(ball, query.rng) if self.random_start else ball.center
        point = Point(start, ball, self._length(ball))
        return iterate(step, point, climbing(query, self.loss), self.steps)

    def _length(self, ball: Ball) -> Tensor:
        if self.step is None:
            return self.reach * ball.eps / self.steps
        return per_row(self.step, ball.center, "PGD.step")


def climbing(query: Query, loss: Objective) -> Query:
    """The same goal, climbed by ``loss``."""
    assert isinstance(query.objective, Goal)
    return query.instead(query.objective.by(loss))
