"""A changed pixel is easily missed: enlarged images with rings round what changed."""

import torch
from torch import Tensor

from .image import PALETTE, colour, drawable, enlarged


def ringed(before: Tensor, after: Tensor, side: int = 320, most: int = 25) -> Tensor:
    """The image enlarged, a ring round each changed pixel, of very many round the strongest: [3, H, W]."""
    picture = enlarged(colour(after), side).clone()
    change = (drawable(after) - drawable(before)).abs().amax(0)
    factor = picture.shape[-1] // change.shape[-1]
    rows, columns = (torch.arange(size) for size in picture.shape[-2:])
    order = change.flatten().argsort(descending=True)[: min(most, int((change > 0).sum()))]
    radius = 0.5 * factor + max(3.0, 0.02 * side)
    for place in order.tolist():
        top, left = place // change.shape[1], place % change.shape[1]
        away = torch.hypot(
            (rows[:, None] - (top + 0.5) * factor + 0.5).float(),
            (columns[None] - (left + 0.5) * factor + 0.5).float(),
        )
        for shade, inner, outer in (((255, 255, 255), -1.5, 3.5), (PALETTE[1], 0.0, 2.0)):
            ring = (away > radius + inner) & (away < radius + outer)
            picture[:, ring] = torch.tensor(shade, dtype=picture.dtype)[:, None] / 255
    return picture


def circled(picture: Tensor, heat: Tensor) -> Tensor:
    """A picture with a ring round the strongest position of a map over it: [3, H, W]."""
    drawn = enlarged(picture, 128).clone()
    factor = drawn.shape[-1] // heat.shape[-1] or 1
    top, left = divmod(int(drawable(heat)[0].argmax()), heat.shape[-1])
    rows, columns = (torch.arange(size) for size in drawn.shape[-2:])
    away = torch.hypot(
        (rows[:, None] - (top + 0.5) * factor + 0.5).float(),
        (columns[None] - (left + 0.5) * factor + 0.5).float(),
    )
    for shade, inner, outer in (((255, 255, 255), 5.5, 9.5), (PALETTE[0], 6.5, 8.5)):
        drawn[:, (away > inner) & (away < outer)] = torch.tensor(shade, dtype=drawn.dtype)[:, None] / 255
    return drawn
