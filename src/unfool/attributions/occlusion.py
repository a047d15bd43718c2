"""Hide a part of the image and watch the score."""

from math import ceil
from typing import Annotated, NamedTuple

import torch
from scipy.special import stdtrit
from torch import Tensor

from ..query import Query
from ..rows import Rng
from ..spec import Bound, Count, Fraction
from .windows import Hider, Windowed, Windows, along


class Occlusion(Windowed):
    """How much the score falls where a window hides the image (Zeiler & Fergus, 2014).

    Each position has the mean over the windows that cover it. Exact, and no dearer than needed: a network of
    convolutions computes only what a window changes. For a linear model a window's fall is the sum of its weights times
    what was hidden.
    """

    coarse: Count = 1
    """Look coarsely first: at every so-manieth window along each dimension. 1 asks about all windows."""
    refined: Fraction = 0.25
    """Which share of the coarse windows, those that change the score most, is then looked at closely.

    The other falls are interpolated.
    """
    sample: Annotated[int, Bound(2)] = 30
    """How many of the interpolated falls are asked about after all, drawn at random, to tell the error of the rest."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        hider = self.hider(query, x)
        whole = query.ask(x).score[:, None]
        if self.coarse == 1:
            return hider.grid.spread((whole - hider.scores(hider.all())).to(x.dtype))
        falls, told = self._by_and_by(hider, whole, query.rng)
        query.notes.update(told)
        return hider.grid.spread(falls.to(x.dtype))

    def _by_and_by(self, hider: Hider, whole: Tensor, rng: Rng) -> tuple[Tensor, dict[str, Tensor]]:
        """The fall of every window [B, W], most of them interpolated, and how far off those are."""
        lattice = Lattice.every(self.coarse, hider.grid)
        asked = hider.all() & lattice.is_coarse.to(whole.device)
        falls = (whole - hider.scores(asked)).where(asked, 0)
        told = lattice.interpolated(falls)
        close = lattice.about(falls, ceil(self.refined * int(lattice.is_coarse.sum()))) & ~asked
        falls, asked = (whole - hider.scores(close)).where(close, falls), asked | close
        lot = rng.uniform(falls, 0, 1).masked_fill(asked, 2.0)
        drawn = (lot.argsort(1).argsort(1) < self.sample) & ~asked
        falls = (whole - hider.scores(drawn)).where(drawn, falls)
        left = ~(asked | drawn)
        error = mean_of_the_rest((falls - told).abs(), drawn, left)
        return told.where(left, falls), {"asked": (~left).sum(1), **error}


class Lattice(NamedTuple):
    """Some of the windows, a coarser grid of them: which these are [W], along each dimension and in all."""

    lines: tuple[Tensor, ...]
    is_coarse: Tensor
    grid: Windows

    @classmethod
    def every(cls, n: int, grid: Windows) -> "Lattice":
        lines = tuple(torch.tensor(sorted({*range(0, len(line), n), len(line) - 1})) for line in grid.lines)
        here = torch.zeros(grid.shape, dtype=torch.bool)
        here[torch.meshgrid(*lines, indexing="ij")] = True
        return cls(lines, here.flatten(), grid)

    def weights(self) -> list[Tensor]:
        """What each window takes of the coarse ones before and after it, along each dimension: [n, coarse]."""
        found: list[Tensor] = []
        for coarse, line in zip(self.lines, self.grid.lines, strict=True):
            known = line[coarse].double()
            low = (torch.searchsorted(known, line.double(), right=True) - 1).clamp(0, max(0, len(known) - 2))
            high = (low + 1).clamp_max(len(known) - 1)
            share = (line - known[low]) / (known[high] - known[low]).clamp_min(1)
            rows, out = torch.arange(len(line)), torch.zeros(len(line), len(known), dtype=torch.float64)
            out[rows, high] += share
            out[rows, low] += 1 - share
            found.append(out)
        return found

    def interpolated(self, falls: Tensor) -> Tensor:
        """Every window's fall from those of the coarse ones alone: [B, W]."""
        return along(self._coarse(falls), self.weights()).flatten(1)

    def about(self, falls: Tensor, most: int) -> Tensor:
        """The windows nearest to the ``most`` coarse ones of each row that change the score most: [B, W]."""
        known = self._coarse(falls)
        order = known.flatten(1).abs().argsort(dim=1, descending=True, stable=True).argsort(1)
        chosen = (order < most).view_as(known)
        for d, weights in enumerate(self.weights(), 1):
            chosen = chosen.index_select(d, weights.argmax(1).to(falls.device))
        return chosen.flatten(1)

    def _coarse(self, falls: Tensor) -> Tensor:
        return falls[:, self.is_coarse.to(falls.device)].unflatten(1, tuple(map(len, self.lines)))


def mean_of_the_rest(values: Tensor, drawn: Tensor, left: Tensor) -> dict[str, Tensor]:
    """The mean over the rest ``left`` of each row, and its 95 % interval, from a few that were drawn; 0 of no rest."""
    n, rest = drawn.sum(1), left.sum(1)
    mean = values.where(drawn, 0).sum(1) / n.clamp_min(1)
    spread = (values - mean[:, None]).square().where(drawn, 0).sum(1) / (n - 1).clamp_min(1)
    wide = torch.as_tensor(stdtrit((n - 1).clamp_min(1).cpu().numpy(), 0.975)).to(values)
    reach = wide * (spread * (1 / n.clamp_min(1) + 1 / rest.clamp_min(1))).sqrt()
    ends = {"error": mean, "error_low": (mean - reach).clamp_min(0), "error_high": mean + reach}
    return {name: t.where(rest > 0, 0) for name, t in ends.items()}
