"""Whether a map stays where the answer stays."""

from typing import ClassVar

import torch
from torch import Tensor

from ..maps import spearman
from ..spec import Count, Positive
from .faithful import nearby
from .grading import Asked, Measure


class Stability(Measure):
    """The rank correlation of maps before and after small random changes that keep the label (Ghorbani et al., 2019).

    The mean over those changes that do keep it; nothing where none does, or where a map is the same everywhere.
    """

    remakes: ClassVar[bool] = True
    draws: Count = 8
    """How many changes; a map and a pass each."""
    eps: Positive = 0.05
    """The size of a change in Linf; what leaves [0, 1] is cut off."""

    def grade(self, asked: Asked) -> Tensor:
        rng = asked.rng("Stability")
        total = torch.zeros(len(asked.x), dtype=torch.float64, device=asked.x.device)
        count = torch.zeros_like(total)
        for _ in range(self.draws):
            x = nearby(asked, rng.uniform(asked.x), self.eps)
            after = asked.again(x).seen
            low, high = after.flatten(1).aminmax(dim=1)
            counts = asked.still(x) & (low < high) & ~asked.empty
            total += spearman(asked.maps.seen, after).where(counts, 0.0)
            count += counts
        return total / count.where(count > 0, torch.nan)
