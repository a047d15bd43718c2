"""Images that hold nothing any more of what they showed."""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Fill = Literal["blur", "mean", "zero"]


def blank(x: Tensor, fill: Fill) -> Tensor:
    """Each image's slow changes (a Gaussian of an eighth of its side), its mean colour, or black."""
    if fill == "zero":
        return torch.zeros_like(x)
    if fill == "mean":
        return x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x).contiguous()
    for d in range(2, x.ndim):
        x = blurred_along(x, d, x.shape[d] / 8)
    return x


def blurred_along(x: Tensor, d: int, sigma: float) -> Tensor:
    """A Gaussian along one dimension, borders repeated."""
    radius = max(1, round(2 * sigma))
    line = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    weights = (-((line / sigma) ** 2) / 2).exp()
    flat = x.movedim(d, -1)
    padded = F.pad(flat.reshape(-1, 1, flat.shape[-1]), (radius, radius), mode="replicate")
    return F.conv1d(padded, (weights / weights.sum()).view(1, 1, -1)).view_as(flat).movedim(-1, d)


def parts(positions: int, steps: int) -> Iterator[int]:
    """How many positions are gone after each step but the last: as even as whole numbers allow."""
    yield from (round(positions * k / steps) for k in range(1, steps))
