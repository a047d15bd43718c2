"""Class activation maps: a weighting of a layer's activations, summed over its channels."""

from abc import ABC, abstractmethod

from torch import Tensor

from ..answers import AtLayer
from ..errors import InputError
from ..grids import grid_of
from ..query import Query
from .base import Attribution


class CAM(Attribution, ABC):
    """A weighted sum of a layer's activations; only what speaks for the class is kept."""

    layer: str = "auto"
    """A layer's name; "auto" is the last one whose output still has positions."""

    @abstractmethod
    def weights(self, at: AtLayer) -> Tensor:
        """One weight per channel [B, K, 1, 1] or per channel and position [B, K, h, w]."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        query.model.need("gradients", query.who)
        layer = connected_layer(query, x) if self.layer == "auto" else self.layer
        at = on_grid(query, layer, x)
        return (self.weights(at) * at.activation).sum(1, keepdim=True).relu()


def connected_layer(query: Query, x: Tensor) -> str:
    """The last layer with positions on which the score depends."""
    last = query.model.last_spatial_layer(x)
    if "output" in query.objective.reads and not query.model.spatial_layers(x)[last].last:
        return last  # of maps with channels first nothing is ever cut off but by the network's own hand
    found = query.connected_layers(x)
    return found[-1] if found else last


def on_grid(query: Query, layer: str, x: Tensor) -> AtLayer:
    """Score, activation and gradient at a layer as maps [B, K, *space], whatever way the layer lays them out."""
    at = query.at(layer, x)
    grid = grid_of(tuple(at.activation.shape), tuple(x.shape[2:]))
    if grid is None:
        raise InputError(
            f"layer {layer!r} gives {list(at.activation.shape)}, which has no positions in an image of "
            f"{list(x.shape[2:])}",
            f"try {connected_layer(query, x)!r}",
        )
    maps, grad = grid.maps(at.activation), grid.maps(at.grad)
    if not grad.any() and (found := query.connected_layers(x)) and layer not in found:
        order = [*query.model.spatial_layers(x)]
        before = [name for name in found if order.index(name) < order.index(layer)]
        raise InputError(
            f"the score does not depend on the positions of layer {layer!r}",
            f"the nearest that has a way to it is {(before or found)[-1]!r}",
        )
    return AtLayer(at.score, maps, grad)


class GradCAM(CAM):
    """Each channel weighted by its mean gradient (Selvaraju et al., 2017). Explains a score, never a loss."""

    def weights(self, at: AtLayer) -> Tensor:
        return spatial_mean(at.grad)


class GradCAMPlusPlus(CAM):
    """Positive gradients, each position weighted by its share (Chattopadhay et al., 2018, eq. 19)."""

    def weights(self, at: AtLayer) -> Tensor:
        square, mass = at.grad**2, spatial_sum(at.activation)
        below = 2 * square + mass * at.grad**3
        share = square / below.where(below != 0, 1)
        return spatial_sum(share * at.grad.relu())


class LayerCAM(CAM):
    """Each position weighted by its own positive gradient (Jiang et al., 2021)."""

    def weights(self, at: AtLayer) -> Tensor:
        return at.grad.relu()


def spatial_sum(t: Tensor) -> Tensor:
    return t.sum(tuple(range(2, t.ndim)), keepdim=True)


def spatial_mean(t: Tensor) -> Tensor:
    return t.mean(tuple(range(2, t.ndim)), keepdim=True)
