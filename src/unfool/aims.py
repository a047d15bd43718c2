"""What an image may be made for beside a class or a channel: a direction, a likeness, much activity, being another."""

from abc import ABC
from typing import Literal

import torch
from torch import Tensor

from .errors import InputError
from .grids import maps_in
from .objectives import Objective, Scaled, Sum, Trace


class AtOneLayer(Objective, ABC):
    """An objective that reads one layer, "output" or "input"."""

    layer: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.layer,)


class Direction(AtOneLayer):
    """How far a layer's activation goes along a direction: at all positions alike, the mean of their dot products.

    The directions come with the question as ``direction``, [N, channels], one for each image; their length does not
    count.
    """

    cosine: float = 0.0
    """The power of the cosine each dot product is multiplied by: the larger, the less else is in the image."""
    middle: bool = False
    """Only at the layer's middle position."""

    @property
    def fixes(self) -> tuple[str, ...]:
        return ("direction",)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        raise InputError(f"{self!r} needs directions", "give direction=… [N, channels], one for each image")

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        here, way = maps_in(trace, self.layer), trace["direction"]
        if way.shape != here.shape[:2]:
            raise InputError(
                f"layer {self.layer!r} has {here.shape[1]} channels, directions are {list(way.shape)}"
            )
        if self.middle:
            here = here[(..., *(side // 2 for side in here.shape[2:]))]
        here, way = here.flatten(2) if here.ndim > 2 else here[:, :, None], way.to(here)
        along = (here * (way / way.norm(dim=1, keepdim=True).clamp_min(1e-12))[:, :, None]).sum(1)
        return _aligned(along, here.norm(dim=1), self.cosine).mean(1)


class Caricature(AtOneLayer):
    """A layer's activation along that of another image, position by position (Olah et al., 2018).

    The other's activation comes with the question as ``reference``.
    """

    cosine: float = 1.0
    """The power of the cosine each dot product is multiplied by."""

    @property
    def fixes(self) -> tuple[str, ...]:
        return ("reference",)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        raise InputError(f"{self!r} needs what to exaggerate", "give reference=…, the other's activation")

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        here, there = _pair(trace, self.layer)
        length = there.norm(dim=1, keepdim=True)
        along = (here * (there / length.clamp_min(1e-12))).sum(1)
        weight = length[:, 0] / length[:, 0].mean(1, keepdim=True).clamp_min(1e-12)
        return (_aligned(along, here.norm(dim=1), self.cosine) * weight).mean(1)


class Match(AtOneLayer):
    """How near a layer's activation is to that of another image (Mahendran & Vedaldi, 2015).

    Minus the squared distance in units of the other's squared length: 0 where they are the same. The other's comes with
    the question as ``reference``.
    """

    @property
    def fixes(self) -> tuple[str, ...]:
        return ("reference",)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        raise InputError(f"{self!r} needs what to match", "give reference=…, the other image's activation")

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        here, there = (t.flatten(1) for t in _pair(trace, self.layer))
        return -(here - there).square().sum(1) / there.square().sum(1).clamp_min(1e-12)


class Activity(AtOneLayer):
    """How much a layer is active: the mean of its squared activations (Mordvintsev et al., 2015)."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return trace[self.layer].flatten(1).square().mean(1)


class Diverse(AtOneLayer):
    """How unlike an image is to the others for the same ``y`` in the same pass (Olah et al., 2017).

    Minus the mean cosine of the Gram matrices of a layer's channels, or of its activations; 0 where there is no other.
    The one objective whose rows depend on each other.
    """

    of: Literal["texture", "place"] = "texture"
    """What is to differ: which channels go together, or what is where."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        t = maps_in(trace, self.layer)
        t = t.flatten(2) if t.ndim > 2 else t[:, :, None]
        t = t @ t.mT if self.of == "texture" else t
        told = torch.nn.functional.normalize(t.flatten(1), dim=1)
        twins = (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
        return -((told @ told.mT) * twins).sum(1) / twins.sum(1).clamp_min(1)


def compares(objective: Objective) -> bool:
    """Whether it compares images for the same ``y``, so that they must be seen together."""
    match objective:
        case Sum(left, right):
            return compares(left) or compares(right)
        case Scaled(inner):
            return compares(inner)
        case _:
            return isinstance(objective, Diverse)


LEAST = 0.1
"""A cosine counts as this at least, so that there is a way up from the wrong side, too."""


def _aligned(along: Tensor, length: Tensor, power: float) -> Tensor:
    """Dot products with a unit vector times a power of their cosine."""
    if not power:
        return along
    return along * (along / length.clamp_min(1e-12)).clamp_min(LEAST) ** power


def _pair(trace: Trace, layer: str) -> tuple[Tensor, Tensor]:
    """A layer's activation and the other image's, [B, C, positions] each."""
    here, there = trace[layer], trace["reference"]
    if here.shape[1:] != there.shape[1:]:
        raise InputError(
            f"layer {layer!r} gives {list(here.shape[1:])} for an image, the reference is {list(there.shape[1:])}"
        )
    here, there = (maps_in(trace, layer, t) for t in (here, there.to(here)))
    here, there = (t.flatten(2) if t.ndim > 2 else t.unflatten(1, (-1, 1)) for t in (here, there))
    return here, there
