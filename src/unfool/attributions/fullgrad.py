"""What the image and every bias of a network add to a score."""

from typing import Any

from torch import Tensor

from ..maps import resize
from ..query import Query
from .base import Attribution
from .layers import biased, grid_at


class FullGrad(Attribution):
    """Sizes of gradient times input and of gradient times bias at every layer, added up (Srinivas & Fleuret, 2019).

    Each layer's part is brought to [0, 1] and to the image's size first. A batch norm's constant part is its bias.
    A layer that is used twice counts by its first use.
    """

    def explain(self, query: Query, x: Tensor) -> Tensor:
        first, *rest = (_unit(part, tuple(x.shape[2:])) for part in parts(query, x))
        for one in rest:
            first = first + one
        return first


def parts(query: Query, x: Tensor) -> list[Tensor]:
    """Gradient times input, then gradient times bias of each layer with positions, signed: each [B, K, *]."""
    query.model.need("gradients", query.who)
    names = [name for name in query.model.spatial_layers(x) if biased(query.model.layer(name)) is not None]
    image, *found = query.at_layers(("input", *names), x, idle=True)
    added = [_share(query, name, at.grad, x) for name, at in zip(names, found, strict=True)]
    return [image.grad * x, *added]


def _share(query: Query, layer: str, grad: Tensor, x: Tensor) -> Tensor:
    maps = grid_at(query, layer, grad, x).maps(grad)
    bias: Any = biased(query.model.layer(layer))
    return maps * bias.detach().to(maps).view(-1, *[1] * (maps.ndim - 2))


def _unit(part: Tensor, size: tuple[int, ...]) -> Tensor:
    """Each row's sizes in [0, 1] over all channels, summed over them, at the image's size."""
    flat = part.abs().flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    unit = ((flat - low) / (high - low).where(high > low, 1)).view_as(part)
    return resize(unit.sum(1, keepdim=True), size)
