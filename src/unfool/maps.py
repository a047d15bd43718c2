"""Heat-map arithmetic: from a method's raw numbers to one map per image, and how alike two maps are."""

import torch
import torch.nn.functional as F
from torch import Tensor


def strongest_channel(heat: Tensor) -> Tensor:
    """One channel from many by the largest absolute value (Simonyan et al., 2014): [B, C, *] -> [B, 1, *]."""
    return heat if heat.shape[1] == 1 else heat.abs().amax(1, keepdim=True)


def resize(heat: Tensor, size: tuple[int, ...]) -> Tensor:
    """A map brought to the image's size by linear interpolation in each dimension."""
    if tuple(heat.shape[2:]) == tuple(size):
        return heat
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    return F.interpolate(heat, size, mode=mode, align_corners=False)


def ranks(t: Tensor) -> Tensor:
    """Each row's ranks, ties sharing their mean rank: [B, N] -> [B, N] float64."""
    order = t.argsort(1)
    ordered = t.gather(1, order)
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    group = fresh.long().cumsum(1) - 1
    position = torch.arange(t.shape[1], dtype=torch.float64, device=t.device).expand(t.shape)
    zeros = torch.zeros(t.shape, dtype=torch.float64, device=t.device)
    total = zeros.scatter_add(1, group, position)
    count = zeros.scatter_add(1, group, torch.ones_like(position))
    return zeros.scatter(1, order, (total / count.clamp_min(1)).gather(1, group))


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Rank correlation of each pair of maps, 0 where one of them is constant: [B, ...] x2 -> [B]."""
    left, right = (ranks(t.flatten(1)) for t in (a, b))
    left, right = (t - t.mean(1, keepdim=True) for t in (left, right))
    scale = left.norm(dim=1) * right.norm(dim=1)
    return torch.where(scale > 0, (left * right).sum(1) / scale.clamp_min(1e-12), 0.0)
