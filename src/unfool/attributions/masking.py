"""Masks over the whole image: many at random, or the one that does it."""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from ..derivatives import gradient_of
from ..fills import Fill, without
from ..loop import Adam
from ..maps import resize
from ..query import Query
from ..rows import Rng, column
from ..spec import Bound, Count, Positive
from .base import Attribution


class RISE(Attribution):
    """The mean score where a position is seen, over random masks, less that over all of them (Petsiuk et al., 2018).

    A mask is a coarse grid of cells, each seen with probability ``seen``, enlarged smoothly and shifted at random. The
    published map is this one plus the mean score, the same number everywhere.
    """

    asks = "scores"

    samples: Count = 1000
    """How many masks."""
    cells: Count = 7
    """Of the grid, along each dimension."""
    seen: Annotated[float, Bound(0.01, 0.99)] = 0.5
    """The share of the cells that is seen."""
    fill: Fill = "zero"
    """What is put where the image is hidden."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        query.model.need("scores", query.who)
        other, masks = without(x, self.fill, query.rng), list[Tensor]()

        def variants() -> Iterator[Tensor]:
            for _ in range(self.samples):
                masks.append(self._mask(x, query.rng))
                yield masks[-1] * x + (1 - masks[-1]) * other

        heat, total = torch.zeros_like(x[:, :1]), torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for score in query.packed(lambda q, v: q.ask(v).score, variants()):
            heat += column(score.to(heat), x) * masks.pop(0)
            total += score.to(total)
        return heat / (self.samples * self.seen) - column(total, x) / self.samples

    def _mask(self, x: Tensor, rng: Rng) -> Tensor:
        """[B, 1, *space] in [0, 1]."""
        space = x.shape[2:]
        coarse = x.new_empty(len(x), 1, *[self.cells + 1] * len(space))
        coarse = (rng.uniform(coarse, 0, 1) < self.seen).to(x)
        cell = [-(-side // self.cells) for side in space]
        large = resize(coarse, tuple((self.cells + 1) * n for n in cell))
        shift = (
            rng.uniform(x.new_empty(len(x), len(space)), 0, 1) * torch.tensor(cell, device=x.device)
        ).long()
        rows = [
            large[(k, slice(None), *(slice(a, a + side) for a, side in zip(corner, space, strict=True)))]
            for k, corner in enumerate(shift.tolist())
        ]
        return torch.stack(rows)


class MeaningfulPerturbation(Attribution):
    """The smallest smooth mask that hides what the score needs (Fong & Vedaldi, 2017).

    Found by Adam on a coarse mask that is enlarged; the map is what it hides, from 0 to 1.
    """

    steps: Count = 150
    rate: Positive = 0.1
    """How far a step of Adam goes."""
    cells: Count = 28
    """Of the mask, along each dimension, at most."""
    size: Positive = 0.3
    """The price of hiding everything, as a share of the score's fall when everything is hidden."""
    roughness: Positive = 0.2
    """The price of a difference of one between neighbours, likewise."""
    fill: Fill = "blur"
    """What is put where the image is hidden."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        query.model.need("gradients", query.who)
        other, space = without(x, self.fill, query.rng), tuple(x.shape[2:])
        gap = query.ask(x).score - query.ask(other).score
        price = column(gap.abs().clamp_min(1e-6).to(x), x)
        hidden = x.new_full((len(x), 1, *(min(self.cells, n) for n in space)), 0.5)
        memory = Adam.fresh(hidden)

        def shown(mask: Tensor, rng: Rng) -> Tensor:
            large = resize(mask, space)
            return x * (1 - large) + other * large

        def cost(mask: Tensor) -> Tensor:
            rough = torch.stack([mask.diff(dim=d).abs().flatten(1).mean(1) for d in range(2, mask.ndim)])
            return (self.size * mask.flatten(1).mean(1) + self.roughness * rough.sum(0)) * price.flatten()

        for t in range(self.steps):
            down = query.gradient(hidden, (shown,)).slope + gradient_of(cost, hidden)
            memory, step = memory.step(down / price, t)
            hidden = (hidden - self.rate * step).clamp(0, 1)
        return hidden
