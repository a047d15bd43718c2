"""Regions of an image: masks of yes and no, maps of classes, and their connected parts."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import InputError
from .maps import resize
from .rows import column


def fitting(mask: Tensor, scores: Tensor) -> Tensor:
    """Masks [B, 1, *space] over the positions of scores [B, *space]; another size is brought to it."""
    mask = mask.flatten(0, 1) if mask.ndim == scores.ndim + 1 else mask
    if mask.ndim != scores.ndim or len(mask) != len(scores):
        raise InputError(
            f"masks {list(mask.shape)} do not fit scores {list(scores.shape)}", "one mask per image"
        )
    if mask.shape == scores.shape:
        return mask
    size = tuple(scores.shape[1:])
    if of_classes(mask):
        return F.interpolate(mask[:, None].to(scores), size, mode="nearest")[:, 0].to(mask.dtype)
    return resize(mask[:, None].to(scores), size)[:, 0] >= 0.5


def of_classes(mask: Tensor) -> bool:
    """Whether a mask is a map of classes rather than of yes and no."""
    return not mask.is_floating_point() and mask.dtype != torch.bool


def holds(mask: Tensor, y: Tensor) -> Tensor:
    """Where a mask holds for class ``y``, be it nowhere: [B, *space]."""
    return mask == column(y, mask) if of_classes(mask) else mask


def spread(region: Tensor, space: tuple[int, ...]) -> Tensor:
    """A region [B, *positions] over images of ``space``: larger or smaller, and the same in each frame it has not.

    [B, 1, *space] bool.
    """
    own = space[len(space) - region.ndim + 1 :]
    if len(own) != region.ndim - 1:
        raise InputError(f"a region of {list(region.shape[1:])} does not fit images of {list(space)}")
    region = fitting(region, region.new_zeros(len(region), *own, dtype=torch.float32))
    missing = [1] * (len(space) - len(own))
    return region.view(len(region), 1, *missing, *own).expand(-1, 1, *space)


def part_at(mask: Tensor, at: tuple[int, ...]) -> Tensor:
    """Of each mask [B, *space] only the connected part around a position; elsewhere False, or no class (-1)."""
    if len(at) != mask.ndim - 1 or any(not 0 <= p < n for p, n in zip(at, mask.shape[1:], strict=True)):
        raise InputError(f"positions of the map lie in {list(mask.shape[1:])}, not at {list(at)}")
    parts: list[Tensor] = []
    for one in mask:
        alike = (one == one[at]) if of_classes(one) else one.bool()
        part = torch.from_numpy(_parts(alike.cpu().numpy())).to(one.device)
        inside = (part == part[at]) & alike & alike[at]
        parts.append(one.long().where(inside, -1) if of_classes(one) else inside)
    return torch.stack(parts)


def _parts(here: Any) -> Any:
    """The number of the connected part at each position."""
    from scipy.ndimage import label

    found: Any = label(here)
    return found[0]
