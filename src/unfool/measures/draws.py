"""How many random changes it takes to flip an image: the control of every attack, draw by draw."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..loop import iterate
from ..method import Columns, Method, Question
from ..objectives import Untargeted
from ..query import Query
from ..regions import Ball, Linf
from ..rows import Batch
from ..spec import Count


class _Draw(NamedTuple):
    tried: Tensor
    x: Tensor
    ball: Ball


class FirstDraw(Method):
    """The first of many random sign changes at the region's edge that flips each image; 0 where it is wrong as it is.

    So the accuracy under the worst of n draws is known for every n up to ``draws`` at once; ``draws`` + 1 where none
    flips the image.
    """

    draws: Count = 100

    def columns(self, question: Question, batch: Batch) -> Columns:
        x = batch.x.to(question.model.device)
        within = question.within or Linf()

        def step(query: Query, at: _Draw, t: int) -> tuple[_Draw, Tensor]:
            noise = within.scatter(query.rng.sign(at.x), at.ball, query.rng)
            return _Draw(at.tried + 1, within.edge(noise, at.ball), at.ball), query.reached(at.x)

        query = question.query(batch, Untargeted(), type(self).__name__)
        with question.model.settled():
            start = _Draw(torch.zeros(len(x), device=x.device), x, within.around(x, question.mask(batch)))
            first = iterate(step, start, query, self.draws + 1)
        return {"draw": first.long().cpu()}
