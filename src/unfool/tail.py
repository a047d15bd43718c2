"""The part of a network that follows a layer, asked as often as one likes: what comes before has run once."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from .answers import Spent
from .hooks import Body
from .model import Model
from .objectives import Objective
from .rows import copies


class Tail(NamedTuple):
    """A question to what follows a layer, about images ``x``."""

    model: Model
    objective: Objective
    y: Tensor
    fixed: Mapping[str, Tensor]
    spent: Spent
    x: Tensor
    body: Body

    @property
    def activation(self) -> Tensor:
        """What the layer gave back for the images themselves: [B, ...]."""
        return self.body.activation

    @torch.no_grad()
    def ask(self, activation: Tensor) -> Tensor:
        """The scores with other outputs of the layer, of one or more copies of the rows: [n * B, ...] -> [n, B]."""
        n = len(activation) // len(self.x)
        self.spent.cost["tail"] += len(activation)
        trace = self.model.finish(self.body, activation, self.x, self.objective.reads)
        fixed = {name: copies(t, n) for name, t in self.fixed.items()}
        return self.objective.score({**trace, **fixed}, copies(self.y, n)).view(n, len(self.x))
