"""What is put where an image is hidden."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import InputError
from .partial.changed import Base
from .rows import Rng

Blank = Literal["mean", "blur", "zero"]
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
    """Images that hold nothing of ``x``, or next to nothing."""
    if fill == "inpaint":
        raise InputError(
            "all of an image cannot be inpainted", "take another fill: blur, mean, zero or noise"
        )
    return rng.uniform(x, 0, 1) if fill == "noise" else blank(x, fill)


def blank(x: Tensor, fill: Blank) -> Tensor:
    """Each image's mean colour, its slow changes (a Gaussian of an eighth of its sides), or black."""
    if fill == "mean":
        return x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x).contiguous()
    if fill == "blur":
        return blurred(x, [max(1.0, side / 8) for side in x.shape[2:]])
    return torch.zeros_like(x)


def blurred(x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """A Gaussian blur along every dimension, borders repeated: [B, C, *space]."""
    for d, sigma in enumerate(sigmas, 2):
        radius = max(1, round(2 * sigma))
        line = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
        weights = (-(line / sigma).square() / 2).exp()
        flat = x.movedim(d, -1)
        padded = F.pad(flat.reshape(-1, 1, flat.shape[-1]), (radius, radius), mode="replicate")
        x = F.conv1d(padded, (weights / weights.sum())[None, None]).view(flat.shape).movedim(-1, d)
    return x


def inpainted(known: Base, row: Tensor, at: Tensor, sides: tuple[int, ...]) -> Tensor:
    """The straight line from one side of the window to the other, averaged over the dimensions."""
    total = weight = known.value.new_zeros(1)
    for d, n in enumerate(sides):
        ends = [at.clone(), at.clone()]
        ends[0][:, d] -= 1
        ends[1][:, d] += n
        flat = tuple(1 if e == d else m for e, m in enumerate(sides))
        low, high = (known.windows(row, end, flat) for end in ends)
        way = torch.arange(1, n + 1, dtype=low.dtype, device=low.device) / (n + 1)
        way = way.view(-1, *[1] * (len(sides) - d - 1))
        first, last = ((end[:, d] >= 0) & (end[:, d] < known.value.shape[d + 2]) for end in ends)
        first, last = (t.view(-1, *[1] * (len(sides) + 1)).to(low) for t in (first, last))
        near, far = first * (1 - way * last), last * (1 - (1 - way) * first)
        total, weight = total + near * low + far * high, weight + (near + far)
    return (total / weight.clamp_min(1e-12)).expand(len(row), known.value.shape[1], *sides)
