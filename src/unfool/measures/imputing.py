"""Positions filled by the weighted mean of their neighbours, all at once: one sparse system, solved on many grids."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

ENOUGH = 1e-5
"""Conjugate gradients stop at this size of the residual, as a share of the larger of right side and first residual."""
MOST = 100
"""Or after so many steps; pictures take about ten."""


def imputed(x: Tensor, kept: Tensor) -> Tensor:
    """Images whose other positions are the weighted mean of all their neighbours, where ``kept`` [B, 1, *] is false.

    A neighbour counts 2, or 1 across a corner of a square: 1/6 and 1/12 inside a picture. One sparse system per
    channel, solved for each row of its own by conjugate gradients with a multigrid cycle before each step. Where
    nothing is kept, the mean colour.
    """
    if kept.shape != (len(x), 1, *x.shape[2:]):
        raise InputError(f"what is kept is one flag per position, not {list(kept.shape)}")
    holes = (~kept).to(x)
    grids = _grids(holes)
    fill = x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x)
    solved = _conjugate(grids, holes * neighbours(x * (1 - holes)), holes * fill)
    return torch.where(kept, x, solved)


def neighbours(u: Tensor) -> Tensor:
    """The weighted sum of each position's neighbours, 2 ** (dimensions - steps) each: [B, C, *space]."""
    near = u
    for d in range(2, u.ndim):
        wide = near * 2
        if (n := u.shape[d]) > 1:
            wide.narrow(d, 1, n - 1).add_(near.narrow(d, 0, n - 1))
            wide.narrow(d, 0, n - 1).add_(near.narrow(d, 1, n - 1))
        near = wide
    return near.sub_(u, alpha=2.0 ** (u.ndim - 2))


class _Grid(NamedTuple):
    """The holes on one of ever coarser grids [B, 1, *], and the system there."""

    holes: Tensor
    degree: Tensor
    """How many neighbours each position has, times the scale."""
    step: Tensor
    """A smoothing step for each hole: its share of the residual over the degree."""
    scale: float
    """What a coarse grid's system is worth in the finest one's unit."""

    def system(self, u: Tensor) -> Tensor:
        """Of ``u``, zero outside the holes."""
        return (self.degree * u).sub_(neighbours(u), alpha=self.scale).mul_(self.holes)


def _grids(holes: Tensor) -> list[_Grid]:
    """The finest grid first, each of the others with every second position of the one before.

    A coarse position is a hole only if all is one that it stands for, so that every coarse change leaves alone what is
    kept; what is near that is the finer grids' business.
    """
    dims, scale, found = holes.ndim - 2, 1.0, list[_Grid]()
    damping = 4 / 3 * (1 - 2.0**-dims)  # evens out what a coarser grid does not hold: 1 in two dimensions
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
    while True:
        degree = neighbours(torch.ones_like(holes[:1])).mul_(scale)
        step = damping * holes / degree.where(degree > 0, 1)
        found.append(_Grid(holes, degree, step, scale))
        if max(holes.shape[2:]) <= 2:
            return found
        scale *= 2.0 ** (sum(n > 1 for n in holes.shape[2:]) - 2)
        holes = 1 - pool(1 - holes, 3, 2, 1)


def _cycle(grids: list[_Grid], rest: Tensor) -> Tensor:
    """About what must be added for a residual: smoothed, corrected on the coarser grids, smoothed again."""
    here, coarser = grids[0], grids[1:]
    change = here.step * rest
    if coarser:
        left = _coarse(rest - here.system(change)) * coarser[0].holes
        change += _fine(_cycle(coarser, left), rest)
    return change.addcmul_(here.step, rest - here.system(change))


def _fine(u: Tensor, like: Tensor) -> Tensor:
    """From every second position to all, straight lines between: [B, C, *coarse] -> the size of ``like``."""
    for d in range(2, u.ndim):
        n = like.shape[d]
        wide = u.repeat_interleave(2, d).narrow(d, 0, n)
        if (odd := (n - 1) // 2) > 0:
            between = u.narrow(d, 0, odd) + u.narrow(d, 1, odd)
            wide[(slice(None),) * d + (slice(1, 2 * odd, 2),)] = between.div_(2)
        u = wide
    return u


def _coarse(u: Tensor) -> Tensor:
    """The same backwards: every position gives to the coarse ones what it has from them."""
    for d in range(2, u.ndim):
        every = (slice(None),) * d
        small, n = u[(*every, slice(0, None, 2))].clone(), u.shape[d]
        odd = u[(*every, slice(1, None, 2))]
        inner = (n - 1) // 2
        small.narrow(d, 0, inner).add_(odd.narrow(d, 0, inner), alpha=0.5)
        small.narrow(d, 1, inner).add_(odd.narrow(d, 0, inner), alpha=0.5)
        if n % 2 == 0:  # the last one has a coarse neighbour on one side alone
            small.narrow(d, inner, 1).add_(odd.narrow(d, inner, 1))
        u = small
    return u


def _conjugate(grids: list[_Grid], right: Tensor, x: Tensor) -> Tensor:
    """Solves the finest grid's system for each row and channel of its own: [B, C, *space]."""
    system, holes = grids[0].system, grids[0].holes
    some = (holes.flatten(2).amin(2) == 0).view(-1, *[1] * (x.ndim - 1))  # else any constant is a solution
    rest = (right - system(x)) * some
    enough = torch.maximum(_dot(rest, rest), _dot(right, right)) * ENOUGH**2
    way, size = torch.zeros_like(x), torch.ones_like(enough)
    for _ in range(MOST):
        going = _dot(rest, rest) > enough
        if not going.any():
            break
        better = _cycle(grids, rest)
        before, size = size, _dot(rest, better)
        way = better + torch.where(before > 0, size / before, 0) * way
        ahead = system(way)
        steep = _dot(way, ahead)
        step = torch.where(going & (steep > 0), size / steep.where(steep > 0, 1), 0)
        x, rest = x + step * way, rest - step * ahead
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """One product per row and channel, as wide as images."""
    return (a * b).flatten(2).sum(2).view(*a.shape[:2], *[1] * (a.ndim - 2))
