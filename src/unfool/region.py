"""What a region of allowed changes is: how to come back, which way is steepest, how to start at random."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor

from .errors import InputError
from .rows import Rng, column, per_row
from .spec import PerRow, Spec, parse_number


class Ball(NamedTuple):
    """A region about some images. Every part has one entry per row, so that finished rows can leave."""

    center: Tensor
    eps: Tensor
    mask: Tensor | None = None


class Region(Spec, ABC):
    """A set of allowed changes."""

    @abstractmethod
    def around(self, x: Tensor, mask: Tensor | None = None) -> Ball:
        """This region about the images ``x``; a ``mask`` [B, 1, *] keeps changes to where it is true."""

    @abstractmethod
    def sized(self, eps: float) -> "Region":
        """The same kind of region of another size."""

    @property
    @abstractmethod
    def radius(self) -> float | tuple[float, ...]:
        """``eps``, for captions."""

    @property
    @abstractmethod
    def norm(self) -> "type[Norm]":
        """In what its changes are measured."""

    @abstractmethod
    def shrink(self, delta: Tensor, eps: Tensor) -> Tensor:
        """The nearest allowed change."""

    @abstractmethod
    def ascend(self, grad: Tensor) -> Tensor:
        """The change of size 1 that raises a linear score most."""

    @abstractmethod
    def draw(self, like: Tensor, eps: Tensor, rng: Rng) -> Tensor:
        """A random change."""

    @abstractmethod
    def farthest(self, direction: Tensor, eps: Tensor) -> Tensor:
        """The largest allowed change along a direction."""

    @abstractmethod
    def size(self, delta: Tensor) -> Tensor:
        """How large changes are: [B]."""

    def gain(self, grad: Tensor) -> Tensor:
        """How much a change of size 1 raises a linear score of slope ``grad``, the dual norm: [B]."""
        return (grad * self.ascend(grad)).flatten(1).sum(1)

    def scatter(self, direction: Tensor, ball: Ball, rng: Rng) -> Tensor:
        """A random direction, kept to positions drawn at random where a region allows only so many."""
        del ball, rng
        return direction

    @final
    def project(self, x: Tensor, ball: Ball) -> Tensor:
        """The nearest images inside the region, then inside [0, 1]."""
        return (ball.center + self.shrink(only(x - ball.center, ball), ball.eps)).clamp(0, 1)

    @final
    def steepest(self, grad: Tensor, ball: Ball) -> Tensor:
        """The unit change inside the mask that raises the score most, to first order."""
        return self.ascend(only(grad, ball))

    @final
    def step(self, x: Tensor, grad: Tensor, length: Tensor, ball: Ball) -> Tensor:
        """The images one step of each row's ``length`` up the gradient, back inside the region and [0, 1].

        The step is not spent on values that are at 0 or 1 already and would have to go further.
        """
        free = torch.where(grad > 0, x < 1, x > 0)
        return self.project(x + column(length, x) * self.steepest(grad * free, ball), ball)

    @final
    def edge(self, direction: Tensor, ball: Ball) -> Tensor:
        """The images at the edge of the region along a direction, inside [0, 1]."""
        return self.project(ball.center + self.farthest(only(direction, ball), ball.eps), ball)

    @final
    def sample(self, ball: Ball, rng: Rng) -> Tensor:
        """Random images inside the region and [0, 1]."""
        return self.project(ball.center + self.draw(ball.center, ball.eps, rng), ball)


class Norm(Region, ABC):
    """All changes of size at most ``eps``, one for all images or one for each."""

    eps: PerRow
    least: ClassVar[float] = 0.0
    """Below what eps no change is allowed."""

    @final
    def __str__(self) -> str:
        """As people write it, with its size whatever is the default, to be read again as the same: Linf(8/255)."""
        if not isinstance(self.eps, int | float):
            return repr(self)
        text = size_text(self.eps)
        return f"{type(self).__name__}({text if parse_number(text) == self.eps else repr(self.eps)})"

    @final
    def around(self, x: Tensor, mask: Tensor | None = None) -> Ball:
        name, most = type(self).__name__, self.most(x)
        eps = per_row(self.eps, x, f"{name}.eps")
        if (eps < self.least).any():
            raise InputError(
                f"{name}.eps is {float(eps.min()):.4g}, so that no position may change",
                f"{name}(1) lets one position change, in all its channels",
            )
        if (eps > most * (1 + 1e-6)).any():
            raise InputError(
                f"{name}.eps is {float(eps.max()):.4g}, images in [0, 1] are at most {most:.4g} apart",
                "write eps in units of the image, such as 8/255",
            )
        return Ball(x, eps, mask_of(x, mask))

    @final
    def most(self, x: Tensor) -> float:
        """The size of the largest change there is, from black to white everywhere."""
        return float(self.size(x.new_ones((1, *x.shape[1:]))))

    @classmethod
    def whole(cls, x: Tensor) -> "Norm":
        """So large a region that every image like ``x`` lies inside."""
        return cls(cls(1.0).most(x))

    @final
    def sized(self, eps: float) -> "Norm":
        return type(self)(eps)

    @property
    @final
    def radius(self) -> float | tuple[float, ...]:
        return self.eps

    @property
    @final
    def norm(self) -> "type[Norm]":
        return type(self)


def size_text(size: float) -> str:
    """A size of change as people write it: 0.1, or 8/255 where that is what was meant."""
    short, levels = f"{size:.3g}", size * 255
    parts = 8 if levels < 16 else 1  # an eighth of 8/255 is meant, 42.5/255 is a sixth
    whole = abs(parts * levels - round(parts * levels)) < 1e-3 and 0 < levels <= 64
    return f"{levels:.5g}/255" if whole and abs(float(short) - size) > 1e-6 * size else short


def mask_of(x: Tensor, mask: Tensor | None) -> Tensor | None:
    wanted = (len(x), 1, *x.shape[2:])
    if not isinstance(mask, Tensor | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"a mask must be a torch tensor, not {type(mask).__name__}", "torch.from_numpy(…)")
    if mask is not None and (mask.shape[1:] != wanted[1:] or len(mask) not in (1, len(x))):
        raise InputError(
            f"a mask must be {list(wanted)}, not {list(mask.shape)}", "mask[:, None] adds the channel"
        )
    return None if mask is None else mask.to(x).expand(wanted)


def only(delta: Tensor, ball: Ball) -> Tensor:
    return delta if ball.mask is None else delta * ball.mask


def l2_norm(t: Tensor) -> Tensor:
    return t.flatten(1).norm(dim=1)


def unit(t: Tensor) -> Tensor:
    """Each row at length 1, however short it was; a row of zeros stays."""
    t = t / column(t.flatten(1).abs().amax(1).clamp_min(torch.finfo(t.dtype).tiny), t)
    return t / column(l2_norm(t).clamp_min(1e-12), t)
