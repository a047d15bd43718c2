"""Filters as small pictures: on one scale for all or each on its own."""

import math
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..views import to_picture
from .grid import FONT
from .image import enlarged

GAP, LINE = 6, 14
SHOWN_CHANNELS = 8


def scaled_filters(weight: Tensor, own: bool) -> Tensor:
    """Filters [K, C, *] in [0, 1] with zero at the middle; ``own``: each over its own range, its least value black."""
    if own:
        low, high = weight.flatten(1).aminmax(dim=1)
        shape = (-1, *[1] * (weight.ndim - 1))
        return (weight - low.view(shape)) / (high - low).clamp_min(1e-12).view(shape)
    return 0.5 + 0.5 * weight / weight.abs().max().clamp_min(1e-12)


def filter_grid(
    weight: Tensor, own: bool, names: Sequence[str], side: int = 44, across: int = 16
) -> Image.Image:
    """Every filter with its name: in colour where it has three channels, else a row of its first channels in grey."""
    pictures = [_picture(one, side) for one in scaled_filters(_flat(weight), own)]
    wide, high = max(p.width for p in pictures) + GAP, max(p.height for p in pictures) + LINE + GAP
    across = max(1, min(across, len(pictures), 16 * 50 // wide))
    whole = Image.new("RGB", (across * wide + GAP, math.ceil(len(pictures) / across) * high + GAP), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.truetype(FONT, 9)
    for k, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        at = GAP + k % across * wide, GAP + k // across * high
        whole.paste(picture, at)
        tint = (60, 60, 60) if name == str(k) else (178, 58, 0)
        draw.text((at[0], at[1] + picture.height), name, fill=tint, font=font)
    return whole


def _flat(weight: Tensor) -> Tensor:
    """Of filters with more than two dimensions the middle."""
    while weight.ndim > 4:
        weight = weight[:, :, weight.shape[2] // 2]
    return weight[:, :, None] if weight.ndim == 3 else weight


def _picture(one: Tensor, side: int) -> Image.Image:
    if one.shape[0] == 3:
        return to_picture(enlarged(one, side))
    each = [enlarged(channel[None], side).expand(3, -1, -1) for channel in one[:SHOWN_CHANNELS]]
    gap = torch.ones(3, each[0].shape[1], 2)
    return to_picture(torch.cat([part for channel in each for part in (channel, gap)][:-1], 2))
