"""Whether any of several attacks flips an image, and which: what an evaluation rests on."""

import torch

from ..method import Columns, Method, Question
from ..query import Query
from ..rows import Batch, take
from .base import Attack
from .sweep import asked

HOLDS, WRONG = -1, -2
"""Entries of the column ``by`` of an image that no attack flipped, and of one that was wrong to begin with."""


class Verdict(Method):
    """Several attacks in turn, each on the images that still hold.

    Column ``by`` is the place of the attack that flipped an image, ``forward`` and ``backward`` [B, attacks] the
    passes that each attack spent on it.
    """

    attacks: tuple[Attack, ...]

    def columns(self, question: Question, batch: Batch) -> Columns:
        query, within, ball = asked(self.attacks[0], question, batch)
        with question.model.settled():
            wrong = query.reached(ball.center)
            by = torch.where(wrong, WRONG, HOLDS)
            passes = [_passes(query)]
            for k, attack in enumerate(self.attacks):
                if len(todo := (by == HOLDS).nonzero()[:, 0]):
                    some = query[todo]
                    by[todo[some.reached(attack.found(some, within, take(ball, todo)))]] = k
                passes.append(_passes(query))
        spent = torch.stack(passes, 2).diff(dim=2).cpu()  # [forward and backward, B, attacks]
        return {"flipped": (by != HOLDS).cpu(), "by": by.cpu(), "forward": spent[0], "backward": spent[1]}


def _passes(query: Query) -> torch.Tensor:
    return torch.stack([query.spent.asked, query.spent.followed])[:, query.spent.rows]
