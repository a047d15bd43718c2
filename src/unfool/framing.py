"""Random changes of where an image lies and how large it is, in one resampling each."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .rows import Rng
from .spec import Fraction
from .transforms import Transform, posed


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
