"""Attacks that are told labels only: walks along the boundary between right and wrong, towards the image.

Each starts at an image that is wrong already: one of the ``starts`` that the door was given, the nearest first, else a
random one. Random images are seldom of a certain class, so towards a target ``starts`` should hold some of it. Where
none is found within ``tries`` questions, the image is returned unchanged, counts as not fooled and is marked as
``no_start``. ``queries`` is a limit per image that counts every question of the search; the door's own verdict is one
more.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from itertools import count
from math import cos, exp, radians, sin
from typing import final

import torch
from torch import Tensor

from ..query import Query
from ..region import l2_norm, unit
from ..regions import L2, Ball, Linf, Region
from ..spec import Count, Fraction, Natural, Positive
from .asking import Found, Search, Seat, asked, bisected, started
from .base import Attack

BLOCK = 20
"""How many probes one image asks about at a time; so memory does not grow with their number."""


class Asking(Attack, ABC):
    """A search that begins at an image that is wrong already and goes back towards the image itself."""

    nearest = True
    begins = True
    asks = "labels"

    queries: Count = 1000
    """How many questions each image may cost."""
    tries: Count = 100
    """How many of them may go into finding a start."""

    @abstractmethod
    def search(self, seat: Seat, x: Tensor) -> Search:
        """One image's search, from an image ``x`` that reaches the goal: questions without an end of its own."""

    @final
    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        return asked(query, within, ball, self.queries, self._begun)

    def _begun(self, seat: Seat) -> Search:
        x = yield from started(seat, self.tries)
        if x is not None:
            yield from self.search(seat, x)


class BoundaryWalk(Asking):
    """A random walk along the boundary, a little nearer with each step (Brendel et al., 2018).

    It asks about one candidate at a time, and needs thousands of questions where :class:`SurFree` needs hundreds.
    """

    norms = (L2,)

    around: Positive = 0.1
    """Length of the first step along the boundary, a share of the distance; it adapts until half of them stay wrong."""
    towards: Positive = 0.05
    """Length of the first step towards the image, likewise; it adapts until a quarter of both together stay wrong."""

    def search(self, seat: Seat, x: Tensor) -> Search:
        x = yield from bisected(seat, x, 0.01)
        around, towards = self.around, self.towards
        for t in count():
            sphere = self._sphere(seat, x, around)
            nearer = seat.at((sphere - seat.center) * (1 - towards))
            look = t % 5 == 0  # how often the step along the boundary alone stays wrong, to adapt its length
            answers = yield torch.cat([nearer, sphere]) if look else nearer
            x = nearer if answers[0] else x
            towards = min(0.5, towards * exp(0.2 * (float(answers[0]) - 0.25)))
            if look:
                around = min(1.0, around * exp(0.6 * (float(answers[1]) - 0.5)))

    def _sphere(self, seat: Seat, x: Tensor, length: float) -> Tensor:
        """A random step across the line to the image, brought back to the distance of ``x``."""
        change = x - seat.center
        size = l2_norm(change)
        across = across_all(seat.normal(), [unit(change)])
        return seat.at(unit(change + length * size * across) * size)


class HopSkipJump(Asking):
    """Steps along the boundary's normal, estimated from which of many small probes are wrong (Chen et al., 2020)."""

    norms = (L2, Linf)

    probes: Count = 50
    """How many probes the first estimate is made of; the t-th takes the square root of t as many; the paper's: 100."""
    memory: Fraction = 0.5
    """How much the last normal counts beside a new estimate, as both points are near each other; 0 is the paper's."""
    gamma: Positive = 1.0
    """How close to the boundary, and how far out the probes are: that many times the paper's."""

    def search(self, seat: Seat, x: Tensor) -> Search:
        close, reach = self._scales(seat)
        x = yield from bisected(seat, x, close)
        normal = torch.zeros_like(x)
        for t in count(1):
            radius = 0.1 if t == 1 else reach * seat.far(x)
            fresh = yield from _normal(seat, x, radius, round(self.probes * t**0.5))
            normal = unit(unit(fresh) + self.memory * normal)
            x = yield from _jumped(seat, x, normal, seat.far(x) / t**0.5)
            x = yield from bisected(seat, x, close)

    def _scales(self, seat: Seat) -> tuple[float, float]:
        """How exactly the boundary is found, and how far out the probes are, as shares of the distance.

        Never so small that single precision would not tell two probes apart.
        """
        d = seat.center[0].numel()
        theta = self.gamma / (d**1.5 if seat.within.norm is L2 else d**2)
        reach = (d**0.5 if seat.within.norm is L2 else d) * theta
        return max(theta, 1e-5), max(reach, 1e-5 * d**0.5)


def _normal(seat: Seat, x: Tensor, radius: float, probes: int) -> Found:
    """The direction in which more of the probes about ``x`` are wrong, less what all of them share: [1, C, *]."""
    wrong, drawn, hits = torch.zeros_like(x), torch.zeros_like(x), 0
    for left in range(probes, 0, -BLOCK):
        probe = seat.at(x - seat.center + radius * unit(seat.normal(min(BLOCK, left))))
        flags = yield probe
        steps = probe - x  # less than was drawn where [0, 1] ends
        wrong += steps[flags.to(x.device)].sum(0, keepdim=True)
        drawn += steps.sum(0, keepdim=True)
        hits += int(flags.sum())
    if hits in (0, probes):  # all on one side: straight away from it
        return drawn if hits else -drawn
    return wrong - drawn * (hits / probes)


def _jumped(seat: Seat, x: Tensor, normal: Tensor, length: float) -> Found:
    """``x`` moved along the normal by ``length``, halved until it stays wrong."""
    step = seat.within.ascend(normal)
    for halving in range(20):
        (done,) = yield (tried := seat.at(x - seat.center + length * 0.5**halving * step))
        if done:
            return tried
    return x


class SurFree(Asking):
    """Turns about the image in random planes, down the circle on which a flat boundary would be (Maho et al., 2021).

    No question goes into estimating a normal, so it is far ahead where questions are few.
    """

    norms = (L2,)

    smooth: Fraction = 0.5
    """The share of each axis' frequencies, the lowest, that directions are made of; 1 for white noise."""
    widest: Positive = 30.0
    """The largest angle tried first, in degrees; it adapts."""
    memory: Natural = 100
    """How many of the last directions a new one is at right angles to."""

    def search(self, seat: Seat, x: Tensor) -> Search:
        x = yield from bisected(seat, x, 0.01)
        widest, used = radians(self.widest), seat.center.flatten(1)[:0]
        while True:
            line, drawn = unit(x - seat.center), seat.smooth(self.smooth)
            across = across_all(drawn, [used, line])
            angle = yield from _turned(seat, x, line, across, widest)
            widest = min(widest * (0.98 if angle is None else 1 / 0.98), radians(85))
            keep = min(self.memory, int(self.smooth * drawn.numel() / 2))
            used = torch.cat([used, across.flatten(1)])[max(0, len(used) + 1 - keep) :]
            x = x if angle is None else _circle(seat, x, line, across, angle)


def _circle(seat: Seat, x: Tensor, line: Tensor, across: Tensor, angle: float) -> Tensor:
    """The image seen under ``angle`` on the circle whose diameter is the line from the image to ``x``."""
    size = l2_norm(x - seat.center).item() * cos(angle)
    return seat.at(size * (cos(angle) * line + sin(angle) * across))


def _turned(
    seat: Seat, x: Tensor, line: Tensor, across: Tensor, widest: float
) -> Generator[Tensor, Tensor, float | None]:
    """About the largest angle to either side that stays wrong; None where none does."""
    for share in (1, -1, 2 / 3, -2 / 3, 1 / 3, -1 / 3):
        low = share * widest
        (done,) = yield _circle(seat, x, line, across, low)
        if done:
            break
    else:
        return None
    high = low + (low / abs(share)) / 3
    for _ in range(3):
        middle = (low + high) / 2
        (done,) = yield _circle(seat, x, line, across, middle)
        low, high = (middle, high) if done else (low, middle)
    return low


def across_all(direction: Tensor, others: Sequence[Tensor]) -> Tensor:
    """What is left of a direction without its part along each set of orthonormal ones, at length 1."""
    flat = direction.flatten(1)
    for some in (other.flatten(1) for other in others):
        flat = flat - (flat @ some.mT) @ some
    return unit(flat.view_as(direction))
