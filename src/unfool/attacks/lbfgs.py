"""The attack of Szegedy et al.: a quasi-Newton method inside the box, for all images at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..loop import iterate
from ..query import Query
from ..region import l2_norm, only
from ..regions import L2, Ball, Region
from ..rows import column
from ..spec import Count, Positive
from .base import Attack
from .penalty import dearest, fair_price, towards


class Memory(NamedTuple):
    """Each row's last steps, the changes of the gradient they brought, and 1 over the product of both: newest last.

    Where nothing is remembered the product's place holds 0.
    """

    steps: Tensor  # [B, m, D]
    changes: Tensor  # [B, m, D]
    weights: Tensor  # [B, m]

    @classmethod
    def blank(cls, x: Tensor, m: int) -> "Memory":
        nothing = x.flatten(1)[:, None].repeat(1, m, 1) * 0
        return cls(nothing, nothing, nothing[:, :, 0])

    def with_step(self, step: Tensor, change: Tensor, where: Tensor) -> "Memory":
        """One more step remembered in the rows ``where``, if the gradient rose along it; the oldest is forgotten."""
        step, change = step.flatten(1), change.flatten(1)
        rise = dot(step, change)
        where = where & (rise > 1e-10 * dot(change, change))
        newest = step, change, torch.where(where, 1 / rise.masked_fill(~where, 1), 0)
        pairs = zip(self, newest, strict=True)
        rolled = (torch.cat([old[:, 1:], new[:, None]], 1) for old, new in pairs)
        return Memory(
            *(torch.where(column(where, old), new, old) for old, new in zip(self, rolled, strict=True))
        )

    def newton(self, grad: Tensor, free: Tensor) -> Tensor:
        """The inverse curvature times the gradient of the values that are free, by two loops (Nocedal, 1980)."""
        q, free = (grad * free).flatten(1), free.flatten(1)
        steps, changes = self.steps * free[:, None], self.changes * free[:, None]
        rise = (steps * changes).sum(2)
        weights = torch.where((self.weights > 0) & (rise > 0), 1 / rise.where(rise > 0, 1), 0)
        shares: list[Tensor] = []
        for k in reversed(range(weights.shape[1])):
            shares.append(weights[:, k] * dot(steps[:, k], q))
            q = q - shares[-1][:, None] * changes[:, k]
        q = q * self._scale(rise, changes, weights)[:, None]
        for k in range(weights.shape[1]):
            back = shares[-1 - k] - weights[:, k] * dot(changes[:, k], q)
            q = q + back[:, None] * steps[:, k]
        return q.view_as(grad)

    @staticmethod
    def _scale(rise: Tensor, changes: Tensor, weights: Tensor) -> Tensor:
        """How curved the newest step was, as a first guess of the curvature everywhere: 1 without one."""
        ratio = rise[:, -1] / dot(changes[:, -1], changes[:, -1]).clamp_min(1e-30)
        return torch.where(weights[:, -1] > 0, ratio, 1.0)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)


class Descent(NamedTuple):
    """Where the descent stands (the result, once the goal is reached there), and the point it tries next."""

    result: Tensor
    x: Tensor
    trial: Tensor
    value: Tensor
    slope: Tensor
    way: Tensor
    length: Tensor
    price: Tensor
    ball: Ball
    memory: Memory

    @classmethod
    def start(cls, ball: Ball, price: Tensor, m: int) -> "Descent":
        x, never = ball.center, torch.full_like(ball.eps, torch.inf)
        nothing, one = torch.zeros_like(x), torch.ones_like(never)
        return cls(x, x, x, never, nothing, nothing, one, price, ball, Memory.blank(x, m))

    def seen(self, value: Tensor, slope: Tensor, reached: Tensor) -> "Descent":
        """After asking the trial: taken if the value fell enough (Armijo), else a step of half the length is next."""
        step = self.trial - self.x
        fell = value <= self.value + 1e-4 * dot(self.slope.flatten(1), step.flatten(1))
        memory = self.memory.with_step(step, slope - self.slope, fell & self.value.isfinite())
        at, done = column(fell, step), column(reached, step)
        x = torch.where(at, self.trial, self.x)
        result = torch.where(at, torch.where(done, self.trial, self.ball.center), self.result)
        slope = torch.where(at, slope, self.slope)
        value = torch.where(fell, value, self.value)
        way = torch.where(at, downhill(memory, value, slope, x), self.way)
        length = torch.where(fell, 1.0, self.length / 2)
        trial = (x + column(length, x) * way).clamp(0, 1)
        return self._replace(
            result=result, x=x, trial=trial, value=value, slope=slope, way=way, length=length, memory=memory
        )


def downhill(memory: Memory, value: Tensor, slope: Tensor, x: Tensor) -> Tensor:
    """The quasi-Newton step of the values that do not press against the box; without a memory a plain one."""
    free = ~(((x <= 0) & (slope > 0)) | ((x >= 1) & (slope < 0)))
    plain = -slope * free
    way = -memory.newton(slope, free) * free
    descends = dot(way.flatten(1), slope.flatten(1)) < 0
    known = descends & (memory.weights[:, -1] > 0)
    steep = l2_norm(plain).clamp_min(1e-12)
    first = torch.minimum(value / steep, torch.ones_like(steep)) / steep
    return torch.where(column(known, x), way, column(first, x) * plain)


class BoxLBFGS(Attack):
    """The smallest change in L2 by L-BFGS on its squared size times c plus the loss, in [0, 1] (Szegedy et al., 2014).

    The loss is the cross-entropy of the target; without one, minus the log-probability of all classes but the label.
    The search over c, for each image its own, looks for the highest price of distance at which the way to the minimum
    still succeeds.
    """

    norms = (L2,)
    nearest = True

    steps: Count = 40
    """How many points are tried for each ``c``, those that the line search takes back included."""
    searches: Count = 10
    """How many values of ``c`` are tried."""
    memory: Count = 8
    """How many steps the curvature is guessed from."""
    c: Positive | None = None
    """The first price of distance; by default the one that would be right if the loss were linear around the image."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Descent, t: int) -> tuple[Descent, Tensor]:
            score, reached, grad = query.gradient(at.trial)
            assert grad is not None
            change = at.trial - at.ball.center
            value = at.price * change.square().flatten(1).sum(1) - score
            after = at.seen(value, only(2 * column(at.price, change) * change - grad, at.ball), reached)
            still = at.value.isfinite() & ((at.trial - at.x).flatten(1).abs().amax(1) < 1e-7)
            return after, still

        def climb(query: Query, price: Tensor, ball: Ball) -> Tensor:
            return iterate(step, Descent.start(ball, price, self.memory), query, self.steps)

        query = towards(query)
        first = query.gradient(ball.center)
        price = fair_price(first) if self.c is None else torch.full_like(ball.eps, self.c)
        return dearest(query, ball, ~first.reached, price, climb, self.searches, factor=4.0)
