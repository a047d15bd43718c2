"""Random changes of an image that should not matter. Each row is changed by its own stream."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from .rows import Rng, column
from .spec import Fraction, Natural, Positive, Spec


class Transform(Spec, ABC):
    """A random change of images, differentiable, one draw per row."""

    @abstractmethod
    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        """The changed images, in the same shape."""


class Jitter(Transform):
    """Shift every dimension by up to ``pixels`` either way; what leaves on one side enters on the other."""

    pixels: Natural = 8

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        draws = rng.uniform(x.new_empty(len(x), x.ndim - 2), -self.pixels - 0.5, self.pixels + 0.5)
        for axis, shifts in enumerate(draws.round().long().T, 2):
            x = _roll(x, shifts, axis)
        return x


def _roll(x: Tensor, shifts: Tensor, axis: int) -> Tensor:
    """Each row rolled by its own number of places along one axis."""
    size = x.shape[axis]
    places = (torch.arange(size, device=x.device) - shifts[:, None]) % size  # [B, size]
    shape = [len(x), *(size if i == axis else 1 for i in range(1, x.ndim))]
    return x.gather(axis, places.view(shape).expand_as(x))


class Noise(Transform):
    """Add normal noise of spread ``sigma``."""

    sigma: Positive = 0.05

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return x + self.sigma * rng.normal(x)


class Scale(Transform):
    """Enlarge or shrink about the middle by up to ``share``; borders are repeated. Two dimensions."""

    share: Positive = 0.1

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        factor = 1 + rng.uniform(x.new_empty(len(x), 1), -self.share, self.share)[:, 0]
        return _warp(x, torch.diag_embed(torch.stack([factor, factor], 1)))


class Rotate(Transform):
    """Turn about the middle by up to ``degrees`` either way; borders are repeated. Two dimensions."""

    degrees: Positive = 10.0

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        angle = torch.deg2rad(rng.uniform(x.new_empty(len(x), 1), -self.degrees, self.degrees)[:, 0])
        stretch = x.shape[3] / x.shape[2]  # the grid's unit is half a side, which differs between the sides
        rows = [angle.cos(), -angle.sin() / stretch, angle.sin() * stretch, angle.cos()]
        return _warp(x, torch.stack(rows, 1).view(-1, 2, 2))


def _warp(x: Tensor, matrix: Tensor) -> Tensor:
    grid = F.affine_grid(F.pad(matrix, (0, 1)), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


class Brightness(Transform):
    """Multiply by up to 1 ± ``share``."""

    share: Positive = 0.1

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return x * column(1 + rng.uniform(x.new_empty(len(x), 1), -self.share, self.share)[:, 0], x)


class Shrink(Transform):
    """With a chance, shrink to a random size and put it anywhere on black (input diversity, Xie et al., 2019)."""

    least: Fraction = 0.9
    """The smallest size, as a share of each side."""
    chance: Fraction = 0.5
    """How often an image is changed at all."""

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        lots = rng.uniform(x.new_empty(len(x), x.ndim), 0, 1)  # [B, chance, size, one place per dimension]
        share = torch.where(lots[:, 0] < self.chance, self.least + (1 - self.least) * lots[:, 1], 1.0)
        for axis in range(2, x.ndim):
            x = _shrunk(x, share, lots[:, axis], axis)
        return x


def _shrunk(x: Tensor, share: Tensor, place: Tensor, axis: int) -> Tensor:
    """Each row shrunk along one axis to its own share of the side, interpolated, zeros beside it."""
    side = x.shape[axis]
    wanted = (share * side).round().clamp_min(1)[:, None]  # [B, 1]
    first = (place[:, None] * (side - wanted + 1)).floor().clamp(max=side - 1)
    at = torch.arange(side, device=x.device, dtype=x.dtype)
    source = ((at - first + 0.5) * side / wanted - 0.5).clamp(0, side - 1)  # [B, side]
    inside = (at >= first) & (at < first + wanted)
    weights = (1 - (source[:, :, None] - at).abs()).clamp_min(0) * inside[:, :, None]  # [B, to, from]
    lines = x.movedim(axis, -1)
    mixed = lines.flatten(1, -2) @ weights.mT
    return mixed.view(lines.shape).movedim(-1, axis)
