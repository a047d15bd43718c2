"""One change for all images."""

from abc import ABC, abstractmethod
from typing import Annotated, NamedTuple, final

import torch
from torch import Tensor

from ..errors import InputError
from ..method import Columns, Question
from ..objectives import Margin, Objective
from ..regions import Ball, Linf, Region
from ..rows import Batch, Rng, column
from ..spec import Bound, Positive
from .learned import Control, LearnedAttack, Pose, asked, looked_at


class _State(NamedTuple):
    change: Tensor
    pull: Tensor
    """What the images want, remembered from update to update: [1, C, *]."""
    mask: Tensor
    """Where the change may be: [1, 1, *]."""


class Added(LearnedAttack, ABC):
    """A change that is added to every image at the same place."""

    @abstractmethod
    def plain(self, change: Tensor, mask: Tensor) -> Tensor:
        """The change's mean size, the same everywhere it may be."""

    @final
    def put(
        self, learned: Columns, x: Tensor, rng: Rng, pose: Pose | None = None, on: Tensor | None = None
    ) -> Tensor:
        del rng, on
        return looked_at(x + fitting(learned["change"], x), pose)

    @final
    def control(self, learned: Columns, kind: Control, rng: Rng) -> Columns:
        """Random: the same numbers at other places with other signs, as large in every norm. Plain: their mean size."""
        change, mask = learned["change"], learned["mask"]
        random = kind == "random"
        return {"change": scattered(change, mask, rng) if random else self.plain(change, mask), "mask": mask}


class Universal(Added):
    """One change that fools a network on most images (Moosavi-Dezfooli et al., 2017, arXiv:1610.08401).

    Found by steps along the mean gradient of the images it does not yet fool, as Shafahi et al. (2020) do.
    """

    bounded = True

    loss: Objective = Margin()
    """What to climb."""
    step: Positive = 0.1
    """Length of a step, in radii of the region."""
    memory: Annotated[float, Bound(0, 0.999)] = 0.9
    """How much of the last pull stays in the next."""

    def start(self, question: Question, batch: Batch) -> _State:
        _, ball = _around(question, batch)
        x = ball.center[:1]
        mask = torch.ones_like(x[:, :1]) if ball.mask is None else ball.mask[:1]
        return _State(torch.zeros_like(x), torch.zeros_like(x), mask.clone())

    def update(self, question: Question, state: _State, batch: Batch) -> _State:
        within, ball = _around(question, batch)
        query = asked(question, batch, self.loss, type(self).__name__)
        seen = (ball.center + state.change).clamp(0, 1)
        with query.model.settled():
            answer = query.gradient(seen)
        free = torch.where(
            answer.slope > 0, seen < 1, seen > 0
        )  # what is black or white already goes no further
        wanted = answer.slope * free * column(~answer.reached, seen)
        grad = wanted.mean(0, keepdim=True) * state.mask
        size = grad.abs().sum().clamp_min(torch.finfo(grad.dtype).tiny)
        pull = self.memory * state.pull + grad / size
        step = self.step * ball.eps[:1]
        moved = state.change + column(step, pull) * within.ascend(pull)
        return _State(within.shrink(moved, ball.eps[:1]).clamp(-1, 1), pull, state.mask)

    def finish(self, state: _State) -> Columns:
        return {"change": state.change, "mask": state.mask}

    def plain(self, change: Tensor, mask: Tensor) -> Tensor:
        del mask
        moved = change != 0
        return moved * change.abs().sum() / moved.sum().clamp_min(1)

    def picture(self, learned: Columns) -> Tensor:
        change = learned["change"][0]
        return 0.5 + change / (2 * float(change.abs().max()) or 1.0)


def _around(question: Question, batch: Batch) -> tuple[Region, Ball]:
    within = question.within or Linf()
    ball = within.around(batch.x.to(question.model.device), question.mask(batch))
    if isinstance(within.radius, tuple):
        raise InputError("one change for all images has one eps", "give eps as one number")
    if ball.mask is not None and not (ball.mask == ball.mask[:1]).all():
        raise InputError("one change for all images has one place", "Mask(…, box=(top, left, bottom, right))")
    return within, ball


def fitting(change: Tensor, x: Tensor) -> Tensor:
    """A change for images of this shape, or one sentence."""
    if change.shape[1:] != x.shape[1:]:
        raise InputError(
            f"what was learned is for images of {list(change.shape[1:])}, these are {list(x.shape[1:])}",
            "--view cuts them alike",
        )
    return change


def scattered(change: Tensor, mask: Tensor, rng: Rng) -> Tensor:
    """The same positions' values in a random order with random signs, inside the mask."""
    flat = change.flatten(2)
    there = mask.flatten().nonzero()[:, 0]
    order = rng.uniform(flat[:, 0, there]).argsort(1)[0]
    out = torch.zeros_like(flat)
    out[:, :, there] = flat[:, :, there[order]] * rng.sign(flat[:, :, there])
    return out.view_as(change)
