"""Intervals by drawing the images again and again (Efron, 1979)."""

import torch
from torch import Tensor

from .rates import Mean

DRAWS = 1000


def bootstrap(values: Tensor, draws: int = DRAWS, seed: int = 0) -> Mean:
    """The mean of those values that are numbers, with the 95 % percentile interval over ``draws`` sets of images.

    One image alone has no interval.
    """
    known = values.double()[~values.double().isnan()]
    n = len(known)
    if not n:
        return Mean(float("nan"), float("nan"), float("nan"), 0)
    stream = torch.Generator().manual_seed(seed)
    means = torch.stack([known[torch.randint(n, (n,), generator=stream)].mean() for _ in range(draws)])
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Mean(float(known.mean()), low, high, n)


def difference(a: Tensor, b: Tensor, draws: int = DRAWS, seed: int = 0) -> Mean:
    """The mean of ``a - b`` over the images that have both: paired, so what all images share cancels."""
    return bootstrap(a.double() - b.double(), draws, seed)
