"""Random changes of where an image lies and how large it is, in one resampling each."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .rows import Rng, column
from .spec import Count, Fraction
from .transforms import Transform, one_each, posed


class Pose(Transform):
    """Turn, scale and move at once, by one resampling; borders are repeated. In the last two dimensions."""

    moves = True

    degrees: float = 10.0
    """The most it is turned by, either way."""
    scale: Fraction = 0.1
    """The share it is larger or smaller by, at most."""
    shift: Fraction = 0.04
    """The share of each side it is moved by, at most."""

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        draws = rng.uniform(x.new_empty(len(x), 4))
        angle = self.degrees * draws[:, 0] * (x.ndim > 3)  # a line cannot turn
        return posed(x, angle, 1 + self.scale * draws[:, 1], 2 * self.shift * draws[:, 2:])


class Crop(Transform):
    """A part of the image, anywhere in it, enlarged to the whole's size. In the last two dimensions."""

    moves = True

    least: Fraction = 0.05
    """The smallest part, as a share of each side."""
    most: Fraction = 0.5
    """The largest."""

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        draws = rng.uniform(x.new_empty(len(x), 3))
        share = self.least + (self.most - self.least) * (draws[:, 0] + 1) / 2
        return posed(x, torch.zeros_like(share), 1 / share, (1 - share)[:, None] * draws[:, 1:])


class Pad(Transform):
    """Other changes, of the image in a wide grey frame: what they bring in over its borders is grey.

    The frame is taken off again, so the size stays.
    """

    moves = True

    share: Fraction = 0.06
    """The frame's width, as a share of each side."""
    inner: tuple[Transform, ...] = (Pose(),)
    """What is done to the framed image."""
    value: Fraction = 0.5
    """The frame's grey."""

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        widths = [w for side in reversed(x.shape[2:]) for w in [-int(-self.share * side // 1)] * 2]
        x = F.pad(x, widths, value=self.value)
        for change in self.inner:
            x = change(x, rng)
        return F.pad(x, [-w for w in widths])


class Flip(Transform):
    """Every other image with left and right exchanged."""

    moves = True

    chance: Fraction = 0.5
    """How often."""

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        turned = one_each(x, rng, 0.0, 1.0) < self.chance
        return torch.where(column(turned, x), x.flip(-1), x)


class Slide(Transform):
    """Moved by whole pixels, up to so many either way in the last two dimensions; black comes in behind it."""

    moves = True

    pixels: Count = 4

    def __call__(self, x: Tensor, rng: Rng) -> Tensor:
        axes = range(max(2, x.ndim - 2), x.ndim)
        draws = rng.uniform(x.new_empty(len(x), len(axes)), -self.pixels - 0.5, self.pixels + 0.5)
        for axis, shift in zip(axes, draws.round().clamp(-self.pixels, self.pixels).long().T, strict=True):
            x = _slid(x, shift, axis)
        return x


def _slid(x: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Each row moved by its own number of places along one axis."""
    size = x.shape[axis]
    from_ = torch.arange(size, device=x.device) - shift[:, None]  # [B, size]
    shape = [len(x), *(size if i == axis else 1 for i in range(1, x.ndim))]
    there = ((from_ >= 0) & (from_ < size)).view(shape)
    return x.gather(axis, from_.clamp(0, size - 1).view(shape).expand_as(x)) * there
