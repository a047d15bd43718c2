"""Maps of vectors in two dimensions, and how much of the neighbourhoods they keep."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..rows import stable_number
from .nearest import Keys, nearest
from .rates import Rate, mean_share, rate

FIRST = 50
"""Vectors of more than twice as many numbers are brought to so many principal components first."""
JUDGED = 2000
"""Of more images than this, so many are judged."""


class Quality(NamedTuple):
    """What a map keeps, each the mean over images with its 95 % interval."""

    trust: Rate
    """Trustworthiness (Venna and Kaski, 2001): 1 where all that is near in the map is near indeed."""
    kept: Rate
    """The share of the k nearest that are among the k nearest in the map."""
    label: Rate | None
    """How often the nearest in the map has the image's label."""


def components(x: Tensor, n: int | None = None) -> Tensor:
    """The first principal components of vectors [N, D], signs fixed: [N, min(n, N, D)].

    By default so many as maps are made of: 50, or all of few, where fewer would save little and lose neighbours.
    """
    n = n or (FIRST if x.shape[1] > 2 * FIRST else x.shape[1])
    moved = x.double() - x.double().mean(0)
    if moved.shape[1] > 4096:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, _, axes = torch.svd_lowrank(moved, min(n + 20, *moved.shape), niter=4)
    elif moved.shape[1] <= len(moved):
        axes = torch.linalg.eigh(moved.T @ moved).eigenvectors.flip(1)
    else:
        axes = torch.linalg.svd(moved, full_matrices=False).Vh.T
    found = (moved @ axes)[:, : min(n, *moved.shape)]
    sign = found.gather(0, found.abs().argmax(0, keepdim=True)).sign()
    return (found * sign.where(sign != 0, 1)).float()


def scattered(n: int, seed: int) -> Tensor:
    """Random places: the control."""
    return torch.rand(n, 2, generator=torch.Generator().manual_seed(stable_number(seed, "scattered")))


def quality(x: Tensor, view: Tensor, k: int, y: Tensor | None, seed: int = 0) -> Quality:
    """How a map [N, 2] keeps the neighbourhoods of vectors [N, D]; labels are -1 where unknown."""
    n = len(x)
    some = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:JUDGED].sort().values
    keys = Keys(some, torch.arange(n))
    high = nearest(x[some], x, k, keys=keys).which
    low = nearest(view[some], view, k, keys=keys).which
    kept = (high[:, :, None] == low[:, None]).any(2).double().mean(1)
    worst = k * (2 * n - 3 * k - 1) / 2
    trust = 1 - (ranks(x, some, low) - k).clamp_min(0).sum(1) / worst
    label = None
    if y is not None and (y >= 0).any():
        known = (y[some] >= 0) & (y[low[:, 0]] >= 0)
        label = rate((y[some] == y[low[:, 0]])[known])
    return Quality(mean_share(trust.clamp(0, 1)), mean_share(kept), label)


def ranks(x: Tensor, some: Tensor, which: Tensor) -> Tensor:
    """The how manieth nearest to rows ``some`` the vectors ``which`` [S, k] are, the nearest being 1: [S, k]."""
    found = list[Tensor]()
    rows = max(1, 4_000_000 // len(x))
    for part, asked in zip(some.split(rows), which.split(rows), strict=True):
        distance = torch.cdist(x[part].double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
        distance.scatter_(1, part[:, None], -1.0)  # itself is the first of all
        found.append(torch.searchsorted(distance.sort(1).values, distance.gather(1, asked)))
    return torch.cat(found).double()
