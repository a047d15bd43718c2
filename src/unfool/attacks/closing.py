"""What attacks that look for the nearest image share: the best so far of each row, and the way back to the image."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..query import Query
from ..regions import L0, Ball, Region
from ..rows import column


class Nearest(NamedTuple):
    """The nearest image found so far, the image itself where there is none yet, and how large the change is."""

    x: Tensor
    size: Tensor

    @classmethod
    def nothing(cls, ball: Ball) -> "Nearest":
        return cls(ball.center, torch.full_like(ball.eps, torch.inf))

    def or_nearer(self, x: Tensor, size: Tensor, flipped: Tensor) -> "Nearest":
        better = flipped & (size < self.size)
        return Nearest(torch.where(column(better, x), x, self.x), torch.where(better, size, self.size))


def closer(query: Query, within: Region, ball: Ball, found: Tensor, halvings: int) -> Tensor:
    """The images brought back towards their originals by bisection of the last quarter of the way, while flipped.

    Each stays as it is where nothing nearer is flipped. In L0 the whole way is bisected: those positions go first that
    changed least.
    """
    high = within.size(found - ball.center)
    low, best = high * (0.0 if within.norm is L0 else 0.75), found
    for _ in range(halvings):
        middle = (low + high) / 2
        if within.norm is L0:
            middle = middle.floor()
        tried = within.project(found, ball._replace(eps=middle))
        flipped = query.reached(tried) & (middle < high)
        best = torch.where(column(flipped, tried), tried, best)
        low, high = torch.where(flipped, low, middle), torch.where(flipped, middle, high)
    return best


def fewer(query: Query, within: Region, ball: Ball, found: Tensor, drops: int) -> Tensor:
    """The images with their least changed positions put back, one after the other, where they stay flipped."""
    amount = (found - ball.center).abs().amax(1, keepdim=True)
    flat = amount.flatten(1)
    order = torch.where(flat > 0, flat, torch.inf).argsort(dim=1, stable=True)
    for position in order.T[:drops, :, None]:
        kept = torch.ones_like(flat).scatter(1, position, 0).view_as(amount)
        tried = torch.where(kept > 0, found, ball.center)
        changed = within.size(found - ball.center) > within.size(tried - ball.center)
        found = torch.where(column(query.reached(tried) & changed, found), tried, found)
    return found
