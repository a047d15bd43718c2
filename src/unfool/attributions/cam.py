"""Class activation maps: a layer's activations, weighted and summed over its channels."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor

from ..answers import AtLayer
from ..maps import resize
from ..query import Query
from .base import Attribution
from .layers import SEARCHED, chosen_layers, on_grids


class Weighed(NamedTuple):
    """A map at one layer [B, 1, *], and which share of its channels or positions speaks for the score [B]."""

    heat: Tensor
    positive: Tensor


class LayerMap(Attribution, ABC):
    """A map made of what a layer gives, at the layer's own size."""

    layer: str | tuple[str, ...] = "auto"
    """A layer's name, or several, whose maps are each divided by their largest value and averaged. "auto" is the
    last layer with positions that the score depends on, of a map of scores the last before it; "stages" the last of
    each size, "all" every convolution."""
    grid: tuple[int, ...] = ()
    """Height and width of a layer's tokens where their number does not tell."""

    @abstractmethod
    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        """The map at each layer."""

    @final
    def by_layer(self, query: Query, x: Tensor) -> dict[str, Weighed]:
        """The maps of all layers that were asked for, by name."""
        layers = chosen_layers(query, x, self.layer)
        return dict(zip(layers, self.weighed(query, x, layers), strict=True))

    @final
    def explain(self, query: Query, x: Tensor) -> Tensor:
        found = self.by_layer(query, x)
        maps = [one.heat for one in found.values()]
        place = torch.tensor([place_of(query, name) for name in found], device=x.device)
        query.notes["positive"] = torch.stack([one.positive for one in found.values()]).mean(0)
        if len(maps) == 1:
            query.notes["layer"] = place.repeat(len(x))
            return maps[0]
        query.notes["layer"] = place.repeat(len(x), 1)
        query.notes["each"] = torch.cat(of_one_size(maps), 1)
        query.notes["each_max"] = torch.stack([t.flatten(1).amax(1) for t in maps], 1)
        return torch.stack(of_one_size([_to_one(t) for t in maps])).mean(0)


def place_of(query: Query, layer: str) -> int:
    """A layer's number among all of the model's."""
    return [*query.model.layers].index(layer)


def of_one_size(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps brought to the size of the finest."""
    finest = max((tuple(t.shape[2:]) for t in maps), key=prod)
    return [resize(t, finest) for t in maps]


def _to_one(heat: Tensor) -> Tensor:
    top = heat.flatten(1).abs().amax(1).view(-1, *[1] * (heat.ndim - 1))
    return heat / top.where(top > 0, 1)


class GradientMap(LayerMap, ABC):
    """Activations weighted by what the gradient at the layer says."""

    signed: ClassVar[bool] = False
    """Whether what speaks against the score is kept."""

    @abstractmethod
    def weights(self, at: AtLayer) -> Tensor:
        """One weight per channel [B, K, 1, 1] or per channel and position [B, K, h, w]."""

    @final
    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        return [
            self._weighed(at) for at in on_grids(query, layers, x, self.grid, idle=self.layer in SEARCHED)
        ]

    def _weighed(self, at: AtLayer) -> Weighed:
        weights = self.weights(at)
        return Weighed(weighted_sum(weights, at.activation, self.signed), share_positive(weights))


def weighted_sum(weights: Tensor, maps: Tensor, signed: bool = False) -> Tensor:
    heat = (weights * maps).sum(1, keepdim=True)
    return heat if signed else heat.relu()


def share_positive(weights: Tensor) -> Tensor:
    return (weights.flatten(1) > 0).to(weights.dtype).mean(1)


class GradCAM(GradientMap):
    """Each channel weighted by its mean gradient (Selvaraju et al., 2017). Explains a score, never a loss."""

    def weights(self, at: AtLayer) -> Tensor:
        return spatial_mean(at.grad)


class GradCAMPlusPlus(GradientMap):
    """Positive gradients, each position weighted by its share (Chattopadhay et al., 2018, eq. 19)."""

    def weights(self, at: AtLayer) -> Tensor:
        square, mass = at.grad**2, spatial_sum(at.activation)
        below = 2 * square + mass * at.grad**3
        share = square / below.where(below != 0, 1)
        return spatial_sum(share * at.grad.relu())


class XGradCAM(GradientMap):
    """Each channel weighted by its gradient's mean under the channel itself (Fu et al., 2020).

    A channel whose activations cancel out has no such mean; it counts for nothing.
    """

    def weights(self, at: AtLayer) -> Tensor:
        mass, size = spatial_sum(at.activation), spatial_sum(at.activation.abs())
        some = mass.abs() > 1e-6 * size
        return spatial_sum(at.activation * at.grad) / mass.where(some, 1) * some


class HiResCAM(GradientMap):
    """Each position weighted by its own gradient, signed (Draelos & Carin, 2020).

    Before a linear head the map sums to the score but for the head's bias.
    """

    signed = True

    def weights(self, at: AtLayer) -> Tensor:
        return at.grad


class LayerCAM(GradientMap):
    """Each position weighted by its own positive gradient (Jiang et al., 2021)."""

    def weights(self, at: AtLayer) -> Tensor:
        return at.grad.relu()


def spatial_sum(t: Tensor) -> Tensor:
    return t.sum(tuple(range(2, t.ndim)), keepdim=True)


def spatial_mean(t: Tensor) -> Tensor:
    return t.mean(tuple(range(2, t.ndim)), keepdim=True)
