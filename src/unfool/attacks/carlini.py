"""The attack of Carlini and Wagner."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..loop import Adam, iterate
from ..objectives import Margin
from ..query import Query
from ..region import l2_norm, only
from ..regions import L2, Ball, Region
from ..rows import column
from ..spec import Count, Positive
from .base import Attack
from .gradient import climbing
from .penalty import Weight, dearest, fair_price, smaller

SPARE = 0.01
"""How far the tanh reaches beyond [0, 1] on either side: a value of exactly 0 or 1 then has a slope to move by."""


class InTanh(NamedTuple):
    """The smallest change that was enough so far, where the search is behind its tanh, and its cost when last seen."""

    best: Tensor
    size: Tensor
    w: Tensor
    price: Tensor
    cost: Tensor
    rate: Tensor
    ball: Ball
    adam: Adam

    @property
    def x(self) -> Tensor:
        return (0.5 + (0.5 + SPARE) * self.w.tanh()).clamp(0, 1)

    @classmethod
    def at(cls, ball: Ball, price: Tensor) -> "InTanh":
        x, never = ball.center, torch.full_like(ball.eps, torch.inf)
        w = ((x - 0.5) / (0.5 + SPARE)).atanh()
        return cls(x, never, w, price, never, never, ball, Adam.fresh(x))

    def uphill(self, grad: Tensor, change: Tensor) -> Tensor:
        """The gradient behind the tanh of the score minus the price of the squared change."""
        pull = 2 * column(self.price, change) * change
        return only(grad - pull, self.ball) * (0.5 + SPARE) * (1 - self.w.tanh().square())


class CarliniWagner(Attack):
    """The smallest change in L2 that wins by a margin, by Adam behind a tanh (Carlini & Wagner, 2017).

    Each image has its own search for the constant c that weighs the margin against the squared change, gives up by
    itself where a tenth of the steps brought nothing, and keeps its smallest success.
    The paper's own budget is ``CarliniWagner(steps=1000, searches=9, rate=0.01, c=0.001)``.
    """

    norms = (L2,)
    nearest = True

    steps: Count = 100
    searches: Count = 5
    """How many values of ``c`` are tried."""
    rate: Positive | None = None
    """Adam's learning rate; by default each image's own, by how far it would have to go if the network were
    linear around it."""
    kappa: Weight = 0.0
    """By how much the goal's logit must lead."""
    c: Positive | None = None
    """The first constant tried; by default the one that would be right if the network were linear around the image."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        often = max(1, self.steps // 10)

        def step(query: Query, at: InTanh, t: int) -> tuple[InTanh, Tensor]:
            x, change = at.x, at.x - at.ball.center
            score, reached, grad = query.gradient(x)
            assert grad is not None
            lead = score >= self.kappa
            best, size = smaller(at.best, at.size, x, at.ball, reached & lead)
            better = size < at.size
            at = at._replace(rate=self._rate(score, grad)) if t == 0 else at
            adam, way = at.adam.step(at.uphill(grad * column(~lead, grad), change), t)
            at = at._replace(best=best, size=size, w=at.w + column(at.rate, way) * way, adam=adam)
            if t % often:
                return at, torch.zeros_like(reached)
            cost = at.price * l2_norm(change).square() + (self.kappa - score).clamp_min(0)
            return at._replace(cost=cost), (cost > 0.9999 * at.cost) & ~better

        def climb(query: Query, price: Tensor, ball: Ball) -> Tensor:
            return iterate(step, InTanh.at(ball, price), query, self.steps + 1)

        query = climbing(query, Margin())
        first = query.gradient(ball.center)
        price = fair_price(first, self.kappa) if self.c is None else torch.full_like(ball.eps, 1 / self.c)
        return dearest(query, ball, ~first.reached, price, climb, self.searches, factor=4.0)

    def _rate(self, score: Tensor, grad: Tensor) -> Tensor:
        """Adam's step for each image: by default as long as the whole way would be if the network were linear."""
        if self.rate is not None:
            return torch.full_like(score, self.rate)
        far = (self.kappa - score).clamp_min(0) / l2_norm(grad).clamp_min(1e-12)
        return (far / grad[0].numel() ** 0.5).clamp(1e-3, 0.1)
