"""Class activation maps: a weighting of a layer's activations, summed over its channels."""

from abc import ABC, abstractmethod

from torch import Tensor

from ..errors import InputError
from ..query import AtLayer, Query
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
        layer = query.model.last_spatial_layer(x) if self.layer == "auto" else self.layer
        at = query.at(layer, x)
        if at.activation.ndim != x.ndim:
            raise InputError(
                f"layer {layer!r} gives {list(at.activation.shape)}, which has no positions in an image of "
                f"{x.ndim - 2} dimensions",
                f"try {query.model.last_spatial_layer(x)!r}",
            )
        return (self.weights(at) * at.activation).sum(1, keepdim=True).relu()


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
