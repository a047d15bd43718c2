"""Attacks that follow the gradient and let the allowed size of the change shrink while the image is flipped."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..loop import iterate
from ..objectives import LogOdds, Margin, Objective
from ..query import Query
from ..regions import L0, L1, L2, Ball, Linf, Norm, Region, only, unit
from ..rows import column
from ..slopes import Exact, Slope
from ..spec import Count, Fraction, Natural, Positive
from .base import Attack
from .boundary import by_margin
from .closing import Nearest, closer, fewer
from .gradient import climbing

START: dict[type[Norm], float] = {L0: 0.3, L1: 0.03, L2: 0.03, Linf: 0.03}
"""The first size, as a share of the largest there is."""


class Search(NamedTuple):
    """The nearest flipped image so far, and where the search is: inside a region of size ``eps``."""

    best: Tensor
    size: Tensor
    x: Tensor
    eps: Tensor
    ball: Ball
    since: Tensor
    """How many steps each row took before one flipped it."""
    far: Tensor
    """The unit of length of each row."""

    @classmethod
    def begun(cls, ball: Ball, eps: Tensor, far: Tensor) -> "Search":
        """At the image itself, in a region of its own size."""
        return cls(*Nearest.nothing(ball), ball.center, eps, ball, torch.zeros_like(eps), far)

    def seen(self, within: Region, flipped: Tensor, t: int) -> tuple["Search", Tensor]:
        """With the image it is at taken note of, and which rows are done: those flipped to begin with."""
        size = within.size(self.x - self.ball.center)
        best = Nearest(self.best, self.size).or_nearer(self.x, size, flipped)
        since = torch.where(best.size.isfinite(), self.since, t)
        return self._replace(best=best.x, size=best.size, since=since), flipped & (size == 0)

    def fading(self, start: float, end: float, t: int, steps: int) -> Tensor:
        """From start to end along half a wave, which begins once an image has flipped: [B]."""
        share = (t - self.since) / (steps - self.since)
        return end + (start - end) * (1 + torch.cos(math.pi * share)) / 2


def cosine(start: float, end: float, t: int, steps: int) -> float:
    """From start to end along half a wave."""
    return end + (start - end) * (1 + math.cos(math.pi * t / steps)) / 2


class DDN(Attack):
    """Steps that shrink, each followed by a change of the allowed size (Rony et al., 2019, arXiv:1811.09600).

    The size grows by ``gamma`` while the image keeps its label and shrinks by it while flipped. Unlike there, both size
    and steps are in distances of the image from the boundary to first order, and they and ``gamma`` fade along half a
    wave from the first flip on.
    """

    norms = (L2,)
    nearest = True

    steps: Count = 100
    loss: Objective = LogOdds()
    """What to climb; the slope points where that of the paper's cross-entropy does, but never vanishes."""
    size: Positive | None = None
    """Of the first change, in distances of the boundary to first order; by default a tenth of the steps, at most 10.

    Beginning far out finds other ways to the boundary than the gradient at the image shows.
    """
    gamma: Fraction = 0.2
    """By what share the size changes at first."""
    last_gamma: Fraction = 0.01
    """By what share the size changes in the end."""
    first: Positive = 0.5
    """Length of the first step, in the same distances."""
    last: Positive = 0.01
    """Length of the last step, likewise."""
    halvings: Natural = 4
    """Of the last quarter of the way back to the image, at the end."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Search, t: int) -> tuple[Search, Tensor]:
            answer = self.slope(query, at.x)
            at, done = at.seen(within, answer.reached, t)
            gamma = at.fading(self.gamma, self.last_gamma, t, self.steps)
            eps = at.eps * torch.where(answer.reached, 1 - gamma, 1 + gamma)
            eps = torch.minimum(eps, at.ball.eps)
            length = column(at.fading(self.first, self.last, t, self.steps) * at.far, at.x)
            delta = at.x - at.ball.center + length * unit(free(answer.slope, at.x, at.ball))
            x = (at.ball.center + column(eps, delta) * unit(delta)).clamp(0, 1)
            return at._replace(x=x, eps=eps), done

        far = first_order(self.slope(by_margin(query), ball.center), within, ball.center, ball).minimum(
            ball.eps
        )
        eps = ((self.size or min(self.steps / 10, 10.0)) * far).minimum(ball.eps)
        return searched(step, Search.begun(ball, eps, far), climbing(query, self.loss), self, within)


class FMN(Attack):
    """The same in every norm, the first size being the distance of the boundary to first order (Pintor et al., 2021).

    A step goes up the gradient, then back into a region of a size that grows by ``gamma`` while the image keeps its
    label and shrinks by it while flipped; both steps and ``gamma`` fade along half a wave (arXiv:2102.12827). Unlike
    there, the wave begins with the first flip, values at 0 or 1 that would go further take no part in a step, steps but
    those in L0 are in units of the size of the region, which in Linf and L2 grows by a tenth a step at most until an
    image has flipped, and in Linf by the sign; in L0 the region begins with three in ten positions.
    """

    norms = (L2, Linf, L1, L0)
    nearest = True

    steps: Count = 100
    loss: Objective = Margin()
    """What to climb."""
    gamma: Fraction = 0.15
    """By what share the size changes at first."""
    last_gamma: Fraction = 0.001
    """By what share the size changes in the end."""
    first: Positive = 1.0
    """Length of the first step: in Linf and L2 in halves of the region's size, in L0 of the value that moves most.

    In L1 also of that value, but at most an eighth of the region's size, and all values together five times that size.
    """
    last: Positive = 0.01
    """Length of the last step, likewise."""
    halvings: Natural = 4
    """Of the last quarter of the way back to the image, at the end."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Search, t: int) -> tuple[Search, Tensor]:
            answer = self.slope(query, at.x)
            at, done = at.seen(within, answer.reached, t)
            gamma = at.fading(self.gamma, self.last_gamma, t, self.steps)
            eps = torch.minimum(self._eps(within, at, answer, gamma), at.ball.eps)
            length = at.fading(self.first, self.last, t, self.steps)
            x = at.x + self._step(within, free(answer.slope, at.x, at.ball), eps, length)
            return at._replace(x=within.project(x, at.ball._replace(eps=eps)), eps=eps), done

        whole = within.size(torch.ones_like(ball.center))
        eps = (START[within.norm] * whole).ceil() if within.norm is L0 else START[within.norm] * whole
        return searched(step, Search.begun(ball, eps, eps), climbing(query, self.loss), self, within)

    def _step(self, within: Region, slope: Tensor, eps: Tensor, length: Tensor) -> Tensor:
        if within.norm in (Linf, L2):
            return column(length * eps / 2, slope) * within.ascend(slope)
        way = largest(slope)
        if within.norm is L1:
            length = length * torch.minimum(5 * eps / within.size(way).clamp_min(1e-12), eps / 8).clamp_max(1)
        return column(length, way) * way

    def _eps(self, within: Region, at: Search, answer: Any, gamma: Tensor) -> Tensor:
        if within.norm is L0:
            less = torch.minimum(torch.minimum(at.eps - 1, (at.eps * (1 - gamma)).floor()), at.size)
            more = torch.maximum(at.eps + 1, (at.eps * (1 + gamma)).floor())
            return torch.where(answer.reached, less, more).clamp_min(1)
        away = first_order(answer, within, at.x, at.ball)
        beyond = (within.size(at.x - at.ball.center) + away) * (1 + gamma)
        if within.norm is not L1:
            beyond = torch.minimum(beyond, at.eps * 1.1)
        less = torch.minimum(at.eps, at.size) * (1 - gamma)
        more = torch.where(at.size.isfinite(), at.eps * (1 + gamma), beyond)
        return torch.where(answer.reached, less, more)


class Sparse(NamedTuple):
    """The nearest flipped image so far, where the search is, and below what size a change is dropped."""

    best: Tensor
    size: Tensor
    x: Tensor
    threshold: Tensor
    mean: Tensor
    square: Tensor
    ball: Ball


class SigmaZero(Attack):
    """A smooth count of changed positions is lowered, small changes dropped (Cinà et al., 2025, arXiv:2402.01879).

    Unlike there, a position counts once for all its channels, as in :class:`L0`.
    """

    norms = (L0,)
    nearest = True

    steps: Count = 100
    loss: Objective = Margin()
    """What to climb."""
    first: Positive = 1.0
    """Length of the first step; the last is a tenth of it."""
    sigma: Positive = 0.001
    """How sharply a change counts as one: ``change² / (change² + sigma)``."""
    threshold: Fraction = 0.3
    """The size below which changes are dropped at first."""
    change: Fraction = 0.01
    """By how much that size falls while the image keeps its label, and rises while flipped."""
    halvings: Natural = 3
    """Of the number of positions, at the end: those that changed least go first."""
    drops: Natural = 10
    """How many of what is left are then tried to be put back, one after the other, likewise."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Sparse, t: int) -> tuple[Sparse, Tensor]:
            answer = self.slope(query, at.x)
            delta = at.x - at.ball.center
            size = within.size(delta)
            best = Nearest(at.best, at.size).or_nearer(at.x, size, answer.reached)
            down = self._down(delta, only(answer.slope, at.ball), answer.reached)
            mean, square = torch.lerp(down, at.mean, 0.9), torch.lerp(down.square(), at.square, 0.999)
            way = mean / (1 - 0.9 ** (t + 1)) / ((square / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8)
            length = cosine(self.first, self.first / 10, t, self.steps)
            x = (at.x - length * only(way, at.ball)).clamp(0, 1)
            sign = torch.where(answer.reached, 1.0, -1.0).to(at.threshold)
            threshold = (at.threshold + self.change * length * sign).clamp(0, 1)
            delta = x - at.ball.center
            kept = delta.abs().amax(1, keepdim=True) >= column(threshold, x)
            x = at.ball.center + delta * kept
            at = Sparse(best.x, best.size, x.clamp(0, 1), threshold, mean, square, at.ball)
            return at, answer.reached & (size == 0)

        nothing, zero = Nearest.nothing(ball), torch.zeros_like(ball.center)
        at = Sparse(*nothing, ball.center, torch.full_like(ball.eps, self.threshold), zero, zero, ball)
        query = climbing(query, self.loss)
        return fewer(query, within, ball, searched(step, at, query, self, within), self.drops)

    def _down(self, delta: Tensor, up: Tensor, reached: Tensor) -> Tensor:
        """The paper's gradient: of the loss while the image keeps its label, and of the smooth count always."""
        share = delta.square().sum(1, keepdim=True) + self.sigma
        count = 2 * self.sigma * delta / share.square() / delta[0, :1].numel()
        loss = largest(up) * column(torch.where(reached, 0.0, 1.0).to(up), up)
        return largest(count - loss)


def free(slope: Tensor, x: Tensor, ball: Ball) -> Tensor:
    """The slope of the values that have room to go up it."""
    return only(slope * torch.where(slope > 0, x < 1, x > 0), ball)


def first_order(answer: Any, within: Region, x: Tensor, ball: Ball) -> Tensor:
    """How far the score's zero is if the score is linear and only values that have room move."""
    return (answer.score.abs() / within.gain(free(answer.slope, x, ball)).clamp_min(1e-12)).to(ball.eps)


def largest(t: Tensor) -> Tensor:
    """Each row with its largest value at 1; a row of zeros stays."""
    return t / column(t.flatten(1).abs().amax(1).clamp_min(torch.finfo(t.dtype).tiny), t)


def searched(step: Any, at: Any, query: Query, attack: Any, within: Region) -> Tensor:
    """The best that steps have found, brought closer at the end."""
    found = iterate(step, at, query, attack.steps)
    return closer(query, within, at.ball, found, attack.halvings)
