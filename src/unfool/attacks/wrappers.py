"""Attacks made of attacks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..query import Query
from ..regions import Ball, Region
from ..rows import column, take
from ..spec import Count
from .base import Attack


class Repeated(Attack):
    """The same attack again from other random numbers for every image it has not yet flipped."""

    attack: Attack
    times: Count = 5

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        return in_turn([self.attack] * self.times, query, within, ball)


class Best(Attack):
    """Several attacks in turn, each on the images none has flipped before."""

    attacks: tuple[Attack, ...]

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        return in_turn(self.attacks, query, within, ball)


def in_turn(attacks: Sequence[Attack], query: Query, within: Region, ball: Ball) -> Tensor:
    found, todo = ball.center.clone(), torch.arange(len(ball.center), device=ball.center.device)
    for k, attack in enumerate(attacks):
        left = query[todo]
        tried = attack.found(left, within, take(ball, todo))
        found[todo] = tried
        if k + 1 < len(attacks):
            todo = todo[~left.reached(tried)]
        if not len(todo):
            break
    return found


class Smallest(Attack):
    """The smallest radius at which an attack flips each image, by bisection of every row's own eps up to the region's.

    An image that the attack cannot flip within the region is returned as the attack left it; one that is wrong to begin
    with is returned unchanged.
    """

    attack: Attack
    halvings: Count = 10
    """Each halves the interval the radius is known to lie in."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        best = ball.center.clone()
        low, high = torch.zeros_like(ball.eps), ball.eps.clone()
        todo = (~query.reached(best)).nonzero()[:, 0]
        for k in range(self.halvings + 1):
            if not len(todo):
                break
            radius = high[todo] if k == 0 else (low[todo] + high[todo]) / 2
            here = take(ball, todo)._replace(eps=radius)
            tried = self.attack.found(query[todo], within, here)
            flipped = query[todo].reached(tried)
            size = torch.minimum(within.size(tried - here.center), radius)
            best[todo] = torch.where(column(flipped | (k == 0), tried), tried, best[todo])
            high[todo] = torch.where(flipped, size, high[todo])
            low[todo] = torch.where(flipped, low[todo], radius)
            todo = todo[flipped] if k == 0 else todo
        return best
