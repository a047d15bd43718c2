"""Maps that know nothing of the network: what every other one must beat."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..query import Query
from ..spec import Count
from .base import Attribution


class CentrePrior(Attribution):
    """A blob in the middle of every image, whatever it shows: a quarter of each side wide."""

    asks = "scores"

    def explain(self, query: Query, x: Tensor) -> Tensor:
        heat = x.new_zeros(x.shape[2:])
        for d, n in enumerate(x.shape[2:]):
            line = (torch.arange(n, dtype=x.dtype, device=x.device) - (n - 1) / 2) / (n / 4)
            heat = heat - line.square().view(-1, *[1] * (x.ndim - 3 - d)) / 2
        return heat.exp().expand(len(x), 1, *heat.shape)


class RandomMap(Attribution):
    """Uniform random numbers on a coarse grid, another map for every image: as smooth as a class activation map."""

    asks = "scores"

    cells: Count = 7
    """Along each side."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return query.rng.uniform(x.new_empty(len(x), 1, *(min(self.cells, n) for n in x.shape[2:])), 0, 1)


class Edges(Attribution):
    """How steep the image itself is at each position, by Sobel's filter."""

    asks = "scores"

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return steepness(x)


def steepness(x: Tensor) -> Tensor:
    """[B, C, *space] -> [B, 1, *space]."""
    grey = x.mean(1, keepdim=True)
    return torch.stack([_sobel(grey, d) for d in range(2, x.ndim)]).square().sum(0).sqrt()


def _sobel(x: Tensor, along: int) -> Tensor:
    """The slope along one dimension, smoothed along the others; borders repeated."""
    for d in range(2, x.ndim):
        weights = x.new_tensor((-0.5, 0.0, 0.5) if d == along else (0.25, 0.5, 0.25))
        flat = x.movedim(d, -1)
        padded = F.pad(flat.reshape(-1, 1, flat.shape[-1]), (1, 1), mode="replicate")
        x = F.conv1d(padded, weights.view(1, 1, 3)).view(flat.shape).movedim(-1, d)
    return x


class Brightness(Attribution):
    """The image itself: its mean over the channels."""

    asks = "scores"

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return x.mean(1, keepdim=True)


BASELINES: tuple[Attribution, ...] = (CentrePrior(), RandomMap(), Edges(), Brightness())
"""Those that stand beside every grade."""
