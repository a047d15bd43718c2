"""Hide a part of the image and watch the score."""

from collections.abc import Iterator
from typing import NamedTuple

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


class Occlusion(Attribution):
    """How much the score falls where a window hides the image (Zeiler & Fergus, 2014).

    Each position has the mean over the windows that cover it. Exact, and no dearer than needed: a network of
    convolutions computes only what a window changes. For a linear model a window's fall is the sum of its weights times
    what was hidden.
    """

    window: tuple[int, ...] = ()
    """Its sides, one number for all or one for each dimension; by default a seventh of the image's, at least 1."""
    stride: tuple[int, ...] = ()
    """From one window to the next, likewise; by default half a window."""
    fill: Fill = "inpaint"
    """What is put there: a line across from what lies around, a blurred image, the mean colour, black, or noise.

    It decides what is found: a window of the mean grey in a dark lung looks like a finding of its own.
    """

    def explain(self, query: Query, x: Tensor) -> Tensor:
        query.model.need("scores", query.who)
        heat = torch.zeros_like(x[:, :1])
        seen = torch.zeros_like(heat[0, 0])
        for places, falls in self.falls(query, x):
            for place, fall in zip(places, falls, strict=True):
                heat[(slice(None), 0, *place)] += fall.view(-1, *[1] * (x.ndim - 2)).to(heat)
                seen[place] += 1
        return heat / seen.clamp_min(1)

    def falls(self, query: Query, x: Tensor) -> Iterator[tuple[list[tuple[slice, ...]], Tensor]]:
        """The windows, some at a time, and how much the score falls under each: [k, B]."""
        grid = Windows.over(tuple(x.shape[2:]), self.window, self.stride)
        whole, put, base = query.ask(x).score, filling(x, self.fill, query.rng), Base(x)
        for corners in grid.corners.split(max(1, query.model.capacity // len(x))):
            at = corners.to(x.device).repeat_interleave(len(x), 0)
            row = torch.arange(len(x), device=x.device).repeat(len(corners))
            hidden = changed(base, row, at, put(row, at, grid.sides), query.model.net)
            score = query[row].ask(hidden).score
            yield grid.places(corners), whole - score.view(len(corners), len(x))


class Windows(NamedTuple):
    """Windows of one size that cover the image: their first positions [W, dims]."""

    corners: Tensor
    sides: tuple[int, ...]

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
        lines = [
            torch.tensor(sorted({*range(0, side - n + 1, step), side - n}))
            for side, n, step in zip(space, sides, steps, strict=True)
        ]
        return cls(torch.cartesian_prod(*lines).view(-1, len(space)), sides)

    def places(self, corners: Tensor) -> list[tuple[slice, ...]]:
        return [tuple(slice(a, a + n) for a, n in zip(c, self.sides, strict=True)) for c in corners.tolist()]


def _per_dimension(numbers: tuple[int, ...], space: tuple[int, ...], what: str) -> tuple[int, ...]:
    if len(numbers) not in (0, 1, len(space)) or any(n < 1 for n in numbers):
        raise InputError(
            f"{what} is one number of at least 1, or one for each of {len(space)} dimensions, not {numbers}"
        )
    return numbers * len(space) if len(numbers) == 1 else numbers
