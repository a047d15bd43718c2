"""Random search: try a change of the best so far, keep it where it is better. Boxes to try it in, one a row."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from ..loop import iterate
from ..query import Query
from ..regions import Ball
from ..rows import Rng, column

Rows = TypeVar("Rows")
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After which of 10,000 queries a search looks at half as much at once (Andriushchenko et al., 2020, section 5)."""


class Best(NamedTuple):
    """The best image so far, what it is painted from and its score."""

    x: Tensor
    found: Any
    score: Tensor
    ball: Ball


def random_search(
    query: Query,
    ball: Ball,
    blank: Any,
    propose: Callable[[Rng, Ball, Any, int], Any],
    paint: Callable[[Any, Ball], Tensor],
    queries: int,
) -> Tensor:
    """Ask ``queries`` times at most about each row; rows that are done leave.

    ``propose(rng, ball, found, t)`` gives what to try next (at ``t = 0``, ``found`` is ``blank``) and ``paint`` makes
    images of it. The first try is taken whatever it scores.
    """

    def step(query: Query, at: Best, t: int) -> tuple[Best, Tensor]:
        tried = propose(query.rng, at.ball, at.found, t)
        x = paint(tried, at.ball)
        score, reached, _ = query.ask(x)
        better = (score > at.score) | reached
        kept = choose(better, (x, tried, score), (at.x, at.found, at.score))
        return Best(*kept, at.ball), reached

    low = torch.full((len(query),), -torch.inf, dtype=torch.float64, device=ball.center.device)
    return iterate(step, Best(ball.center, blank, low, ball), query, queries, after=True)


def choose(where: Tensor, new: Rows, old: Rows) -> Rows:
    """Row by row one of two (nested) tuples of tensors."""
    if isinstance(new, Tensor):
        return cast(Rows, torch.where(column(where, new), new, cast(Tensor, old)))
    parts = [choose(where, a, b) for a, b in zip(cast(Any, new), cast(Any, old), strict=True)]
    return cast(Rows, type(new)(*parts) if hasattr(new, "_fields") else tuple(parts))


class Boxes(NamedTuple):
    """A box in each row: its first position and its sides, [B, dimensions], whole numbers."""

    corner: Tensor
    sides: Tensor

    @classmethod
    def around(cls, ball: Ball) -> "Boxes":
        """The smallest boxes that hold every position that may change."""
        space = ball.center.shape[2:]
        if ball.mask is None:
            sides = torch.tensor(space, device=ball.center.device).expand(len(ball.center), -1)
            return cls(torch.zeros_like(sides), sides)
        ends = [_ends(ball.mask[:, 0] != 0, d) for d in range(len(space))]
        first, last = (torch.stack(part, 1) for part in zip(*ends, strict=True))
        return cls(first, (last - first + 1).clamp_min(1))

    def inside(self, share: float, rng: Rng, least: int = 1, odd: bool = False) -> "Boxes":
        """Random boxes inside these, as near to cubes of that share of the volume as fits."""
        side = (self.sides.double().prod(1) * share) ** (1 / self.sides.shape[1])
        side = side.round().long().clamp_min(least)
        side = side + (side % 2 == 0) if odd else side
        sides = torch.minimum(side[:, None], self.sides)
        return Boxes(self.corner + drawn(rng, self.sides - sides + 1), sides)

    def mask(self, space: torch.Size) -> Tensor:
        """Which positions lie inside: [B, 1, *space] bool."""
        here = torch.ones(len(self.corner), 1, *[1] * len(space), dtype=torch.bool, device=self.corner.device)
        for d, offset in enumerate(self.offsets(space)):
            sides = self.sides[:, d].view(-1, *[1] * (offset.ndim - 1))
            here = here & (offset >= 0) & (offset < sides)
        return here

    def offsets(self, space: torch.Size) -> list[Tensor]:
        """How far each position lies from the corner, in each dimension: [B, 1, ..., side, ..., 1]."""
        dims = range(len(space))
        lines = [torch.arange(side, device=self.corner.device) for side in space]
        return [
            (line[None] - self.corner[:, d, None]).view(-1, 1, *[space[d] if d == e else 1 for e in dims])
            for d, line in enumerate(lines)
        ]


def _ends(mask: Tensor, d: int) -> tuple[Tensor, Tensor]:
    """The first and the last index along a dimension at which a mask [B, *space] is true."""
    line = mask.movedim(d + 1, 1).flatten(2).any(2).long() if mask.ndim > 2 else mask.long()
    return line.argmax(1), line.shape[1] - 1 - line.flip(1).argmax(1)


def drawn(rng: Rng, below: Tensor) -> Tensor:
    """A whole number from 0 up to each entry of ``below`` [B, *], never that entry itself."""
    share = rng.uniform(below.double(), 0, 1)
    return torch.minimum((share * below).floor().long(), below - 1)


def scheduled(t: int, queries: int) -> int:
    """How often the size of a try has been halved by query ``t``, the published schedule stretched to ``queries``."""
    return sum(10_000 * t // queries > after for after in HALVINGS)
