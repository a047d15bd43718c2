"""Attributions made of attributions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from ..query import Query
from ..rows import column
from ..spec import Bound, Fraction
from .base import Attribution
from .gradient import Gradient, mean

BLOCK = 5
"""Copies between two looks at the standard error."""


class Noisy(Attribution, ABC):
    """Any attribution of noisy copies of the image, put together in some way."""

    inner: Attribution = Gradient()
    """What is asked of each copy."""
    samples: Annotated[int, Bound(2)] = 25
    sigma: Fraction = 0.15
    """Spread of the noise, as a share of the image's own range."""

    @abstractmethod
    def gather(self, maps: Iterator[Tensor]) -> Tensor:
        """One map from the maps of all copies, which come one by one."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return self.gather(self.maps(query, x, self.samples))

    def maps(self, query: Query, x: Tensor, n: int) -> Iterator[Tensor]:
        """The maps of ``n`` noisy copies, one by one."""
        flat = x.flatten(1)
        spread = self.sigma * column(flat.amax(1) - flat.amin(1), x)
        noisy = (x + spread * query.rng.normal(x) for _ in range(n))
        return query.packed(self.inner.explain, noisy)


class SmoothGrad(Noisy):
    """The mean of signed maps over noisy copies (Smilkov et al., 2017). Copies may leave [0, 1]."""

    error: Fraction = 0.0
    """Stop asking about an image once the standard error of its map is this share of the map's length; 0 never does."""

    def gather(self, maps: Iterator[Tensor]) -> Tensor:
        return mean(maps)

    def explain(self, query: Query, x: Tensor) -> Tensor:
        if not self.error:
            return self.gather(self.maps(query, x, self.samples))
        rows, parts = torch.arange(len(x), device=x.device), Sums.none(x)
        while len(rows) and parts.most < self.samples:
            block = min(BLOCK, self.samples - parts.most)
            parts = parts.with_maps(rows, torch.stack(list(self.maps(query[rows], x[rows], block))))
            rows = rows[parts.standard_error()[rows] > self.error]
        return parts.mean()


class Sums(NamedTuple):
    """Of the maps so far: how many of each row, their sum and that of their squares."""

    number: Tensor
    total: Tensor
    square: Tensor

    @classmethod
    def none(cls, x: Tensor) -> "Sums":
        return cls(torch.zeros(len(x), dtype=torch.long, device=x.device), x.new_zeros(()), x.new_zeros(()))

    @property
    def most(self) -> int:
        return int(self.number.max())

    def with_maps(self, rows: Tensor, maps: Tensor) -> "Sums":
        """With more maps [n, k, C, *] of some rows."""
        like = maps.new_zeros(len(self.number), *maps.shape[2:])
        count = self.number.index_add(0, rows, torch.full_like(rows, len(maps)))
        total = (self.total + like).index_add(0, rows, maps.sum(0))
        return Sums(count, total, (self.square + like).index_add(0, rows, maps.square().sum(0)))

    def mean(self) -> Tensor:
        return self.total / column(self.number.to(self.total), self.total)

    def standard_error(self) -> Tensor:
        """Of the mean map, as a share of its length: [B]."""
        n = column(self.number.to(self.total), self.total)
        spread = (self.square - self.total.square() / n).clamp_min(0) / (n - 1) / n
        return spread.flatten(1).sum(1).sqrt() / self.mean().flatten(1).norm(dim=1).clamp_min(1e-30)


class SmoothGradSquared(Noisy):
    """The mean of squared maps over noisy copies (Hooker et al., 2019).

    Much less sensitive to what the network has learned than SmoothGrad.
    """

    def gather(self, maps: Iterator[Tensor]) -> Tensor:
        return mean(one.square() for one in maps)


class VarGrad(Noisy):
    """The variance of maps over noisy copies (Adebayo et al., 2018).

    Much less sensitive to what the network has learned than SmoothGrad.
    """

    def gather(self, maps: Iterator[Tensor]) -> Tensor:
        count, middle, spread = 0, 0.0, 0.0
        for count, one in enumerate(maps, 1):  # Welford's running variance
            gap = one - middle
            middle = middle + gap / count
            spread = spread + gap * (one - middle)
        return spread / count  # pyright: ignore[reportReturnType]  a tensor after the first map
