"""Sparse changes found by random search, and steps along one basis vector at a time."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..loop import iterate
from ..objectives import Margin, Objective
from ..query import Query
from ..regions import L0, L2, Ball, Region
from ..rows import Rng, column
from ..spec import Count, Fraction, Positive
from .base import Attack
from .gradient import climbing
from .search import Boxes, choose, drawn, random_search, scheduled

DIVISORS = (2, 4, 5, 6, 8, 10, 12, 15, 20)
"""By how much fewer pixels change places as a search goes on (Croce et al., 2022, appendix A)."""


class SparseRS(Attack):
    """Random search over a few pixels, or over one small patch (Croce et al., 2022).

    Within ``L0(k)`` it moves some of ``k`` pixels at a time, in black, white or pure colours. As a patch it is a square
    of the largest whole side with at most ``k`` positions (``L0(25)``: 5 x 5) at any place, so the same region bounds
    it; ``Mask(L0(25), box)`` keeps either to a part of the image.
    """

    norms = (L0,)
    asks = "scores"

    kind: Literal["pixels", "patch"] = "pixels"
    queries: Count = 5000
    """How often to ask about an image at most; one that has flipped is asked about no more."""
    share: Fraction = 0.3
    """How many of the pixels change places at first, or how much of the patch changes colour."""
    loss: Objective = Margin()
    """What to climb."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        query = climbing(query, self.loss)
        if self.kind == "patch":
            return random_search(query, ball, _blank(ball), self._moved, pasted, self.queries)
        blank = Pixels(torch.zeros_like(ball.center[:, :1], dtype=torch.bool), ball.center)
        return random_search(query, ball, blank, self._swapped, coloured, self.queries)

    def _swapped(self, rng: Rng, ball: Ball, best: "Pixels", t: int) -> "Pixels":
        """Some chosen pixels given up for as many others, in new colours; at first all are chosen at random."""
        lots = rng.uniform(ball.center[:, :1].double(), 0, 1)
        lots = lots if ball.mask is None else lots.masked_fill(ball.mask == 0, 2.0)
        budget = ball.eps.floor().long()
        if t == 0:
            chosen = lowest(lots, budget)
            budget = torch.minimum(budget, _count(lots < 2))
            chosen = chosen & (lots < 2)
        else:
            done = sum(
                10_000 * t // self.queries > after for after in (50, 200, 500, 1000, 2000, 4000, 6000, 8000)
            )
            some = (self.share / DIVISORS[done] * budget).floor().long().clamp_min(1)
            free = ~best.chosen & (lots < 2)
            some = torch.minimum(some, _count(free))
            given_up = lowest(lots.masked_fill(~best.chosen, 3.0), some) & best.chosen
            taken = lowest(lots.masked_fill(~free, 3.0), some) & free
            chosen = (best.chosen & ~given_up) | taken
        fresh = chosen & ~best.chosen if t else chosen
        colours = (rng.sign(ball.center) + 1) / 2
        return Pixels(chosen, torch.where(fresh, colours, best.colours))

    def _moved(self, rng: Rng, ball: Ball, best: "Patch", t: int) -> "Patch":
        """Another place for the patch each fifth time (more seldom later), else a square of it in another colour."""
        around = Boxes.around(ball)
        sides = torch.minimum(_side(ball)[:, None], around.sides)
        room = around.sides - sides + 1
        if t == 0:
            line = ball.center.new_empty(
                *ball.center.shape[:2], *[1] * (ball.center.ndim - 3), ball.center.shape[-1]
            )
            stripes = ((rng.sign(line) + 1) / 2).expand_as(ball.center)
            return Patch(stripes, around.corner + drawn(rng, room), sides)
        if t % (5 * (1 + t // 1000)) == 0:
            reach = (0.75 * (1 - t / self.queries) * around.sides).floor().long()
            away = best.corner - around.corner + drawn(rng, 2 * reach + 1) - reach
            return best._replace(corner=around.corner + torch.minimum(away.clamp_min(0), room - 1))
        own = Boxes(torch.zeros_like(sides), sides)
        square = own.inside(self.share / 2 ** scheduled(t, self.queries), rng).mask(ball.center.shape[2:])
        way = rng.sign(ball.center.new_empty(ball.center.shape[:2]))
        changed = (best.pattern + way.view(*way.shape, *[1] * (ball.center.ndim - 2))).clamp(0, 1)
        return best._replace(pattern=torch.where(square, changed, best.pattern))


class Pixels(NamedTuple):
    """Which positions change [B, 1, *] and to what [B, C, *]."""

    chosen: Tensor
    colours: Tensor


def coloured(found: Pixels, ball: Ball) -> Tensor:
    return _as_projected(torch.where(found.chosen, found.colours, ball.center), ball)


class Patch(NamedTuple):
    """A pattern, kept in the first corner of an image [B, C, *], and the box it is shown in."""

    pattern: Tensor
    corner: Tensor
    sides: Tensor


def _blank(ball: Ball) -> Patch:
    corner = torch.zeros_like(Boxes.around(ball).corner)
    return Patch(ball.center, corner, corner)


def pasted(found: Patch, ball: Ball) -> Tensor:
    """The images with their patches, kept to the mask."""
    x, space = ball.center, ball.center.shape[2:]
    box = Boxes(found.corner, found.sides)
    source = torch.zeros_like(x[:, :1], dtype=torch.long)
    for offset, side in zip(box.offsets(space), space, strict=True):
        source = source * side + offset.clamp(0, side - 1)
    shown = found.pattern.flatten(2).gather(2, source.flatten(2).expand(-1, x.shape[1], -1)).view_as(x)
    here = box.mask(space) if ball.mask is None else box.mask(space) & (ball.mask > 0)
    return _as_projected(torch.where(here, shown, x), ball)


def _as_projected(x: Tensor, ball: Ball) -> Tensor:
    """The rounding of a projection onto the region, so that what was asked about is what is returned."""
    return (ball.center + (x - ball.center)).clamp(0, 1)


def _side(ball: Ball) -> Tensor:
    """The largest whole side of a cube with at most eps positions: [B]."""
    dims = ball.center.ndim - 2
    return (ball.eps.double() ** (1 / dims) + 1e-6).floor().long().clamp_min(1)


def lowest(lots: Tensor, count: Tensor) -> Tensor:
    """The ``count`` positions of each row that drew the lowest lots: bool like ``lots``."""
    order = lots.flatten(1).argsort(1)
    rank = torch.arange(order.shape[1], device=lots.device).expand_as(order)
    return (torch.zeros_like(order).scatter(1, order, rank) < count[:, None]).view_as(lots)


def _count(flags: Tensor) -> Tensor:
    return flags.flatten(1).sum(1)


class Walk(NamedTuple):
    """The best image so far and its score; the order of the directions, whose turn it is and on which side."""

    x: Tensor
    score: Tensor
    order: Tensor
    turn: Tensor
    side: Tensor
    ball: Ball


class SimBA(Attack):
    """A step along one basis vector after the other, or back, kept where it helps (Guo et al., 2019).

    ``T`` kept steps are ``step * sqrt(T)`` long, so it is bounded in L2. The order is random; the basis is single
    values or the waves of the discrete cosine transform, the lowest first, over any number of dimensions.
    """

    norms = (L2,)
    asks = "scores"

    basis: Literal["pixel", "dct"] = "pixel"
    """Single values, or waves across the whole image."""
    queries: Count = 5000
    """How often to ask about an image at most; one that has flipped is asked about no more."""
    step: Positive = 0.2
    """How long a step is."""
    low: Fraction = 0.125
    """Of waves, those with frequencies up to this share of all come first."""
    loss: Objective = Margin()
    """What to climb."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        lines = [_lines(side, self.basis, ball.center) for side in ball.center.shape[2:]]

        def step(query: Query, at: Walk, t: int) -> tuple[Walk, Tensor]:
            way = self.step * column(at.side, at.x) * direction(at.order, at.turn, lines, at.x)
            x = within.project(at.x + way, at.ball) if t else at.x
            score, reached, _ = query.ask(x)
            better = (score > at.score) | reached
            kept, best = choose(better, (x, score), (at.x, at.score))
            over = (better | (at.side < 0)) if t else torch.zeros_like(better)
            turn, side = at.turn + over, torch.where(over | (t == 0), 1.0, -1.0).to(at.side)
            return at._replace(x=kept, score=best, turn=turn, side=side), reached

        query, x = climbing(query, self.loss), ball.center
        low, turn = (
            torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device),
            torch.zeros(len(x)),
        )
        start = Walk(
            x, low, self._order(ball, query.rng), turn.long().to(x.device), torch.ones_like(ball.eps), ball
        )
        return iterate(step, start, query, self.queries, after=True)

    def _order(self, ball: Ball, rng: Rng) -> Tensor:
        """The directions in a random order, low frequencies and what the mask leaves free first: [B, C * positions]."""
        lots = rng.uniform(ball.center.double(), 0, 1)
        if self.basis == "pixel":
            late = torch.zeros_like(lots) if ball.mask is None else (ball.mask == 0).expand_as(lots)
        else:
            late = torch.zeros_like(lots)
            for d, side in enumerate(lots.shape[2:]):
                high = torch.arange(side, device=lots.device) >= max(1, math.ceil(self.low * side))
                late = late.maximum(high.view(*[-1 if d == e else 1 for e in range(lots.ndim - 2)]).to(lots))
        return (lots + late).flatten(1).argsort(1)


def _lines(side: int, basis: str, like: Tensor) -> Tensor:
    """An orthonormal basis of one dimension, a vector a row."""
    if basis == "pixel":
        return torch.eye(side, dtype=like.dtype, device=like.device)
    k = torch.arange(side, dtype=torch.float64)
    waves = torch.cos(math.pi / side * (k + 0.5) * k[:, None]) * math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    return waves.to(like)


def direction(order: Tensor, turn: Tensor, lines: list[Tensor], like: Tensor) -> Tensor:
    """The basis vector whose turn it is, in one channel: [B, C, *]."""
    index = order.gather(1, (turn % order.shape[1])[:, None])[:, 0]
    wave = torch.ones_like(like[:, :1])
    for d in range(len(lines) - 1, -1, -1):
        side = len(lines[d])
        shape = [-1, 1, *[side if d == e else 1 for e in range(len(lines))]]
        wave = wave * lines[d][index % side].view(shape)
        index = index // side
    channel = torch.nn.functional.one_hot(index, like.shape[1]).to(like)
    return wave * channel.view(*like.shape[:2], *[1] * len(lines))
