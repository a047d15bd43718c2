"""The part of a network that follows a layer, asked as often as one likes: what comes before has run once."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from .answers import Spent
from .errors import InputError
from .hooks import Body, body_of, resumed
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
        n, rows = len(activation) // len(self.x), len(self.x)
        if n > 1 and rows > 1:  # of one row what came before is seen often, without a copy
            each = activation.unflatten(0, (n, rows))
            return torch.cat([self.row(k).ask(each[:, k]) for k in range(rows)], 1)
        self.spent.cost["tail"] += len(activation)
        trace = self._finished(activation, n)
        fixed = {name: copies(t, n) for name, t in self.fixed.items()}
        return self.objective.score({**trace, **fixed}, copies(self.y, n)).view(n, rows)

    @torch.no_grad()
    def answer(self, activation: Tensor) -> Tensor:
        """The network's answer with other outputs of the layer, of one or more copies of the rows: [n * B, K, *]."""
        self.spent.cost["tail"] += len(activation)
        return self._finished(activation, len(activation) // len(self.x))["output"]

    def row(self, k: int) -> "Tail":
        """The same about one of the images."""
        one = slice(k, k + 1)
        fixed = {name: t[one] for name, t in self.fixed.items()}
        return self._replace(y=self.y[one], fixed=fixed, x=self.x[one], body=self.body.row(k, len(self.x)))

    def _finished(self, activation: Tensor, n: int) -> dict[str, Tensor]:
        """What follows the layer; parts of the body may share memory unless the network works in place on them."""
        x = copies(self.x, n)
        for shared in (True, False):
            try:
                with resumed(self.body, activation, n, shared):
                    return self.model.trace(x, self.objective.reads)
            except InputError as error:
                if not shared or "single memory location" not in str(error):
                    raise
        raise AssertionError


def body(model: Model, x: Tensor, layer: str) -> Body:
    """A network up to a layer, run once."""
    found = body_of(lambda: model.trace(x), model.net, model.layer(layer))
    if found is None:
        raise InputError(f"layer {layer!r} was not used in the forward pass", "name one that is")
    return found
