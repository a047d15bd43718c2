"""What made images are to be compared with: what real images and plain noise do to the same units."""

from collections.abc import Iterable
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from ..measures.spots import layer_maps, place_of
from ..model import Model
from ..objectives import Objective
from ..receptive import Field, receptive_fields
from ..rows import Rng


class Best(NamedTuple):
    """The highest score of each unit over some images, and which image has it."""

    score: Tensor
    which: Tensor


class Strongest(NamedTuple):
    """The position in any of some images at which a channel has its largest value, and what it sees."""

    value: float
    which: int
    place: tuple[int, ...]
    field: Field

    @property
    def box(self) -> tuple[slice, ...]:
        return self.field.at(self.place)


def strongest(model: Model, layer: str, channels: Tensor, x: Tensor) -> list[Strongest]:
    """That of each channel of a layer in the images ``x``, of equals the first; nothing where it has no positions."""
    if layer not in model.spatial_layers(x):
        return []
    field = receptive_fields(model, x[:1].to(model.device), [layer])[layer]
    value, at = torch.full((len(channels),), -torch.inf), torch.zeros_like(channels)
    room, positions = model.capacity, prod(field.sides)
    for first in range(0, len(x), room):
        maps = layer_maps(model, x[first : first + room], layer)[:, channels].flatten(2)
        top, place = maps.transpose(0, 1).flatten(1).max(1)  # [n, images * positions]
        at = torch.where(top > value, place + first * positions, at)
        value = torch.maximum(value, top)
    return [
        Strongest(float(v), k // positions, place_of(k % positions, field.sides), field)
        for v, k in zip(value, at.tolist(), strict=True)
    ]


@torch.no_grad()
def best_of(model: Model, objective: Objective, y: Tensor, x: Tensor | Iterable[Tensor]) -> Best:
    """The best of the images ``x`` for every unit ``y``: one pass over them for all units together."""
    y = y.to(model.device)
    best = torch.full((len(y),), -torch.inf, device=model.device)
    which, seen = torch.zeros_like(y), 0
    with model.settled():
        for some in x.split(model.capacity) if isinstance(x, Tensor) else x:
            trace = model.trace(some.to(model.device), objective.reads)
            scores = torch.stack([objective.score(trace, unit.expand(len(some))) for unit in y])  # [N, B]
            top, place = scores.to(best).max(1)
            which = torch.where(top > best, place + seen, which)  # of equals the first
            best, seen = torch.maximum(best, top), seen + len(some)
    return Best(best.cpu(), which.cpu())


def noise_like(x: Tensor, n: int, seed: int, room: int) -> Iterable[Tensor]:
    """Images of uniform noise in the shape of ``x`` [1, C, *], some at a time."""
    for some in torch.arange(n).split(room):
        rng = Rng.seeded(seed, [f"noise {k}" for k in some.tolist()], x.device)
        yield rng.uniform(x.new_empty(len(some), *x.shape[1:]), 0, 1)


def gain(score: Tensor, best: Tensor) -> Tensor:
    """How many times as high as the best real image a made one scores; NaN where the unit is dead.

    A dead unit is one that no real image brings above zero: there is nothing to divide by.
    """
    return torch.where(best > 0, score / best.where(best > 0, 1.0), torch.nan)
