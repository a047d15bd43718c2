"""An image as a small network of coordinates whose weights are climbed."""

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from ..rows import Rng
from ..spec import Count, Positive
from .canvas import Canvas
from .cppn import coordinates
from .looks import Looks


class Network(Canvas):
    """A small network from coordinates to colours (Stanley, 2007; Mordvintsev et al., 2018).

    Smooth, at any size. Its weights are climbed; those of ``CPPN()`` evolve, nodes and wires with them. It wants
    smaller steps than the others: ``Maximise(Network(), rate=0.005)``.
    """

    rows: ClassVar[int | None] = 8

    width: Count = 16
    """Nodes in a layer."""
    layers: Count = 5
    """Layers of nodes between coordinates and colours."""
    reach: Positive = 2.0
    """How far coordinates go from the middle: the larger, the finer the pattern it begins with."""

    def blank(self, looks: Looks, rng: Rng) -> Tensor:
        shapes = self._shapes(looks.start)
        spread = [torch.full((i * o,), 1 / math.sqrt(i)) for i, o in shapes]
        spread[-1] *= 0.1  # little is added at first
        draws = rng.normal(looks.start.new_empty(len(looks.start), sum(i * o for i, o in shapes)))
        return draws * torch.cat(spread).to(draws)

    def drawn(self, params: Tensor, looks: Looks) -> Tensor:
        points = coordinates(looks.start)
        known = (self.reach * points[:-1].mT).expand(len(params), -1, -1)
        last = len(self._shapes(looks.start)) - 1
        for k, weight in enumerate(self._weights(params, looks.start)):
            one = known.new_ones(1).expand(*known.shape[:2], 1)
            known = torch.cat([known, one], 2) @ weight
            if k < last:
                bent = known.atan()
                known = torch.cat([bent / 0.67, (bent.square() - 0.45) / 0.4], 2)  # each of spread about 1
        return known.mT.reshape(looks.start.shape)

    def _weights(self, params: Tensor, x: Tensor) -> Iterator[Tensor]:
        """Of each layer, the last input being 1: [N, in, out]."""
        shapes = self._shapes(x)
        for part, shape in zip(params.split([i * o for i, o in shapes], 1), shapes, strict=True):
            yield part.reshape(-1, *shape)

    def _shapes(self, x: Tensor) -> list[tuple[int, int]]:
        """Coordinates and the distance from the middle go in, channels come out."""
        ins, outs = [x.ndim - 1, *[2 * self.width] * self.layers], [*[self.width] * self.layers, x.shape[1]]
        return [(i + 1, o) for i, o in zip(ins, outs, strict=True)]
