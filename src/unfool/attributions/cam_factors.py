"""Class activation maps without weights: what the channels of a layer have most in common."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..query import Query
from .cam import LayerMap, Weighed, share_positive
from .layers import SEARCHED, maps_at, on_grids


class EigenCAM(LayerMap):
    """The first principal component of a layer's activations, whatever the score (Muhammad & Yeasin, 2020).

    Signed: zero is a position like the mean of all. No gradient is taken, and no class is told from another.
    """

    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        return [_component(maps) for maps in maps_at(query, layers, x, self.grid).values()]


class EigenGradCAM(LayerMap):
    """The first principal component of a layer's activations times their gradients, which tells classes apart."""

    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        return [
            _component(at.activation * at.grad)
            for at in on_grids(query, layers, x, self.grid, idle=self.layer in SEARCHED)
        ]


def _component(maps: Tensor) -> Weighed:
    heat = first_component(maps)
    return Weighed(heat, share_positive(heat))


def first_component(maps: Tensor) -> Tensor:
    """Positions projected on the direction of channels in which they differ most: [B, K, *] -> [B, 1, *].

    By the eigenvectors of the smaller Gram matrix. Its sign is arbitrary: the larger extreme is made positive.
    """
    flat = maps.flatten(2).mT.double()
    flat = flat - flat.mean(1, keepdim=True)
    size = flat.abs().amax((1, 2), keepdim=True)
    flat = flat / size.where(size > 0, 1)
    if flat.shape[1] <= flat.shape[2]:
        values, vectors = torch.linalg.eigh(flat @ flat.mT)
        along = vectors[..., -1] * values[..., -1:].clamp_min(0).sqrt()
    else:
        vectors = torch.linalg.eigh(flat.mT @ flat).eigenvectors
        along = (flat @ vectors[..., -1:])[..., 0]
    turned = along.amin(1, keepdim=True).abs() > along.amax(1, keepdim=True).abs()
    along = along.where(~turned, -along) * size[:, 0]
    return along.to(maps).view(len(maps), 1, *maps.shape[2:])
