"""Random changes of an image that should not matter. Each row is changed by its own stream."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import bounds
from .rows import Rng, column
from .spec import Bound, Fraction, Natural, Positive, Spec

Change = Callable[[Tensor, Rng], Tensor]
"""What changes each row by its own stream: a transform, or a function like one."""


class Transform(Spec, ABC):
    """A random change of images, differentiable, one draw per row."""

    moves: ClassVar[bool] = False
    """Whether what is in an image is elsewhere afterwards; it then treats all channels alike."""

    @abstractmethod
    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        """The changed images, in the same shape."""


class Jitter(Transform):
    """Shift every dimension by up to ``pixels`` either way; what leaves on one side enters on the other."""

    moves = True

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
    """Enlarge or shrink about the middle by up to ``share``; borders are repeated. In the last two dimensions."""

    moves = True

    share: Positive = 0.1

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        factor = 1 + one_each(x, rng, -self.share, self.share)
        return posed(x, torch.zeros_like(factor), 1 / factor)


class Rotate(Transform):
    """Turn about the middle by up to ``degrees`` either way; borders are repeated. In the last two dimensions."""

    moves = True

    degrees: Positive = 10.0

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        angle = one_each(x, rng, -self.degrees, self.degrees)
        return posed(x, angle, torch.ones_like(angle))


class Shift(Transform):
    """Move by up to ``share`` of each side, by parts of a pixel too; borders are repeated. In the last two."""

    moves = True

    share: Positive = 0.08

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        way = 2 * rng.uniform(x.new_empty(len(x), 2), -self.share, self.share)
        return _warp(x, torch.cat([torch.eye(2).to(x).expand(len(x), 2, 2), way[:, :, None]], 2))


def posed(x: Tensor, degrees: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor:
    """Each row turned about its middle, brought to ``scale`` times its size and moved; borders are repeated.

    ``shift`` [B, 2], across and down, is in halves of a side. Of volumes and series every plane alike; of a line,
    which cannot turn, only the first of the two counts.
    """
    if x.ndim == 3:
        return posed(x[:, :, None], degrees, scale, shift)[:, :, 0]
    angle = torch.deg2rad(degrees)
    stretch = x.shape[-1] / x.shape[-2]  # the grid's unit is half a side, which differs between the sides
    rows = [angle.cos(), -angle.sin() / stretch, angle.sin() * stretch, angle.cos()]
    way = x.new_zeros(len(x), 2) if shift is None else shift
    return _warp(x, torch.cat([(torch.stack(rows, 1) / scale[:, None]).view(-1, 2, 2), way[:, :, None]], 2))


def _warp(x: Tensor, matrix: Tensor) -> Tensor:
    planes = x.flatten(1, -3)
    grid = F.affine_grid(matrix, list(planes.shape), align_corners=False)
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=False).view(x.shape)


def one_each(x: Tensor, rng: Rng, low: float, high: float) -> Tensor:
    """A number for each row: [B]."""
    return rng.uniform(x.new_empty(len(x), 1), low, high)[:, 0]


class Brightness(Transform):
    """Multiply by up to 1 ± ``share``."""

    share: Positive = 0.1

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return x * column(1 + one_each(x, rng, -self.share, self.share), x)


Per = Literal["channel", "pixel"]


class Gain(Transform):
    """Multiply every channel, or every pixel, by a number of its own, up to ``most`` times more or less."""

    most: Annotated[float, Bound(1)] = 1.3
    per: Per = "channel"

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return x * torch.exp(_spread(x, self.per, rng) * math.log(self.most))


class Bias(Transform):
    """Add to every channel, or to every pixel, a number of its own, up to ``most`` either way."""

    most: Positive = 0.15
    per: Per = "channel"

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        return x + self.most * _spread(x, self.per, rng)


def _spread(x: Tensor, per: Per, rng: Rng) -> Tensor:
    """Numbers in [-1, 1], one for each channel or each position."""
    one = [1] * (x.ndim - 2)
    shape = (len(x), x.shape[1], *one) if per == "channel" else (len(x), 1, *x.shape[2:])
    return rng.uniform(x.new_empty(shape))


class Camera(Transform):
    """What lies between a printed picture and its photo: angle, distance, light and noise (Chen et al., 2018).

    Each part is a transform of its own and may be left out by 0. Two dimensions.
    """

    roll: Annotated[float, Bound(0, 180)] = 15.0
    """Degrees it is turned by, at most."""
    shift: Fraction = 0.08
    """Share of a side it is moved by, at most."""
    scale: Annotated[float, Bound(0, 0.95)] = 0.1
    """Share it is nearer or farther by, at most."""
    light: Annotated[float, Bound(0)] = 0.3
    """How much stronger or weaker a channel may be."""
    tint: Fraction = 0.15
    """What may be added to a channel."""
    grain: Annotated[float, Bound(0)] = 0.0
    """How much stronger or weaker a single pixel may be."""
    speckle: Fraction = 0.0
    """What may be added to a single pixel."""
    noise: Fraction = 0.05
    """Spread of normal noise."""

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        for part in self.parts():
            x = part(x, rng)
        return x.clamp(0, 1)

    def parts(self) -> tuple[Transform, ...]:
        """The small transforms it is made of, in the order of the light's way."""
        makers: tuple[tuple[float, Callable[[float], Transform]], ...] = (
            (self.roll, Rotate),
            (self.scale, Scale),
            (self.shift, Shift),
            (self.light, lambda size: Gain(1 + size)),
            (self.tint, Bias),
            (self.grain, lambda size: Gain(1 + size, "pixel")),
            (self.speckle, lambda size: Bias(size, "pixel")),
            (self.noise, Noise),
        )
        return tuple(make(size) for size, make in makers if size)


class Shrink(Transform):
    """With a chance, shrink to a random size and put it anywhere on black (input diversity, Xie et al., 2019)."""

    moves = True

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


def moved(boxes: Tensor, x: Tensor, changes: Iterable[Change], rng: Rng) -> Tensor:
    """Where boxes [B, 4] of images ``x`` are once ``changes`` have been made by the numbers that ``rng`` gives next.

    What is followed is the ellipse inside each box: a box about a turned box would be too large for what is in it
    (Kalra et al., 2021). ``rng`` is left as it is.
    """
    twin, (down, right) = rng.twin(), (torch.arange(n).to(x) + 0.5 for n in x.shape[2:])
    places = torch.stack([right.expand(len(down), -1), down[:, None].expand(-1, len(right))])
    places = places.expand(len(x), -1, -1, -1)  # [B, 2, H, W], which place each pixel shows
    for change in small(changes):
        if isinstance(change, Transform) and change.moves:
            places = change(places, twin)
        else:
            x = change(x, twin)  # for the numbers it takes
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    far = (places - middle[:, :, None, None]) / half.clamp_min(1e-6)[:, :, None, None]
    return bounds(far.square().sum(1) <= 1).to(boxes)


def small(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes with those that are made of several taken apart."""
    for change in changes:
        yield from change.parts() if isinstance(change, Camera) else (change,)
