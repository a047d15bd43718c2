"""Boxes as (left, top, right, bottom) in pixels."""

import torch
from torch import Tensor

from .errors import InputError


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes whose leading dimensions broadcast: [*, 4] x2 -> [*]."""
    corner = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (corner[1] - corner[0]).clamp_min(0).prod(-1)
    areas = [(t[..., 2:] - t[..., :2]).clamp_min(0).prod(-1) for t in (a, b)]
    return both / (areas[0] + areas[1] - both).clamp_min(1e-12)


def without_doubles(boxes: Tensor, scores: Tensor, most: float = 0.5) -> Tensor:
    """Which boxes stay, best first, where of any two that overlap more than ``most`` the better one does."""
    order = scores.argsort(descending=True, stable=True)
    shared = overlap(boxes[order][:, None], boxes[order][None])
    kept: list[int] = []
    for k in range(len(order)):
        if not kept or not bool((shared[k, kept] > most).any()):
            kept.append(k)
    return order[kept]


def bounds(inside: Tensor) -> Tensor:
    """The box about all that is true in each map [B, H, W], in pixels; zeros where nothing is: [B, 4]."""
    sides = [inside.any(1), inside.any(2)]  # [B, W] and [B, H]
    first = [side.long().argmax(1) for side in sides]
    last = [side.shape[1] - side.flip(1).long().argmax(1) for side in sides]
    return torch.stack([*first, *last], 1) * sides[0].any(1, keepdim=True)


def box_masks(boxes: Tensor, space: tuple[int, ...]) -> Tensor:
    """Boxes [B, 4] as (left, top, right, bottom) in pixels, filled: [B, 1, H, W] bool."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes are (left, top, right, bottom) for each image, not {list(boxes.shape)}")
    left, top, right, bottom = (t[:, None, None] for t in boxes.T)
    rows = torch.arange(space[0], device=boxes.device)[None, :, None] + 0.5
    columns = torch.arange(space[1], device=boxes.device)[None, None] + 0.5
    inside = (columns > left) & (columns < right) & (rows > top) & (rows < bottom)
    return inside[:, None]
