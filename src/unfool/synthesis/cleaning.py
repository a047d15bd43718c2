"""What is done to an image after a step, so that only what matters stays: on its difference from where it began."""

from abc import ABC, abstractmethod
from typing import Annotated

from torch import Tensor

from ..rows import column
from ..slopes import blurred
from ..spec import Bound, Count, Fraction, Positive, Spec

Percent = Annotated[float, Bound(0, 100)]


class Cleaning(Spec, ABC):
    """A change of what was added to an image."""

    @abstractmethod
    def __call__(self, added: Tensor, grad: Tensor, t: int) -> Tensor:
        """What is left after step ``t``; ``grad`` is the score's gradient before the step."""


class Fade(Cleaning):
    """A part of it is lost in every step: the L2 decay of Yosinski et al. (2015)."""

    share: Fraction = 0.0001

    def __call__(self, added: Tensor, grad: Tensor, t: int) -> Tensor:
        return (1 - self.share) * added


class Blur(Cleaning):
    """A Gaussian over it every few steps (Yosinski et al., 2015)."""

    sigma: Positive = 0.5
    """Its spread in pixels."""
    every: Count = 4
    """In how many steps once."""

    def __call__(self, added: Tensor, grad: Tensor, t: int) -> Tensor:
        if (t + 1) % self.every:
            return added
        return blurred(added, max(1, round(3 * self.sigma)), self.sigma)


class DropSmall(Cleaning):
    """The positions where least was added go back to the start: clipping by norm (Yosinski et al., 2015)."""

    percent: Percent = 50.0
    """Of all positions."""

    def __call__(self, added: Tensor, grad: Tensor, t: int) -> Tensor:
        return _without_lowest(added, added.norm(dim=1), self.percent)


class DropIdle(Cleaning):
    """The positions that help least go back to the start: clipping by contribution (Yosinski et al., 2015).

    A position's contribution is what was added times the gradient, to first order what the score loses without it.
    """

    percent: Percent = 50.0
    """Of all positions."""

    def __call__(self, added: Tensor, grad: Tensor, t: int) -> Tensor:
        return _without_lowest(added, (added * grad).sum(1).abs(), self.percent)


def _without_lowest(added: Tensor, size: Tensor, percent: float) -> Tensor:
    """Zero where ``size`` [B, *space] is among each row's lowest ``percent``."""
    count = round(size[0].numel() * percent / 100)
    if not count:
        return added
    limit = size.flatten(1).kthvalue(count, dim=1).values
    return added * (size > column(limit, size))[:, None]
