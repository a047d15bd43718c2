"""Attributions made of attributions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated

from torch import Tensor

from ..query import Query
from ..spec import Bound, Fraction
from .base import Attribution
from .gradient import Gradient, mean


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
        flat = x.flatten(1)
        spread = self.sigma * (flat.amax(1) - flat.amin(1)).view(-1, *[1] * (x.ndim - 1))
        noisy = (x + spread * query.rng.normal(x) for _ in range(self.samples))
        return self.gather(query.packed(self.inner.explain, noisy))


class SmoothGrad(Noisy):
    """The mean of signed maps over noisy copies (Smilkov et al., 2017). Copies may leave [0, 1]."""

    def gather(self, maps: Iterator[Tensor]) -> Tensor:
        return mean(maps)


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
