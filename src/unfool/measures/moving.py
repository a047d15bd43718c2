"""How much what a layer gives changes when the image is moved, turned or enlarged (Zeiler and Fergus, 2014)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..model import Model
from ..transforms import posed
from .embed import activation

SHIFTS = (0, 1, 2, 4, 8)
"""Pixels to the right of a picture of side 32, and as large a share of others."""
ANGLES = (0, 5, 15, 30, 45, 90)
"""Degrees."""
SCALES = (1.0, 1.1, 1.25, 1.5, 2.0)
"""How many times as large."""


class Moved(NamedTuple):
    """Per image the distance from the layer's output for the image as it is, as a share of that to another image's."""

    shifts: Tensor
    """[shifts, B]"""
    angles: Tensor
    """[angles, B]"""
    scales: Tensor
    """[scales, B]"""


def moved(
    model: Model,
    x: Tensor,
    layer: str,
    shifts: Sequence[int],
    angles: Sequence[int],
    scales: Sequence[float],
) -> Moved:
    """Of images [B, C, H, W]; the other image of each is the next one.

    The whole output is compared, position by position: a mean over positions would hide that it moved.
    """
    still = _given(model, x, layer)
    apart = (still - still.roll(1, 0)).norm(dim=1).clamp_min(1e-12)

    def share(changed: Tensor) -> Tensor:
        return (_given(model, changed, layer) - still).norm(dim=1) / apart

    return Moved(
        torch.stack([share(to_the_right(x, s)) for s in shifts]),
        torch.stack([share(_posed(x, float(a), 1.0)) for a in angles]),
        torch.stack([share(_posed(x, 0.0, s)) for s in scales]),
    )


def _posed(x: Tensor, degrees: float, scale: float) -> Tensor:
    if not degrees and scale == 1:
        return x
    return posed(x, x.new_full((len(x),), degrees), x.new_full((len(x),), scale))


def pixels_of(shift: int, width: int) -> int:
    """A shift of a picture 32 pixels wide in those of another."""
    return max(1, round(shift * width / 32)) if shift else 0


def to_the_right(x: Tensor, pixels: int) -> Tensor:
    """The left border is repeated."""
    return x[..., (torch.arange(x.shape[-1], device=x.device) - pixels).clamp_min(0)]


def _given(model: Model, x: Tensor, layer: str) -> Tensor:
    parts = [
        (part if layer == "pixels" else activation(model, part, layer)).flatten(1).cpu()
        for part in x.split(model.capacity)
    ]
    return torch.cat(parts).float()
