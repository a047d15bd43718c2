"""What a question was answered, and what the answers cost."""

from collections import Counter
from typing import Literal, NamedTuple

import torch
from torch import Tensor


class Answer(NamedTuple):
    """What a question was answered: each row's score, whether it is done, and the gradient where it was asked for."""

    score: Tensor
    reached: Tensor
    grad: Tensor | None = None

    @property
    def slope(self) -> Tensor:
        assert self.grad is not None
        return self.grad


class AtLayer(NamedTuple):
    """Each row's score, a layer's activation [B, K, *] and the score's gradient there."""

    score: Tensor
    activation: Tensor
    grad: Tensor


class Spent(NamedTuple):
    """What a query and all its cuts share; ``rows`` are this cut's places in what has one entry per row."""

    cost: Counter[str]
    asked: Tensor
    """Forward passes of each row."""
    followed: Tensor
    """Backward passes of each row."""
    rows: Tensor
    lost: Tensor
    """Whether a search found no image to begin at."""
    starts: Tensor | None = None
    """Images [N, C, *] that a search of any row may begin at."""
    film: "list[Frame] | None" = None
    """Every state of a search in turn, where somebody wants to see it."""

    @classmethod
    def nothing(cls, n: int, device: torch.device | str, starts: Tensor | None = None) -> "Spent":
        rows = torch.arange(n, device=device)
        none = torch.zeros_like(rows)
        return cls(Counter(), none, none.clone(), rows, none.bool(), starts)

    def add(self, way: Literal["forward", "backward"], n: int = 1) -> None:
        """Note ``n`` passes of every row of this cut."""
        self.cost[way] += n * len(self.rows)
        counts = self.asked if way == "forward" else self.followed
        counts.index_add_(0, self.rows, torch.full_like(self.rows, n))


class Frame(NamedTuple):
    """Some rows' images at one moment of a search."""

    rows: Tensor
    x: Tensor
