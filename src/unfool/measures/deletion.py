"""What becomes of the answer where the most relevant positions go first, or come first."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..fills import Blank, blank
from ..spec import Count
from .grading import Asked, Measure


class Deletion(Measure):
    """The mean probability while positions go, most relevant first (Petsiuk et al., 2018).

    The area under the curve, from the whole image to none of it. Of a signed map what speaks for the class goes first;
    ties are broken at random.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    steps: Count = 16
    """In how many equal steps; each but the first and the last costs a pass."""
    fill: Blank = "blur"
    """What is put in their place: a blurred image, the image's mean colour, or black."""

    def grade(self, asked: Asked) -> Tensor:
        return area(curve(asked, self.steps, self.fill, removed=True))


class Insertion(Measure):
    """The mean probability while positions come back, most relevant first (Petsiuk et al., 2018).

    The area under the curve, from none of the image to all of it. Its ends are those of :class:`Deletion` with the same
    fill: neither is asked for twice.
    """

    steps: Count = 16
    """In how many equal steps; each but the first and the last costs a pass."""
    fill: Blank = "blur"
    """What stands for the image at the beginning: a blurred one, its mean colour, or black."""

    def grade(self, asked: Asked) -> Tensor:
        return area(curve(asked, self.steps, self.fill, removed=False))


def curve(asked: Asked, steps: int, fill: Blank, removed: bool) -> Tensor:
    """The probability after each step, both ends included: [steps + 1, B]."""
    x, rank = asked.x, asked.rank
    empty = blank(x, fill)
    many = parts(asked.order.shape[1], steps)
    if removed:
        between = asked.each(torch.where(rank < n, empty, x) for n in many)
        return torch.stack([asked.before, *between, asked.blank(fill, lambda: empty)])
    between = asked.each(torch.where(rank < n, x, empty) for n in many)
    return torch.stack([asked.blank(fill, lambda: empty), *between, asked.before])


def area(points: Tensor) -> Tensor:
    """The area under equally spaced points, as a share of the axis."""
    return torch.trapezoid(points.double(), dim=0) / (len(points) - 1)


def parts(positions: int, steps: int) -> Iterator[int]:
    """How many positions are gone after each step but the last: as even as whole numbers allow."""
    yield from (round(positions * k / steps) for k in range(1, steps))
