"""Fooling a network and its alarm together."""

import torch
from torch import Tensor

from ..answers import Answer
from ..objectives import Goal, LogOdds, Objective, Output, Trace, label_of
from ..query import Query
from ..rows import column
from ..slopes import Slope


def parted(trace: Trace) -> tuple[dict[str, Tensor], Tensor]:
    """A guarded network's trace as that of its network, and by how much each alarm is above its threshold: [B]."""
    both = trace["output"]
    return {**trace, "output": both[:, :-1]}, both[:, -1]


class Quiet(Output):
    """How far the alarm of a guarded network is below its threshold."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return -parted(trace)[1]


class Inner(Output):
    """An objective of the network inside a guarded one."""

    loss: Objective = LogOdds()

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return self.loss.score(parted(trace)[0], y)


class Unnoticed(Goal):
    """Leave class ``y`` without the alarm of a guarded network.

    It climbs the loss until the class has changed and then away from the alarm, whichever is still wanted (selective
    descent of Bryniarski et al., 2022, arXiv:2106.15023).
    """

    loss: Objective = LogOdds()

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        inside, above = parted(trace)
        return torch.where(fooled(inside, y), -above, self.loss.score(inside, y))

    def reached(self, trace: Trace, y: Tensor) -> Tensor:
        inside, above = parted(trace)
        return fooled(inside, y) & (above < 0)


def fooled(trace: Trace, y: Tensor) -> Tensor:
    return label_of(trace["output"]) != y


class Orthogonal(Slope):
    """The slope of whichever is still wanted, fooling or quiet, without what it has of the other's direction.

    Of a guarded network, so that a step for one does not undo the other (Bryniarski et al., 2022, arXiv:2106.15023).
    """

    def __call__(self, query: Query, x: Tensor) -> Answer:
        loss = query.objective.loss if isinstance(query.objective, Goal) else LogOdds()
        asked = [query.instead(Inner(loss)), query.instead(Quiet())]
        _, (fool, quiet) = query.gradients(x, asked)
        score, trace = query.ask_and_read(x, ("output",))
        gone = column(fooled(parted(trace)[0], query.y), x)
        slope = torch.where(gone, without(quiet, fool), without(fool, quiet))
        return Answer(score, query.objective.reached(trace, query.y), slope)


def without(a: Tensor, b: Tensor) -> Tensor:
    """Each row of ``a`` less its part along ``b``."""
    share = (a * b).flatten(1).sum(1) / b.flatten(1).square().sum(1).clamp_min(torch.finfo(b.dtype).tiny)
    return a - column(share, a) * b
