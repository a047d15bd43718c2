"""Squares of random colour at random places, kept where the score rises."""

import torch
from torch import Tensor

from ..objectives import Margin, Objective
from ..query import Query
from ..regions import L2, Ball, Linf, Region, l2_norm
from ..rows import Rng, column
from ..spec import Count, Fraction
from .base import Attack
from .gradient import climbing
from .search import Boxes, drawn, random_search, scheduled


class Square(Attack):
    """Random search with squares that shrink (Andriushchenko et al., 2020).

    Scores are all it asks for. In a volume squares are cubes, in a long image as near to squares as fits; every image
    draws its own places and colours.
    """

    norms = (Linf, L2)
    asks = "scores"

    queries: Count = 5000
    """How often to ask about an image at most; one that has flipped is asked about no more."""
    share: Fraction = 0.8
    """How much of the image the first squares cover."""
    loss: Objective = Margin()
    """What to climb."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def propose(rng: Rng, ball: Ball, best: Tensor, t: int) -> Tensor:
            if t == 0:
                return start(rng, within, ball)
            return move(rng, within, ball, best, self.share / 2 ** scheduled(t - 1, self.queries))

        start, move = (stripes, recoloured) if within.norm is Linf else (tiles, moved_mass)
        query = climbing(query, self.loss)
        return random_search(query, ball, ball.center, propose, lambda x, _: x, self.queries)


def stripes(rng: Rng, within: Region, ball: Ball) -> Tensor:
    """Stripes across the last dimension, each channel at either end of the region."""
    x = ball.center
    line = x.new_empty(*x.shape[:2], *[1] * (x.ndim - 3), x.shape[-1])
    return within.edge(rng.sign(line).expand_as(x), ball)


def recoloured(rng: Rng, within: Region, ball: Ball, best: Tensor, share: float) -> Tensor:
    """One square at either end of the region in each channel; colours that change nothing are turned round."""
    square = Boxes.around(ball).inside(share, rng).mask(best.shape[2:])
    sign = rng.sign(best.new_empty(best.shape[:2])).view(*best.shape[:2], *[1] * (best.ndim - 2))
    ends = column(ball.eps, best) * sign
    bright, dark = (
        within.project(torch.where(square, ball.center + way * ends, best), ball) for way in (1, -1)
    )
    return torch.where(column((bright == best).flatten(1).all(1), best), dark, bright)


def tiles(rng: Rng, within: Region, ball: Ball) -> Tensor:
    """Five bumps in each dimension, of random sign in each channel."""
    x, space = ball.center, ball.center.shape[2:]
    sides = torch.tensor([max(1, side // 5) for side in space], device=x.device).expand(len(x), -1)
    whole = Boxes(torch.zeros_like(sides), sides)
    places = [offset % sides[0, d] for d, offset in enumerate(whole.offsets(space))]
    sign = rng.sign(x)
    for d, side in enumerate(sides[0].tolist()):
        sign = sign.index_select(d + 2, torch.arange(space[d], device=x.device) // side)
    return within.edge(bump(places, sides, drawn(rng, _dimensions(sides)), x) * sign, ball)


def moved_mass(rng: Rng, within: Region, ball: Ball, best: Tensor, share: float) -> Tensor:
    """What is spent in one square and left unspent goes into a bump in another (algorithm 3 of the paper)."""
    space, around, change = best.shape[2:], Boxes.around(ball), best - ball.center
    to, source = (around.inside(share, rng, least=3, odd=True) for _ in range(2))
    here, there = to.mask(space), source.mask(space)
    rise = unit_channels(bump(to.offsets(space), to.sides, drawn(rng, _dimensions(to.sides)), best) * here)
    sign = rng.sign(best.new_empty(best.shape[:2])).view(*best.shape[:2], *[1] * len(space))
    unused = (ball.eps.square() - l2_norm(change).square()).clamp_min(0) / best.shape[1]
    free = (channel_norms(change * (here | there)).square() + column(unused, best)).sqrt()
    fresh = unit_channels((sign * rise + unit_channels(change * here)) * here) * free
    return within.edge(torch.where(here, fresh, change.masked_fill(there, 0)), ball)


def bump(offsets: list[Tensor], sides: Tensor, split: Tensor, like: Tensor) -> Tensor:
    """Pyramids of height 1 + 1/4 + 1/9 + ... (eq. 2), the half beyond the middle of dimension ``split`` upside down."""
    n = sides.amax(1) // 2
    shape = (-1, 1, *[1] * len(offsets))
    rings = torch.stack(
        [
            (offset - (sides[:, d] // 2).view(shape)).abs().expand(-1, 1, *like.shape[2:])
            for d, offset in enumerate(offsets)
        ]
    ).amax(0)
    near = (n.view(shape) - rings).clamp_min(0)
    most = max(like.shape[2:]) // 2 + 2
    sums = torch.arange(1, most, dtype=like.dtype, device=like.device).square().reciprocal()
    sums = torch.cat([sums.new_zeros(1), sums.cumsum(0)])  # sums[k] = 1 + 1/4 + ... + 1/k²
    height = sums[n + 1].view(shape) - sums[(n.view(shape) - near).clamp_min(0)]
    for d, offset in enumerate(offsets):
        lower = (offset >= ((sides[:, d] + 1) // 2).view(shape)) & (split[:, 0] == d).view(shape)
        height = torch.where(lower, -height, height)
    return height


def channel_norms(t: Tensor) -> Tensor:
    """The length of each channel: [B, C, 1, ...]."""
    return t.flatten(2).norm(dim=2).view(*t.shape[:2], *[1] * (t.ndim - 2))


def unit_channels(t: Tensor) -> Tensor:
    return t / channel_norms(t).clamp_min(1e-12)


def _dimensions(sides: Tensor) -> Tensor:
    """How many dimensions there are, for each row: [B, 1]."""
    return torch.full_like(sides[:, :1], sides.shape[1])
