"""What keeps a change printable: few edges, and colours that a printer has."""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from ..errors import InputError

THIRTY = (*product((0.1, 0.5, 0.9), repeat=3), (0.3, 0.3, 0.3), (0.7, 0.7, 0.7), (0.95, 0.95, 0.95))
"""Colours well inside what ink on paper reaches: three levels of each channel, and greys between."""


def roughness(t: Tensor) -> Tensor:
    """The total variation, summed over all neighbours in each dimension: [B]."""
    return torch.stack([t.diff(dim=d).abs().flatten(1).sum(1) for d in range(2, t.ndim)]).sum(0)


def unprintable(x: Tensor, mask: Tensor, palette: Sequence[float] = ()) -> Tensor:
    """Sum over the mask of the product of each pixel's distances from all colours (Sharif et al., 2016, eq. 7): [B].

    It is zero where every pixel has a colour of the palette.
    """
    colours = colours_of(palette, x.shape[1]).to(x)
    pixels = x.flatten(2)[:, :, None]  # [B, C, 1, positions]
    gaps = (pixels - colours.T[None, :, :, None]).square().sum(1)  # [B, colours, positions]
    return (gaps.clamp_min(1e-24).sqrt().prod(1) * mask.flatten(1)).sum(1)


def colours_of(palette: Sequence[float], channels: int) -> Tensor:
    """A palette as [colours, channels]; without one, greys for one channel and thirty colours for three."""
    if palette:
        if len(palette) % channels:
            raise InputError(f"a palette of {len(palette)} numbers has no colours of {channels} channels")
        return torch.tensor(palette).view(-1, channels)
    if channels not in (1, 3):
        raise InputError(f"what a printer has is known for 1 or 3 channels, not {channels}", "give a palette")
    if channels == 3:
        return torch.tensor(THIRTY)
    return torch.tensor([[0.05], [0.35], [0.65], [0.95]])
