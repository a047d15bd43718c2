"""Windows that cover an image, and images seen without one each."""

from abc import ABC
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from ..errors import InputError
from ..fills import Fill, filling
from ..partial.changed import Base
from ..partial.images import changed
from ..query import Query
from .base import Attribution

SHARE = 7
"""The default window is one part in so many of each side."""
T = TypeVar("T")


class Windows(NamedTuple):
    """Windows of one size that cover images of ``space``: where they begin along each dimension."""

    lines: tuple[Tensor, ...]
    sides: tuple[int, ...]
    space: tuple[int, ...]

    @classmethod
    def over(cls, space: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...]) -> "Windows":
        sides = _per_dimension(window, space, "window") or tuple(max(1, round(n / SHARE)) for n in space)
        steps = _per_dimension(stride, space, "stride") or tuple(max(1, n // 2) for n in sides)
        if any(a > b for a, b in zip(sides, space, strict=True)):
            raise InputError(
                f"a window of {list(sides)} does not fit into images of {list(space)}", "make it smaller"
            )
        if any(s > n for s, n in zip(steps, sides, strict=True)):
            raise InputError(
                f"with a stride of {list(steps)} windows of {list(sides)} leave gaps",
                "a stride is at most a window",
            )
        lines = (
            torch.tensor(sorted({*range(0, side - n + 1, step), side - n}))
            for side, n, step in zip(space, sides, steps, strict=True)
        )
        return cls(tuple(lines), sides, space)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are along each dimension."""
        return tuple(map(len, self.lines))

    @property
    def corners(self) -> Tensor:
        """Their first positions: [W, dims]."""
        return torch.cartesian_prod(*self.lines).view(-1, len(self.space))

    def places(self, corners: Tensor) -> list[tuple[slice, ...]]:
        return [tuple(slice(a, a + n) for a, n in zip(c, self.sides, strict=True)) for c in corners.tolist()]

    def spread(self, values: Tensor) -> Tensor:
        """At each position the mean over the windows that cover it: [B, W] -> [B, 1, *space]."""
        covers: list[Tensor] = []
        for line, n, side in zip(self.lines, self.sides, self.space, strict=True):
            at = torch.arange(side)[:, None]
            inside = ((at >= line) & (at < line + n)).to(values)
            covers.append(inside / inside.sum(1, keepdim=True))
        return along(values.unflatten(1, self.shape), covers)[:, None]

    def nearest(self, values: Tensor) -> Tensor:
        """At each position the value of the window whose middle is nearest: [B, W] -> [B, *space]."""
        out = values.unflatten(1, self.shape)
        for d, (line, n, side) in enumerate(zip(self.lines, self.sides, self.space, strict=True), 1):
            middle = line + (n - 1) / 2
            which = (torch.arange(side)[:, None] - middle).abs().argmin(1)
            out = out.index_select(d, which.to(values.device))
        return out


def along(t: Tensor, matrices: list[Tensor]) -> Tensor:
    """A matrix [m, n] applied along each dimension but the first: [B, n, ...] -> [B, m, ...]."""
    for d, matrix in enumerate(matrices, 1):
        t = (t.movedim(d, -1) @ matrix.to(t).mT).movedim(-1, d)
    return t


class Windowed(Attribution, ABC):
    """What hides a window of the image at a time."""

    asks = "scores"

    window: tuple[int, ...] = ()
    """Its sides, one number for all or one for each dimension; by default a seventh of the image's, at least 1."""
    stride: tuple[int, ...] = ()
    """From one window to the next, likewise; by default half a window."""
    fill: Fill = "inpaint"
    """What is put there: a line across from what lies around, a blurred image, the mean colour, black, or noise.

    It decides what is found: a window of the mean grey in a dark lung looks like a finding of its own.
    """

    def hider(self, query: Query, x: Tensor) -> "Hider":
        query.model.need("scores", query.who)
        return Hider(query, x, self.fill, Windows.over(tuple(x.shape[2:]), self.window, self.stride))


class Hider:
    """Images, the windows over them, and what is put there."""

    def __init__(self, query: Query, x: Tensor, fill: Fill, grid: Windows):
        self.query, self.x, self.grid = query, x, grid
        self._put, self._base = filling(x, fill, query.rng), Base(x)
        self._corners = grid.corners.to(x.device)

    def ask(
        self, wanted: Tensor, read: Callable[[Query, Tensor, Tensor], T]
    ) -> Iterator[tuple[tuple[Tensor, Tensor], T]]:
        """What ``read`` says of images without each wanted window [B, W], some at a time, with their rows and windows.

        ``read`` is given a query about them, the images, and their rows.
        """
        windows, rows = wanted.T.nonzero(as_tuple=True)
        room = max(1, self.query.model.capacity)
        for window, row in zip(windows.split(room), rows.split(room), strict=True) if len(rows) else ():
            at = self._corners[window]
            crop = self._put(row, at, self.grid.sides)
            hidden = changed(self._base, row, at, crop, self.query.model.net)
            yield (row, window), read(self.query[row], hidden, row)

    def all(self) -> Tensor:
        """Every window of every image: [B, W]."""
        return torch.ones(len(self.x), len(self._corners), dtype=torch.bool, device=self.x.device)

    def scores(self, wanted: Tensor) -> Tensor:
        """The score without each wanted window, 0 elsewhere: [B, W]."""
        out = torch.zeros(wanted.shape, dtype=torch.promote_types(self.x.dtype, torch.float32)).to(
            self.x.device
        )
        for place, score in self.ask(wanted, lambda query, hidden, _: query.ask(hidden).score):
            out[place] = score.to(out)
        return out


def _per_dimension(numbers: tuple[int, ...], space: tuple[int, ...], what: str) -> tuple[int, ...]:
    if len(numbers) not in (0, 1, len(space)) or any(n < 1 for n in numbers):
        raise InputError(
            f"{what} is one number of at least 1, or one for each of {len(space)} dimensions, not {numbers}"
        )
    return numbers * len(space) if len(numbers) == 1 else numbers
