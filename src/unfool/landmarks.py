"""What an explanation of landmarks may be about: how sure one is, where it is, what would move it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .errors import InputError
from .objectives import Output, Trace
from .scores import chosen, map_of
from .spec import Fraction, Natural, Positive

NOWHERE = torch.iinfo(torch.long).min // 2
"""The position of a peak that there is not."""


class Landmark(Output):
    """The score of heat map ``y`` at the landmark it finds in the unchanged image.

    ``around`` positions about the peak are averaged in each direction: with 0 it is the peak alone.
    """

    around: Natural = 0
    least: Fraction = 0.0
    """Where the landmark is nowhere as probable as this, there is nothing to explain."""

    @property
    def fixes(self) -> tuple[str, ...]:
        return (f"{self!r}",)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        heat = map_of(trace["output"], self)
        peaks = peak_of(heat.flatten(0, 1)).unflatten(0, heat.shape[:2])
        sure = heat.softmax(1).flatten(2).amax(2) >= self.least
        return {f"{self!r}": peaks.where(sure[..., None], NOWHERE)}

    def lacking(self, trace: Trace, y: Tensor) -> Mapping[str, Tensor]:
        return {
            f"{{}} is nowhere as probable as {self.least:g}": (chosen(trace[f"{self!r}"], y) == NOWHERE).all(
                1
            )
        }

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        heat = chosen(map_of(trace["output"], self), y)
        near = torch.ones_like(heat, dtype=torch.bool)
        peak = chosen(trace[f"{self!r}"], y)
        for d, place in enumerate(peak.unbind(1)):
            line = torch.arange(heat.shape[d + 1], device=heat.device).view(-1, *[1] * (heat.ndim - d - 2))
            near = near & ((line - place.view(-1, *[1] * (heat.ndim - 1))).abs() <= self.around)
        return (heat * near).flatten(1).sum(1) / near.flatten(1).sum(1).clamp_min(1)


class Coordinate(Output):
    """Where landmark ``y`` is along one axis: the mean position under the softmax of its heat map, in positions.

    What moves a landmark, rather than what makes it sure.
    """

    axis: int = -1
    sharpness: Positive = 1.0
    """What the heat map is multiplied by first."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        weights, heat = _softmax(chosen(map_of(trace["output"], self), y), self.sharpness)
        return (weights * _positions(heat, self.axis)).flatten(1).sum(1)


class Spread(Output):
    """How far from sure landmark ``y`` is: the standard deviation of positions under the softmax of its heat map."""

    sharpness: Positive = 1.0
    """What the heat map is multiplied by first."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        weights, heat = _softmax(chosen(map_of(trace["output"], self), y), self.sharpness)
        square = torch.zeros(len(heat), dtype=heat.dtype, device=heat.device)
        for axis in range(heat.ndim - 1):
            at = _positions(heat, axis)
            middle = (weights * at).flatten(1).sum(1).view(-1, *[1] * (heat.ndim - 1))
            square = square + (weights * (at - middle).square()).flatten(1).sum(1)
        return square.clamp_min(1e-12).sqrt()


def peak_of(heat: Tensor) -> Tensor:
    """The position of each row's largest value: [B, *space] -> [B, dimensions]."""
    place = torch.unravel_index(heat.flatten(1).argmax(1), heat.shape[1:])
    return torch.stack(place, 1)


def _softmax(heat: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
    return (heat * sharpness).flatten(1).softmax(1).view_as(heat), heat


def _positions(heat: Tensor, axis: int) -> Tensor:
    """The position along one axis: [*space], broadcast over the others."""
    dims = heat.ndim - 1
    if not -dims <= axis < dims:
        raise InputError(f"the heat map has {dims} axes, there is none of number {axis}")
    d = axis % dims
    return torch.arange(heat.shape[d + 1], device=heat.device, dtype=heat.dtype).view(
        -1, *[1] * (dims - d - 1)
    )
