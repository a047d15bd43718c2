"""The one loop."""

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
    would go stale when rows leave. With ``after`` it says which rows are done *with* the step: a search that asks about
    what it tries need not ask again.
    """
    result, rows = state[0].clone(), torch.arange(len(state[0]), device=state[0].device)
    for t in range(steps):
        following, done = step(query, state, t)
        if done.any():
            result[rows[done]] = (following if after else state)[0][done]
            if done.all():
                return result
            rows, query, following = rows[~done], query[~done], take(following, ~done)
        state = following
    result[rows] = state[0]
    return result
