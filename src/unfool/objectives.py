"""Questions: a score per row that something may raise, lower, follow or explain.

An objective holds no tensors. What differs from row to row (labels, targets, channel numbers) is ``y``.
Objectives add up: ``Channel('layer2') - 0.1 * TotalVariation()``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import InputError
from .scores import gap_to_best, index_like, mean_scores, pick, spread_of
from .scores import label_of as label_of
from .spec import Spec, call_text

Trace = Mapping[str, Tensor]


class Objective(Spec, ABC):
    """One score per row of a forward pass, and whether a row is done."""

    numbers: ClassVar[int | None] = 1
    """How many whole numbers per row ``y`` is; None: an objective's own affair."""
    probable: ClassVar[bool] = False
    """Whether its score is a probability."""

    @property
    @abstractmethod
    def reads(self) -> tuple[str, ...]:
        """The tensors of a forward pass this looks at: "input", "output" or layers."""

    @abstractmethod
    def score(self, trace: Trace, y: Tensor) -> Tensor:
        """How well each row does: [B]."""

    def reached(self, trace: Trace, y: Tensor) -> Tensor:
        """Which rows need go no further: [B] bool. Never, unless an objective says so."""
        return torch.zeros(len(y), dtype=torch.bool, device=y.device)

    @property
    def fixes(self) -> tuple[str, ...]:
        """The names of what the first look at an image settles for good, such as its predicted mask."""
        return ()

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        """What the first look settles, one entry per row; later it is in the trace under the same names."""
        del trace, y
        return {}

    def lacking(self, trace: Trace, y: Tensor) -> Mapping[str, Tensor]:
        """Which images have nothing that could be scored, [B] bool by the reason, where {} stands for the class.

        Read off what is fixed: what was there in the unchanged image is asked about, come what may.
        """
        del trace, y
        return {}

    def place(self, trace: Trace, y: Tensor, space: tuple[int, ...]) -> Tensor | None:
        """Where in images of ``space`` that is which was fixed, [B, 1, *space] bool; None where it has no place."""
        del trace, y, space
        return None

    def usual(self, trace: Trace) -> Tensor:
        """What ``y`` is where nobody says: the predicted class."""
        return label_of(trace["output"])

    def __add__(self, other: "Objective") -> "Objective":
        return Sum(self, other) if isinstance(other, Objective) else NotImplemented

    def __sub__(self, other: "Objective") -> "Objective":
        return Sum(self, -other) if isinstance(other, Objective) else NotImplemented

    def __mul__(self, factor: float) -> "Objective":
        return scaled(self, float(factor)) if isinstance(factor, (int, float)) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        return scaled(self, -1.0)


class Composed(Objective, ABC):
    """An objective made of others: what they read and fix, and what they may lack."""

    @property
    def parts(self) -> tuple[Objective, ...]:
        """The others; the first says what is usual."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value for value in values if isinstance(value, Objective))

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for part in self.parts for name in part.reads))

    @property
    def fixes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for part in self.parts for name in part.fixes))

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        return {name: t for part in self.parts for name, t in part.fixed(trace, y).items()}

    def lacking(self, trace: Trace, y: Tensor) -> Mapping[str, Tensor]:
        return {reason: rows for part in self.parts for reason, rows in part.lacking(trace, y).items()}

    def place(self, trace: Trace, y: Tensor, space: tuple[int, ...]) -> Tensor | None:
        found = (part.place(trace, y, space) for part in self.parts)
        return next((place for place in found if place is not None), None)

    def usual(self, trace: Trace) -> Tensor:
        return self.parts[0].usual(trace)


class Scaled(Composed):
    """An objective times a number; written ``2 * Logit()``."""

    inner: Objective
    factor: float

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return self.factor * self.inner.score(trace, y)

    def __repr__(self) -> str:
        if isinstance(self.inner, Scaled):  # 3 * 2 * a is read as 6 * a
            return call_text("Scaled", [repr(self.inner), repr(self.factor)])
        inner = f"({self.inner!r})" if isinstance(self.inner, Sum) else repr(self.inner)
        return f"-{inner}" if self.factor == -1 else f"{self.factor!r} * {inner}"


def scaled(objective: Objective, factor: float) -> Objective:
    if isinstance(objective, Scaled):
        return Scaled(objective.inner, factor * objective.factor)
    return Scaled(objective, factor)


class Sum(Composed):
    """Two objectives added; written ``a + b``."""

    left: Objective
    right: Objective

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return self.left.score(trace, y) + self.right.score(trace, y)

    def __repr__(self) -> str:
        right = f"({self.right!r})" if isinstance(self.right, Sum) else repr(self.right)
        return f"{self.left!r} - {right[1:]}" if right.startswith("-") else f"{self.left!r} + {right}"


class Output(Objective, ABC):
    """An objective of the network's output alone."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("output",)


class Logit(Output):
    """The unnormalised score of class ``y``; for a map of scores, its mean over the positions."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return pick(trace["output"], y)


class LogProb(Output):
    """The logarithm of the probability of class ``y``; for a map, its mean over the positions."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return pick(trace["output"].log_softmax(1), y)


class LogProbOthers(Output):
    """The logarithm of the probability of all classes but ``y`` together.

    Where the network is sure of ``y`` its slope is that of the margin; where it is sure of another, it vanishes.
    """

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        logits = trace["output"]
        others = logits.scatter(1, index_like(logits, y), -torch.inf)
        return (others.logsumexp(1, keepdim=True) - logits.logsumexp(1, keepdim=True)).flatten(1).mean(1)


class CrossEntropy(Output):
    """Surprise at class ``y``, minus the logarithm of its probability; for a map, its mean over the positions."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        logits = trace["output"]
        if logits.ndim == 2:
            return F.cross_entropy(logits, y, reduction="none")
        return -pick(logits.log_softmax(1), y)


class LogOdds(Output):
    """The logarithm of the odds against class ``y``: its gradient points exactly where that of cross-entropy does.

    Cross-entropy is log(1 + odds), so its gradient is this one's, (1 - p) times as long: nothing in float32 where the
    network is sure. This one's keeps its length.
    """

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        logits = trace["output"]
        index = index_like(logits, y)
        odds = logits.scatter(1, index, -torch.inf).logsumexp(1, keepdim=True) - logits.gather(1, index)
        return odds.flatten(1).mean(1)


class Margin(Output):
    """The best other logit minus that of class ``y``: positive once the class has changed.

    Its slope does not vanish where the network is sure, however large its logits.
    """

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return gap_to_best(trace["output"], y).flatten(1).mean(1)


class LogitRatio(Output):
    """The margin in units of the gap between the best and the third best logit (Croce & Hein, 2020, eq. 6).

    Neither shifting nor scaling the logits changes it. Of two classes it would be a constant: there it is the margin.
    """

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        logits = trace["output"]
        return (gap_to_best(logits, y) / spread_of(logits, 3)).flatten(1).mean(1)


class Between(Output):
    """The logit of class ``y[:, 1]`` minus that of class ``y[:, 0]``: up, from the label to a chosen rival.

    Where an explanation is asked for without a pair, it is what speaks for the predicted class against the runner-up.
    """

    numbers: ClassVar[int | None] = None
    ratio: bool = False
    """In units of the spread of the best logits (Croce & Hein, 2020, eq. 7)."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        logits = trace["output"]
        if y.ndim != 2 or y.shape[1] != 2:
            raise InputError(f"a target of Between() is a pair of classes, not {list(y.shape[1:])} numbers")
        try:
            ours, theirs = (logits.gather(1, index_like(logits, side)) for side in y.unbind(1))
        except RuntimeError:
            raise InputError(
                f"there are {logits.shape[1]} classes, the pair {y[y.amax(1).argmax()].tolist()} is of others"
            ) from None
        gap = (theirs - ours) / spread_of(logits, 4) if self.ratio else theirs - ours
        return gap.flatten(1).mean(1)

    def usual(self, trace: Trace) -> Tensor:
        return mean_scores(trace["output"]).topk(2, 1).indices.flip(1)


class Goal(Composed, ABC):
    """An objective that knows when an attack has succeeded."""

    loss: Objective = CrossEntropy()

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.loss.reads, "output")))

    def by(self, loss: Objective) -> "Goal":
        """The same goal, climbed by another loss."""
        return type(self)(loss)


class Untargeted(Goal):
    """Leave class ``y`` (of pairs, the first): raise the loss there."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return self.loss.score(trace, y)

    def reached(self, trace: Trace, y: Tensor) -> Tensor:
        return label_of(trace["output"]) != (y if y.ndim == 1 else y[:, 0])


class Onwards(Goal):
    """Leave class ``y`` as far behind as can be, never done: what only just fools one model fools few others."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return self.loss.score(trace, y)


class Targeted(Goal):
    """Become class ``y``: lower the loss there."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return -self.loss.score(trace, y)

    def reached(self, trace: Trace, y: Tensor) -> Tensor:
        return label_of(trace["output"]) == y
