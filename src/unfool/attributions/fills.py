"""What is put where an image is hidden."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..partial.changed import Base
from ..rows import Rng

Fill = Literal["mean", "blur", "zero", "noise", "inpaint"]
Put = Callable[[Tensor, Tensor, tuple[int, ...]], Tensor]
"""Given rows [P], corners [P, dims] and sides, what is put into each window: [P, C, *sides]."""


def filling(x: Tensor, fill: Fill, rng: Rng) -> Put:
    """How windows of images ``x`` are filled."""
    if fill == "inpaint":
        known = Base(x)
        return lambda row, at, sides: inpainted(known, row, at, sides)
    other = Base(without(x, fill, rng))
    return other.windows


def without(x: Tensor, fill: Fill, rng: Rng) -> Tensor:
    """Images that hold nothing of ``x`` but its mean colour, or its slow changes, or nothing at all."""
    if fill == "mean":
        return x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x)
    if fill == "blur":
        return blurred(x, max(1.0, max(x.shape[2:]) / 20))
    return torch.zeros_like(x) if fill == "zero" else rng.uniform(x, 0, 1)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur in every dimension, borders repeated: [B, C, *space]."""
    for d in range(2, x.ndim):
        radius = min(int(3 * sigma + 0.5), x.shape[d] - 1)
        line = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
        weights = (-(line / sigma).square() / 2).exp()
        flat = x.movedim(d, -1)
        padded = F.pad(flat.reshape(-1, 1, flat.shape[-1]), (radius, radius), mode="replicate")
        x = F.conv1d(padded, (weights / weights.sum())[None, None]).view(flat.shape).movedim(-1, d)
    return x


def inpainted(known: Base, row: Tensor, at: Tensor, sides: tuple[int, ...]) -> Tensor:
    """The straight line from one side of the window to the other, averaged over the dimensions."""
    total, weight = torch.zeros(1), torch.zeros(1)
    for d, n in enumerate(sides):
        ends = [at.clone(), at.clone()]
        ends[0][:, d] -= 1
        ends[1][:, d] += n
        flat = tuple(1 if e == d else m for e, m in enumerate(sides))
        low, high = (known.windows(row, end, flat) for end in ends)
        way = torch.arange(1, n + 1, dtype=low.dtype, device=low.device) / (n + 1)
        way = way.view(-1, *[1] * (len(sides) - d - 1))
        first, last = ((end[:, d] >= 0) & (end[:, d] < known.value.shape[d + 2]) for end in ends)
        first, last = (t.view(-1, *[1] * (len(sides) + 1)).to(low.dtype) for t in (first, last))
        near, far = first * (1 - way * last), last * (1 - (1 - way) * first)
        total, weight = total + near * low + far * high, weight + (near + far)
    return (total / weight.clamp_min(1e-12)).expand(len(row), known.value.shape[1], *sides)
