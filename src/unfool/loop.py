"""The one loop, and what those who step by Adam remember in it."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from .query import Query
from .rows import take

State = TypeVar("State", bound=NamedTuple)


def iterate(
    step: Callable[[Query, Any, int], tuple[Any, Tensor]],
    state: Any,
    query: Query,
    steps: int,
    *,
    after: bool = False,
) -> Tensor:
    """Apply ``step`` up to ``steps`` times; rows that are done keep their images and leave the batch.

    ``step(query, state, t)`` returns the next state and which rows were done *before* it was taken. Everything that
    belongs to a row lives in ``state``, a named tuple whose first field is the images: a tensor that a closure holds
    would go stale when rows leave. Where a search is, which a film of it shows, is its ``x``, or that first field.

    With ``after`` it says which rows are done *with* the step: a search that asks about what it tries need not ask
    again.
    """
    result, rows = state[0].clone(), torch.arange(len(state[0]), device=state[0].device)
    for t in range(steps):
        query.show(getattr(state, "x", state[0]))
        following, done = step(query, state, t)
        if done.any():
            result[rows[done]] = (following if after else state)[0][done]
            if done.all():
                return result
            rows, query, following = rows[~done], query[~done], take(following, ~done)
        state = following
    query.show(getattr(state, "x", state[0]))
    result[rows] = state[0]
    return result


class Adam(NamedTuple):
    """What Adam remembers of each row's gradients (Kingma & Ba, 2015)."""

    mean: Tensor
    square: Tensor

    @classmethod
    def fresh(cls, like: Tensor) -> "Adam":
        return cls(torch.zeros_like(like), torch.zeros_like(like))

    def step(self, grad: Tensor, t: int | Tensor) -> tuple["Adam", Tensor]:
        """The memory after gradient number ``t``, counted from 0, and the step of about 1 it leads to."""
        after = Adam(0.9 * self.mean + 0.1 * grad, 0.999 * self.square + 0.001 * grad.square())
        mean, square = after.mean / (1 - 0.9 ** (t + 1)), after.square / (1 - 0.999 ** (t + 1))
        return after, mean / (square.sqrt() + 1e-8)
