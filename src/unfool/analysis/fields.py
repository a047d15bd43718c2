"""What each layer sees of an image, and how far its gradient reaches."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..derivatives import each_derivative
from ..grids import Grid
from ..measures.units import unit_layers
from ..model import Model
from ..receptive import Field, receptive_fields


class Seen(NamedTuple):
    """One layer's receptive field, at the middle of the layer."""

    layer: str
    field: Field
    middle: tuple[int, ...]
    gradient: Tensor
    """The mean size of the gradient of all its units there, over the image: [*space]."""

    @property
    def outside(self) -> float:
        """How much of the gradient is outside the box: nothing, or the box is wrong."""
        left = self.gradient.clone()
        left[self.field.at(self.middle)] = 0
        return float(left.sum() / self.gradient.sum().clamp_min(1e-30))

    @property
    def effective(self) -> float:
        """The share of the box that holds 95 % of the gradient (the effective receptive field, Luo et al., 2016)."""
        inside = self.gradient[self.field.at(self.middle)].flatten().sort(descending=True).values.double()
        held = inside.cumsum(0) / inside.sum().clamp_min(1e-30)
        return float((held < 0.95).sum() + 1) / len(inside)


def seen_by(model: Model, x: Tensor, layers: Sequence[str] = (), most: int = 32) -> list[Seen]:
    """The field of every layer wanted, and the gradients of at most so many of its units."""
    x = x.to(model.device)
    grids = unit_layers(model, x, layers)
    fields = receptive_fields(model, x, list(grids), middle=True)
    return [_seen(model, x, name, grids[name], fields[name], most) for name in grids]


def _seen(model: Model, x: Tensor, name: str, grid: Grid, field: Field, most: int) -> Seen:
    middle = tuple(side // 2 for side in field.sides)
    with model.settled(), torch.enable_grad():
        leaf = x.detach().requires_grad_()
        maps = grid.maps(model.trace(leaf, (name,))[name])
        units = maps[(slice(None), slice(None, most), *middle)].T
        gradient = each_derivative(units, leaf, "a receptive field")
    return Seen(name, field, middle, gradient.abs().mean((0, 1, 2)).cpu())
