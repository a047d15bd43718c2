"""Heat maps in colours that hide nothing: symmetric about zero where signed, blank where there is nothing."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..maps import resize, strongest_channel
from .image import colour, drawable

SIGNED = ((0x2D, 0x00, 0x4B), (0x80, 0x73, 0xAC), (0xF7, 0xF7, 0xF7), (0xE0, 0x82, 0x14), (0x7F, 0x3B, 0x08))
"""Purple for what speaks against, white for nothing, orange for what speaks for."""
POSITIVE = (
    (0xFF, 0xFF, 0xFF),
    (0xFE, 0xD9, 0x8E),
    (0xFE, 0x99, 0x29),
    (0xCC, 0x4C, 0x02),
    (0x66, 0x25, 0x06),
)
"""White for nothing to dark brown."""


class Laid(NamedTuple):
    """A panel whose picture is a map over an image, and the map [*, H, W] for whoever draws it again."""

    text: str
    picture: Any
    heat: Tensor
    top: float = 0.0
    """What is drawn in full colour; by default as large as this map's own values are."""
    signed: bool = False


class Shown(NamedTuple):
    """A map as it is drawn: values in [-1, 1] or [0, 1], and the size that 1 stands for."""

    values: Tensor
    scale: float
    signed: bool


def scaled(heat: Tensor, top: float = 0.0, signed: bool = False) -> Shown:
    """A map divided by ``top``, or the 99th percentile of its sizes; an all-zero map stays zero, never noise.

    It is ``signed`` where it has negative values, or maps beside it have.
    """
    flat = drawable(strongest_channel(heat[None])[0] if heat.ndim > 2 else heat[None])[0]
    scale = top or float(flat.abs().flatten().quantile(0.99)) or float(flat.abs().max())
    signed = signed or bool((flat < 0).any())
    return Shown((flat / (scale or 1.0)).clamp(-1 if signed else 0, 1), scale, signed)


NOTHING = "no positive evidence"


def spanned(heat: Tensor) -> str:
    """A map's raw range in words; of an empty map, that it is one."""
    low, high = (float(t) for t in heat.aminmax())
    return f"{low:.3g} to {high:.3g}" if low or high else NOTHING


def map_picture(heat: Tensor) -> Tensor:
    """A map in colours: [*, H, W] -> [3, H, W]."""
    shown = scaled(heat)
    place = (shown.values + 1) / 2 if shown.signed else shown.values
    return _coloured(place, SIGNED if shown.signed else POSITIVE)


def between(values: Tensor) -> Tensor:
    """A map of numbers with no zero of their own, from the least in white to the largest: [*, H, W] -> [3, H, W]."""
    flat = drawable(values[None])[0]
    low, high = flat.aminmax()
    return _coloured((flat - low) / (high - low).clamp_min(1e-12), POSITIVE)


def overlay(image: Tensor, heat: Tensor, top: float = 0.0, signed: bool = False) -> Tensor:
    """A map over its greyed image, the more opaque the stronger: [3, H, W].

    Maps side by side share ``top``, the strongest, and whether they are ``signed``: a colour means the same in all.
    """
    grey = colour(image).mean(0, keepdim=True).expand(3, -1, -1)
    shown = scaled(heat, top, signed)
    values = resize(shown.values[None, None], tuple(grey.shape[1:]))[0, 0]
    return laid_over(grey, values, shown.signed)


def laid(text: str, image: Tensor, heat: Tensor, top: float = 0.0, signed: bool = False) -> Laid:
    """A map over its image as a panel that knows its numbers."""
    return Laid(text, overlay(image, heat, top, signed), heat, top, signed)


def laid_over(grey: Tensor, values: Tensor, signed: bool) -> Tensor:
    """Values in [-1, 1] or [0, 1] as colours over a grey picture, the more opaque the stronger: [3, H, W]."""
    place = (values + 1) / 2 if signed else values
    strength = values.abs().sqrt() * 0.85
    return grey * (1 - strength) + _coloured(place, SIGNED if signed else POSITIVE) * strength


def _coloured(place: Tensor, stops: tuple[tuple[int, int, int], ...]) -> Tensor:
    """Places in [0, 1] between colour stops: [H, W] -> [3, H, W]."""
    table = torch.tensor(stops, dtype=torch.float32) / 255
    at = place.clamp(0, 1) * (len(table) - 1)
    low = at.floor().long().clamp(max=len(table) - 2)
    share = (at - low)[..., None]
    return (table[low] * (1 - share) + table[low + 1] * share).permute(2, 0, 1)
