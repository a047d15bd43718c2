"""What a layer gives at single positions of images: one vector for each."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..derivatives import exact
from ..errors import InputError
from ..grids import maps_in
from ..method import Columns, Method, Question
from ..model import Model
from ..rows import Batch, stable_number
from ..spec import Natural
from .embed import looked_into


class Spots(Method):
    """A layer's activation at some positions of each image: ``activation`` [B, P, K], ``spot`` [B, P] their numbers.

    Positions are counted row by row; which of them, the seed and the image's id say. A layer without any has one.
    """

    layer: str
    each: Natural = 4
    """How many of each image; 0 takes every position."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        looked_into(question.model)
        flat = layer_maps(question.model, batch.x, self.layer).flatten(2)  # [B, K, positions]
        spots = torch.stack([drawn_spots(question.seed, i, flat.shape[2], self.each) for i in batch.ids])
        some = flat.gather(2, spots[:, None].expand(-1, flat.shape[1], -1))
        return {"activation": some.mT.contiguous(), "spot": spots}


def layer_maps(model: Model, x: Tensor, layer: str) -> Tensor:
    """A layer's output for images as maps on the CPU: [B, K, *sides], of one without positions [B, K, 1]."""
    with torch.no_grad():
        trace = model.trace(x.to(model.device), (layer,))
        given = exact(maps_in(trace, layer).detach()).cpu()
    if given.ndim > 2 and math.prod(given.shape[2:]) > 1 and layer not in model.spatial_layers(x):
        raise InputError(
            f"layer {layer!r} gives {list(trace[layer].shape)}, which does not lie over the image",
            "name a layer before or behind it",
        )
    return given if given.ndim > 2 else given[:, :, None]


def drawn_spots(seed: int, name: Any, positions: int, each: int) -> Tensor:
    """The numbers of so many different positions, in order; all of them where ``each`` is 0."""
    if each == 0 or each >= positions:
        return torch.arange(positions)
    stream = torch.Generator().manual_seed(stable_number(seed, "spots", name))
    return torch.randperm(positions, generator=stream)[:each].sort().values


def place_of(spot: int, sides: Sequence[int]) -> tuple[int, ...]:
    """A position's number as its coordinates."""
    return tuple(int(p) for p in torch.unravel_index(torch.tensor(spot), tuple(sides)))
