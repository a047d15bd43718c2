"""Attacks that raise the goal's probability, with or without a price on the size of the change."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from ..answers import Answer
from ..loop import Adam, iterate
from ..objectives import CrossEntropy, LogProbOthers, Objective, Targeted
from ..query import Query
from ..region import l2_norm, only
from ..regions import L0, L1, L2, Ball, Linf, Region
from ..rows import column, take
from ..spec import Bound, Count, Fraction, Positive
from .base import Attack
from .gradient import climbing

Weight = Annotated[float, Bound(0)]


def towards(query: Query) -> Query:
    """The same goal, scored by the logarithm of its probability: of the target, or of all classes but the label."""
    loss: Objective = CrossEntropy() if isinstance(query.objective, Targeted) else LogProbOthers()
    return climbing(query, loss)


class Ascending(NamedTuple):
    """Where a climb is, what it stays in, and what Adam remembers."""

    x: Tensor
    ball: Ball
    adam: Adam


class TargetedAscent(Attack):
    """Raise the target's probability until the network is sure, however the image may look (Szegedy et al., 2014).

    Nothing keeps the result near the image: it shows what a class score alone is worth. Without a target the
    probability of all classes but the label is raised.
    """

    norms = (L2, Linf, L1, L0)
    anywhere = True

    start: Literal["image", "zeros", "noise"] = "image"
    """Where to begin: at the image, at black, or at uniform noise."""
    confidence: Fraction = 0.9
    """The probability at which an image is done."""
    steps: Count = 300
    """How many steps to take at most."""
    rate: Positive = 0.05
    """Adam's learning rate, or with ``sign`` how far every value moves in a step."""
    sign: bool = False
    """Step by the sign of the gradient instead of Adam."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Ascending, t: int) -> tuple[Ascending, Tensor]:
            score, reached, grad = query.gradient(at.x)
            assert grad is not None
            adam, way = (at.adam, grad.sign()) if self.sign else at.adam.step(grad, t)
            sure = reached & (score.exp() >= self.confidence)
            return Ascending(within.project(at.x + self.rate * way, at.ball), at.ball, adam), sure

        start = within.project(self._start(query, ball.center), ball)
        return iterate(step, Ascending(start, ball, Adam.fresh(start)), towards(query), self.steps)

    def _start(self, query: Query, x: Tensor) -> Tensor:
        if self.start == "image":
            return x
        return torch.zeros_like(x) if self.start == "zeros" else query.rng.uniform(x, 0, 1)


class Prices(NamedTuple):
    """What distance may cost each image: the dearest price paid, the cheapest refused, and the one to try next."""

    paid: Tensor
    refused: Tensor
    now: Tensor

    def after(self, success: Tensor, factor: float) -> "Prices":
        paid = torch.where(success, self.now, self.paid)
        refused = torch.where(success, self.refused, self.now)
        outward = torch.where(success, self.now * factor, self.now / factor)
        bracketed = (paid > 0) & refused.isfinite()
        return Prices(paid, refused, torch.where(bracketed, (paid * refused).sqrt(), outward))


Climb = Callable[[Query, Tensor, Ball], Tensor]
"""The smallest change that reaches the goal at a price per row; a row without success comes back as it was."""


def dearest(
    query: Query, ball: Ball, todo: Tensor, price: Tensor, climb: Climb, searches: int, factor: float = 2.0
) -> Tensor:
    """The smallest change found on the way to the highest price of distance at which ``climb`` still succeeds."""
    result, rows = ball.center.clone(), todo.nonzero()[:, 0]
    if not len(rows):
        return result
    query, ball = query[rows], take(ball, rows)
    best, size = ball.center, torch.full_like(ball.eps, torch.inf)
    prices = Prices(torch.zeros_like(size), size, price[rows])
    for _ in range(searches):
        tried = climb(query, prices.now, ball)
        length = l2_norm(tried - ball.center)
        best = torch.where(column((length > 0) & (length < size), best), tried, best)
        size = torch.where(length > 0, torch.minimum(size, length), size)
        prices = prices.after(length > 0, factor)
    result[rows] = best
    return result


def smaller(best: Tensor, size: Tensor, x: Tensor, ball: Ball, success: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest successful change so far and its size, with ``x`` considered."""
    length = l2_norm(x - ball.center)
    better = success & (length < size)
    return torch.where(column(better, x), x, best), torch.where(better, length, size)


def fair_price(first: Answer, wanted: float = 0.0) -> Tensor:
    """The price of distance at which a linear score with this value and slope would just come to ``wanted``."""
    steep = l2_norm(first.slope).square() / (2 * (wanted - first.score).clamp_min(1e-12))
    return torch.where(steep > 0, steep, 1.0)


class Pulled(NamedTuple):
    """The smallest change that was enough so far, where the climb is, and the price it pays for distance."""

    best: Tensor
    size: Tensor
    x: Tensor
    price: Tensor
    ball: Ball
    adam: Adam


class RegularisedTargeted(Attack):
    """Raise the target's log-probability minus ``lambda_`` times the squared change, by Adam (Szegedy et al., 2014).

    ``lambda_`` is searched for each image by doubling, halving and then bisecting: the largest that still succeeds.
    What is kept is the smallest change that succeeded on the way, not the last. Without a target the probability of all
    classes but the label is raised.
    """

    norms = (L2,)
    nearest = True

    steps: Count = 300
    rate: Positive = 0.01
    """Adam's learning rate."""
    searches: Count = 10
    """How many values of ``lambda_`` are tried, the first of them 1."""
    lambda_: Weight | None = None
    """The price of distance; by default it is searched."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Pulled, t: int) -> tuple[Pulled, Tensor]:
            _, reached, grad = query.gradient(at.x)
            assert grad is not None
            best, size = smaller(at.best, at.size, at.x, at.ball, reached)
            pull = 2 * column(at.price, at.x) * (at.x - at.ball.center)
            adam, way = at.adam.step(only(grad - pull, at.ball), t)
            x = (at.x + self.rate * way).clamp(0, 1)
            return at._replace(best=best, size=size, x=x, adam=adam), torch.zeros_like(reached)

        def climb(query: Query, price: Tensor, ball: Ball) -> Tensor:
            x, never = ball.center, torch.full_like(ball.eps, torch.inf)
            start = Pulled(x, never, x, price, ball, Adam.fresh(x))
            return iterate(step, start, query, self.steps + 1)  # the last one judges where the others led

        first, tries = (1.0, self.searches) if self.lambda_ is None else (self.lambda_, 1)
        price = torch.full_like(ball.eps, first)
        return dearest(towards(query), ball, ~query.reached(ball.center), price, climb, tries)
