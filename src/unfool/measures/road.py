"""Positions that are taken away such that one cannot see where."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..spec import Fraction
from .grading import Asked, Measure

NOISE = 0.01
"""Spread of the noise on what is put in place of a position."""
ENOUGH = 1e-5
"""Conjugate gradients stop at this size of the residual, as a share of where they begin."""


class ROAD(Measure):
    """How much more probable the class stays without the least relevant positions than without the most relevant ones.

    Remove and debias (Rong et al., 2022): what is taken away is the weighted mean of its neighbours, all of it at once,
    plus a little noise, so that the shape of the hole tells the network nothing. The mean over shares; 0 is no better
    than chance.
    """

    shares: tuple[Fraction, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    """How much of the image is taken away; two passes each, or one."""
    first: Literal["both", "most", "least"] = "both"
    """The difference of both orders, or the mean probability without the most or the least relevant positions."""

    def grade(self, asked: Asked) -> Tensor:
        kinds = {"both": ("least", "most"), "most": ("most",), "least": ("least",)}[self.first]
        means = [torch.stack(asked.each(self._left(asked, kind))).double().mean(0) for kind in kinds]
        return means[0] - means[1] if self.first == "both" else means[0]

    def _left(self, asked: Asked, first: str) -> Iterator[Tensor]:
        rng, n = asked.rng(("ROAD", first)), asked.order.shape[1]
        for share in self.shares:
            gone = round(share * n)
            kept = asked.rank >= gone if first == "most" else asked.rank < n - gone
            filled = imputed(asked.x, kept)
            noise = NOISE * rng.normal(asked.x)
            yield torch.where(kept, asked.x, filled + noise).clamp(0, 1)


def imputed(x: Tensor, kept: Tensor) -> Tensor:
    """Images whose other positions are the weighted mean of all their neighbours, where ``kept`` [B, 1, *] is false.

    A neighbour counts 2, or 1 across a corner of a square: 1/6 and 1/12 inside a picture. One sparse system per
    channel, solved for all rows at once by conjugate gradients; a row that is done is left as it is. Where nothing is
    kept, the mean colour.
    """
    if kept.shape != (len(x), 1, *x.shape[2:]):
        raise InputError(f"what is kept is one flag per position, not {list(kept.shape)}")
    holes, known = (~kept).to(x), kept.to(x)
    degree = neighbours(torch.ones_like(x[:1, :1]))
    fill = x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x)

    def system(u: Tensor) -> Tensor:
        return holes * (degree * u - neighbours(u))

    start = holes * fill
    solved = _conjugate(system, holes * neighbours(x * known), start, sum(x.shape[2:]) * 4)
    return torch.where(kept, x, solved)


def neighbours(u: Tensor) -> Tensor:
    """The weighted sum of each position's neighbours: [B, C, *space]."""
    dims = u.ndim - 2
    kernel = torch.zeros([3] * dims, dtype=u.dtype, device=u.device)
    for place in product(range(3), repeat=dims):
        moved = sum(p != 1 for p in place)
        kernel[place] = 2.0 ** (dims - moved) if moved else 0.0
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[dims]
    flat = u.reshape(-1, 1, *u.shape[2:])
    return convolve(flat, kernel[None, None], padding=1).view_as(u)


def _conjugate(system: Callable[[Tensor], Tensor], right: Tensor, x: Tensor, most: int) -> Tensor:
    """Solves ``system(x) = right`` for each row and channel of its own: [B, C, *space]."""
    rest = right - system(x)
    way, size = rest, _dot(rest, rest)
    enough = size.clamp_min(_dot(right, right)) * ENOUGH**2
    for k in range(most):
        if k % 8 == 0 and bool((size <= enough).all()):
            break
        ahead = system(way)
        steep = _dot(way, ahead)
        going = (size > enough) & (steep > 0)
        step = torch.where(going, size / steep.where(going, 1), 0)
        x, rest = x + step * way, rest - step * ahead
        after = _dot(rest, rest)
        way = torch.where(going, rest + after / size.where(going, 1) * way, way)
        size = torch.where(going, after, size)
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """One product per row and channel, as wide as images."""
    return (a * b).flatten(2).sum(2).view(*a.shape[:2], *[1] * (a.ndim - 2))
