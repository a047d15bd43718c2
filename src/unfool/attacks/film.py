"""An attack step by step."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ..answers import Frame
from ..method import Columns, Method, Question
from ..objectives import Targeted, Untargeted
from ..query import Query
from ..region import l2_norm
from ..rows import Batch
from ..spec import Count
from ..views import to_uint8
from .base import Attack
from .penalty import towards


class Film(Method):
    """Every state of an attack: the goal's probability and the distance from the image, step by step, and some frames.

    Any attack can be filmed whose steps the one loop takes; of one that starts several times, all are shown in turn.
    Entries after the last state are NaN. Watching costs one more pass for each state.
    """

    attack: Attack
    frames: Count = 8
    """How many states are kept as images: the first, the last, and more of the early ones than of the late."""
    longest: Count = 400
    """How many states have their numbers kept."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        x = batch.x.to(question.model.device)
        goal = Untargeted() if question.target is None else Targeted()
        within = self.attack.region(x, question.within)
        query = question.query(batch, goal, repr(self.attack)).filmed()
        with question.model.settled():
            last = self.attack.found(query, within, within.around(x, question.mask(batch)))
            assert query.spent.film is not None
            each = _by_row([*query.spent.film, Frame(query.spent.rows, last)], len(x))
            watcher = towards(question.query(batch, goal, repr(self)))
            told = [self._told(watcher, x, torch.tensor([k], device=x.device), s) for k, s in enumerate(each)]
        return {name: torch.stack([row[name] for row in told]).cpu() for name in told[0]}

    def _told(self, query: Query, x: Tensor, row: Tensor, states: list[Tensor]) -> Columns:
        """What one image's states are like."""
        states = states[: self.longest]
        chosen, path = spaced(len(states), self.frames), torch.stack(states)
        score = torch.cat([query[row].ask(state[None]).score for state in path])
        return {
            "frames": to_uint8(torch.stack([states[k] for k in chosen])),
            "frame_steps": torch.tensor(chosen),
            "probability": padded(score.exp(), self.longest),
            "l2": padded(l2_norm(path - x[row]), self.longest),
        }


def _by_row(film: Iterable[Frame], n: int) -> list[list[Tensor]]:
    """Each row's states in turn; one that did not change is told once."""
    each: list[list[Tensor]] = [[] for _ in range(n)]
    for frame in film:
        for row, x in zip(frame.rows.tolist(), frame.x, strict=True):
            if not each[row] or not torch.equal(each[row][-1], x):
                each[row].append(x)
    return each


def spaced(n: int, k: int) -> list[int]:
    """``k`` of the numbers below ``n`` with the first and the last, in about equal ratios; repeated where n < k."""
    if k == 1 or n <= k:
        return [min(i, n - 1) for i in range(k)] if k > 1 else [n - 1]
    at = torch.logspace(0, 1, k, base=float(n)).round().long() - 1
    for i in range(1, k):
        at[i] = max(int(at[i]), int(at[i - 1]) + 1)
    return at.tolist()


def padded(values: Tensor, n: int) -> Tensor:
    return torch.cat([values, values.new_full((n - len(values),), torch.nan)])
