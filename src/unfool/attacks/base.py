"""What every attack has in common: one method to write, one door to come in by."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from ..checks import checked_images, checked_labels, row_ids
from ..errors import InputError
from ..method import Columns, Method, Question
from ..model import Model
from ..objectives import Goal, Targeted, Untargeted, label_of
from ..query import Query
from ..regions import Ball, Linf, Region
from ..rows import Batch, Rng
from ..views import from_uint8, to_uint8


class Attacked(NamedTuple):
    """What an attack found, one entry per image.

    ``x`` are the changed images [B, C, *] inside the region and [0, 1]; ``success`` is judged on the user's own
    network in its own precision; ``label`` and ``confidence`` are its answer to ``x``; ``l0`` counts changed
    positions; ``cost`` counts images put through the network forward and backward.
    """

    x: Tensor
    success: Tensor
    label: Tensor
    confidence: Tensor
    l0: Tensor
    l1: Tensor
    l2: Tensor
    linf: Tensor
    cost: dict[str, int]
    seed: int


class Attack(Method, ABC):
    """A search for changed images that a network gets wrong."""

    @abstractmethod
    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        """Images near ``ball.center`` that score higher. They are brought back inside the region afterwards."""

    @final
    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Any = None,
        *,
        target: Any = None,
        within: Region | None = None,
        mask: Tensor | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Attacked:
        """Attack images ``x`` [B, C, *] in [0, 1]: away from labels ``y``, or towards ``target`` classes.

        ``within`` bounds the change (default ``Linf(8/255)``), ``mask`` [B, 1, *] keeps it to where it is true,
        ``ids`` seed each row's random numbers so that a row does not depend on its neighbours.
        """
        x = checked_images(x)
        goal, labels = _aim(x, y, target, model.width)
        within = within or Linf()
        home, x, labels = x.device, x.to(model.device), labels.to(model.device)
        query = Query(
            model, goal, labels, Rng.seeded(seed, row_ids(ids, len(x)), model.device), who=type(self).__name__
        )
        with model.settled():
            found = self.found(query, within, within.around(x, mask))
            logits = query.logits(found)
        return _judged(found, x, logits, query, seed, home)

    @final
    def found(self, query: Query, within: Region, ball: Ball) -> Tensor:
        """What :meth:`perturb` finds, for certain inside the region and [0, 1]."""
        swift = query.about(query.model.quick(ball.center))
        return within.project(self.perturb(swift, within, ball).detach(), ball)

    @final
    def columns(self, question: Question, batch: Batch) -> Columns:
        wanted = question.labels(batch)
        aim: dict[str, Any] = {"y" if question.target is None else "target": wanted}
        how: dict[str, Any] = {"mask": question.mask(batch), "seed": question.seed, "ids": batch.ids}
        found = self(question.model, batch.x, **aim, within=question.within, **how)
        saved = to_uint8(found.x)
        again = label_of(question.model(from_uint8(saved))).to(wanted.device)
        survives = (again == wanted) == (question.target is not None)
        scores = {
            name: getattr(found, name)
            for name in ("success", "label", "confidence", "l0", "l1", "l2", "linf")
        }
        return {"adversarial": saved, **scores, "label_saved": again, "success_saved": survives}


def _aim(x: Tensor, y: Any, target: Any, classes: int | None) -> tuple[Goal, Tensor]:
    if (y is None) == (target is None):
        raise InputError(
            "an attack needs labels to lead away from, or targets to lead to", "give y=… or target=…"
        )
    if target is not None:
        return Targeted(), checked_labels(target, x, classes, "targets")
    return Untargeted(), checked_labels(y, x, classes)


def _judged(
    found: Tensor, x: Tensor, logits: Tensor, query: Query, seed: int, home: torch.device
) -> Attacked:
    delta = (found - x).flatten(1)
    moved = (found != x).any(1).flatten(1).sum(1)
    probability = (logits.flatten(2).mean(2) if logits.ndim > 2 else logits).softmax(1)
    reached = query.objective.reached({"output": logits}, query.y)
    sizes = moved, delta.abs().sum(1), delta.norm(dim=1), delta.abs().amax(1)
    tensors = (found, reached, label_of(logits), probability.amax(1), *sizes)
    return Attacked(*(t.to(home) for t in tensors), cost=dict(query.cost), seed=seed)
