"""Searches that see labels only, each written for one image and asked for many at once.

How many questions an image needs next depends on its own answers. So a search is a generator that belongs to one image:
it yields candidates and is told which of them reach the goal. The driver puts the questions of all images into common
passes, keeps the nearest success of each and stops each at its own budget; what a search does with its answers cannot
depend on its neighbours, and a larger budget only continues the same search.
"""

from collections.abc import Callable, Generator
from typing import NamedTuple

import torch
from torch import Tensor

from ..query import Query
from ..regions import Ball, Region
from ..rows import Rng, column

Found = Generator[Tensor, Tensor, Tensor]
"""Yields candidates [n, C, *], receives which are done [n] (on the CPU), returns the image it ends with."""
Search = Generator[Tensor, Tensor, None]
"""The same without an end of its own."""


class Seat(NamedTuple):
    """One image [1, C, *], where it may change, how change is measured, its own random numbers, others to begin at."""

    center: Tensor
    mask: Tensor | None
    within: Region
    rng: Rng
    starts: Tensor | None = None

    def at(self, change: Tensor) -> Tensor:
        """The images that differ by ``change`` [n, C, *], inside the mask and [0, 1]."""
        change = change if self.mask is None else change * self.mask
        return (self.center + change).clamp(0, 1)

    def back(self, x: Tensor, share: float) -> Tensor:
        """``x`` brought back until ``share`` of its distance is left: along the line in L2, clipped in Linf."""
        change = x - self.center
        return self.at(self.within.shrink(change, share * self.within.size(change)))

    def far(self, x: Tensor) -> float:
        return float(self.within.size(x - self.center))

    def normal(self, n: int = 1) -> Tensor:
        """Gaussian directions [n, C, *], zero outside the mask."""
        drawn = self.rng.normal(self.center.new_empty((1, n, *self.center.shape[1:])))[0]
        return drawn if self.mask is None else drawn * self.mask

    def smooth(self, share: float) -> Tensor:
        """A Gaussian direction of the lowest frequencies, a ``share`` of each axis' own: [1, C, *]."""
        space = self.center.shape[2:]
        low = [max(1, round(share * side)) for side in space]
        wave = self.rng.normal(self.center.new_empty((1, self.center.shape[1], *low)))
        for axis, (side, kept) in enumerate(zip(space, low, strict=True), 2):
            wave = (wave.movedim(axis, -1) @ cosines(side, kept, wave)).movedim(-1, axis)
        return wave if self.mask is None else wave * self.mask


def cosines(side: int, kept: int, like: Tensor) -> Tensor:
    """The first rows of the orthonormal cosine transform: [kept, side]."""
    place = torch.arange(side, dtype=like.dtype, device=like.device) + 0.5
    pitch = torch.arange(kept, dtype=like.dtype, device=like.device)[:, None]
    waves = (pitch * place * (torch.pi / side)).cos() * (2 / side) ** 0.5
    waves[0] *= 0.5**0.5
    return waves


def asked(query: Query, within: Region, ball: Ball, budget: int, search: Callable[[Seat], Search]) -> Tensor:
    """The nearest image that each row's ``search`` found within ``budget`` questions, the first about the image itself.

    An image that is done to begin with, and one for which nothing was found, is returned unchanged; the latter is
    noted.
    """
    best, done = ball.center.clone(), query.reached(ball.center)
    near = torch.full_like(ball.eps, torch.inf)
    left = {k: budget - 1 for k, over in enumerate(done.tolist()) if not over and budget > 1}
    seats = {k: search(_seat(query, within, ball, k)) for k in left}
    next_ones = {k: _next(seats[k], None) for k in left}
    while next_ones := {k: x[: left[k]] for k, x in next_ones.items() if x is not None and left[k]}:
        rows, x = _together(next_ones, best.device)
        flags = _answers(query, rows, x)
        _keep_nearest(best, near, rows, x, within.size(x - ball.center[rows]).where(flags, torch.inf))
        told = flags.cpu().split([len(part) for part in next_ones.values()])
        left |= {k: left[k] - len(part) for k, part in next_ones.items()}
        next_ones = {
            k: _next(seats[k], flag) if left[k] else None for k, flag in zip(next_ones, told, strict=True)
        }
    query.spent.lost[query.spent.rows[near.isinf() & ~done]] = True
    return best


def _seat(query: Query, within: Region, ball: Ball, k: int) -> Seat:
    mask = None if ball.mask is None else ball.mask[k : k + 1]
    return Seat(ball.center[k : k + 1], mask, within, query.rng[torch.tensor([k])], query.spent.starts)


def _next(search: Search, told: Tensor | None) -> Tensor | None:
    try:
        return next(search) if told is None else search.send(told)
    except StopIteration:
        return None


def _together(parts: dict[int, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Everybody's candidates as one batch, and whose each is."""
    rows = torch.tensor(list(parts)).repeat_interleave(torch.tensor([len(x) for x in parts.values()]))
    return rows.to(device), torch.cat(list(parts.values()))


def _answers(query: Query, rows: Tensor, x: Tensor) -> Tensor:
    """Which candidates are done, as many in one pass as the model holds."""
    room = query.model.capacity
    pairs = zip(rows.split(room), x.split(room), strict=True)
    return torch.cat([query[some].reached(part) for some, part in pairs])


def _keep_nearest(best: Tensor, near: Tensor, rows: Tensor, x: Tensor, sizes: Tensor) -> None:
    """Put each row's nearest success of this round into ``best`` where it is nearer than those before."""
    least = near.scatter_reduce(0, rows, sizes, "amin")
    hits = ((sizes == least[rows]) & (sizes < near[rows])).nonzero()[:, 0].flip(0)  # of equals the first
    for hit, row in zip(hits.tolist(), rows[hits].tolist(), strict=True):
        best[row] = x[hit]
    near.copy_(least)


def started(seat: Seat, tries: int) -> Generator[Tensor, Tensor, Tensor | None]:
    """An image that reaches the goal; None where none did of ``tries``.

    First those given, the nearest first, then random ones: noise, a coarse pattern or one grey level, in turn.
    """
    given = _given(seat)[:tries]
    for one in given:
        (done,) = yield (x := one[None])
        if done:
            return x
    for k in range(tries - len(given)):
        (done,) = yield (x := _guess(seat, k))
        if done:
            return x
    return None


def _given(seat: Seat) -> Tensor:
    if seat.starts is None:
        return seat.center[:0]
    x = seat.at(seat.starts - seat.center)
    return x[seat.within.size(x - seat.center).argsort(stable=True)]


def _guess(seat: Seat, k: int) -> Tensor:
    if k % 3 == 1:
        pattern = seat.smooth(4 / max(seat.center.shape[2:]))
        wanted = 0.5 + pattern * (0.4 / pattern.std(correction=0).clamp_min(1e-12))
    else:
        spread = seat.center if k % 3 == 0 else seat.center.flatten(1)[:, :1]
        drawn = seat.rng.uniform(spread, 0, 1)
        wanted = drawn if k % 3 == 0 else column(drawn, seat.center).expand_as(seat.center)
    return seat.at(wanted - seat.center)


def bisected(seat: Seat, x: Tensor, tolerance: float) -> Found:
    """The nearest success on the way from ``x``, one itself, back to the image; ``tolerance`` is a share of the way."""
    low, high, best = 0.0, 1.0, x
    while high - low > tolerance:
        middle = (low + high) / 2
        (done,) = yield (tried := seat.back(x, middle))
        low, high, best = (low, middle, tried) if done else (middle, high, best)
    return best
