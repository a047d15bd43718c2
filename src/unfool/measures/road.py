"""Positions that are taken away such that one cannot see where."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from ..spec import Fraction
from .grading import Asked, Measure
from .imputing import imputed

NOISE = 0.01
"""Spread of the noise on what is put in place of a position."""


class ROAD(Measure):
    """How much more probable the class stays without the least relevant positions than without the most relevant ones.

    Remove and debias (Rong et al., 2022): what is taken away is the weighted mean of its neighbours, all of it at once,
    plus a little noise, so that the shape of the hole tells the network nothing. The mean over shares; 0 is no better
    than chance.
    """

    shares: tuple[Fraction, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    """How much of the image is taken away; two passes each, or one."""
    first: Literal["both", "most", "least"] = "both"
    """The difference of both orders, or the mean probability without the most or the least relevant positions."""

    def grade(self, asked: Asked) -> Tensor:
        kinds = {"both": ("least", "most"), "most": ("most",), "least": ("least",)}[self.first]
        means = [torch.stack(asked.each(self._left(asked, kind))).double().mean(0) for kind in kinds]
        return means[0] - means[1] if self.first == "both" else means[0]

    def _left(self, asked: Asked, first: str) -> Iterator[Tensor]:
        rng, n = asked.rng(("ROAD", first)), asked.order.shape[1]
        for share in self.shares:
            gone = round(share * n)
            kept = asked.rank >= gone if first == "most" else asked.rank < n - gone
            filled = imputed(asked.x, kept)
            noise = NOISE * rng.normal(asked.x)
            yield torch.where(kept, asked.x, filled + noise).clamp(0, 1)
