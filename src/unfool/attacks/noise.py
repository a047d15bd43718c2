"""The control of every attack: the same size of change, in a random direction."""

from typing import Literal, NamedTuple

from torch import Tensor

from ..loop import iterate
from ..query import Query
from ..regions import Ball, Region
from ..rows import Rng
from ..spec import Count
from .base import Attack


class _Draw(NamedTuple):
    x: Tensor
    ball: Ball


class RandomNoise(Attack):
    """Random noise that goes as far as the region allows; of several draws the first that flips the label.

    Worst of many draws is a stronger control than one: always report how many, and the number of pixels.
    """

    asks = "labels"

    kind: Literal["sign", "gaussian", "uniform"] = "sign"
    draws: Count = 1

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: _Draw, t: int) -> tuple[_Draw, Tensor]:
            return at._replace(x=self._draw(within, at.ball, query.rng)), query.reached(at.x)

        start = _Draw(self._draw(within, ball, query.rng), ball)
        return iterate(step, start, query, self.draws - 1)

    def _draw(self, within: Region, ball: Ball, rng: Rng) -> Tensor:
        draw = {"sign": rng.sign, "gaussian": rng.normal, "uniform": rng.uniform}[self.kind]
        return within.edge(within.scatter(draw(ball.center), ball, rng), ball)
