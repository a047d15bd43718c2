"""Learning to classify, as a fit: which training, how fast, in which precision, with which changes of the images."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor

from ..checks import checked_images, checked_labels, row_ids
from ..errors import OutOfMemory
from ..memory import give_back, out_of_memory
from ..method import Columns, Fit, Question, checked_model
from ..model import Model
from ..regions import Linf, Region
from ..rows import Batch, Rng, stable_number, take
from ..spec import Bound, Count, Fraction
from ..transforms import Transform
from .base import Training
from .keeping import take_up, written
from .optimisers import Adam, Cyclic, Optimiser, Schedule
from .plain import Madry
from .pupil import Kept, Part, Pupil


class Train(Fit):
    """A copy of a classifier, taught from labelled images; the network it is a copy of stays as it is."""

    method: Training = Madry()
    """What is learned from the images of an update: Natural(), Fast(), Trades(), Free() and others."""
    optimiser: Optimiser = Adam()
    """How the weights follow their gradients."""
    schedule: Schedule = Cyclic()
    """How fast in the course of the learning."""
    augment: tuple[Transform, ...] = ()
    """Random changes of every image before anything else, drawn anew in every epoch, such as Flip() and Slide()."""
    ramp: Annotated[float, Bound(0, 1)] = 0.0
    """The share of the learning in which the region grows to its full size."""
    average: Annotated[float, Bound(0, 0.999999)] = 0.0
    """How much of the mean weights stays at each update, such as 0.999; with 0 the last weights count."""
    smoothing: Fraction = 0.0
    """How much of each label is spread over all classes."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """In which products are made; weights, losses and what is judged stay in float32."""
    accumulate: Count = 1
    """In how many parts an update's images pass through the network; more where memory runs out."""
    _: KW_ONLY
    rows: Count = 128
    """How many images an update sees, of all processes together."""

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Any,
        *,
        within: Region | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Model:
        """A model that has learned from images ``x`` [B, C, *] in [0, 1] and labels ``y``; ``model`` is not changed.

        Everything random depends on ``seed`` and the images' ``ids`` alone.
        """
        return self.taught(model, x, y, within=within, seed=seed, ids=ids).judged()

    def taught(
        self,
        model: Model,
        x: Tensor,
        y: Any,
        *,
        within: Region | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Pupil:
        """The same with what it cost: ``.judged()`` is the model, ``.spent`` the passes."""
        checked_model(model)
        x = checked_images(x)
        names = tuple(map(str, row_ids(ids, len(x))))
        batch = Batch(names, x, checked_labels(y, x, model.width))
        question, place = Question(model, within, seed=seed), {i: k for k, i in enumerate(names)}
        pupil = self.start(question, batch)
        for asked, some in self.lessons(question, names):
            pupil = self.update(asked, pupil, batch[torch.tensor([place[i] for i in some])])
        return pupil

    def start(self, question: Question, batch: Batch) -> Pupil:
        pupil = Pupil(
            question.model,
            batch[torch.tensor([0])],
            self.optimiser,
            self.schedule,
            rows=self.rows,
            average=self.average,
            smoothing=self.smoothing,
            precision=self.precision,
        )
        pupil.warm()
        return pupil

    def update(self, question: Question, state: Pupil, batch: Batch) -> Pupil:
        """One update; where memory runs out the images pass in smaller parts from then on.

        Of several processes each gives its own part of the images; one that has none passes one through all the same,
        as the others wait for it.
        """
        if not len(batch) and state.ranks.world == 1:
            return state
        state.span = question.span
        part = self._prepared(question, state, batch)
        with repeatable(state.device, stable_number(question.seed, state.updates, state.ranks.rank)):
            while not self._taught(state, cut(part, max(self.accumulate, state.split))):
                give_back()
        return state

    def _taught(self, pupil: Pupil, parts: Sequence[Part]) -> bool:
        """Whether it fitted into memory; if not, all is as before, but for the number of parts."""
        before = pupil.kept()
        try:
            self.method.taught(pupil, parts)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            check_smaller(pupil, parts, before)
            pupil.put_back(before)
            pupil.split = 2 * len(parts)
            return False
        return True

    def finish(self, state: Pupil) -> Columns:
        return state.weights()

    def written(self, state: Pupil) -> Columns:
        return written(state)

    def taken_up(self, state: Pupil, held: Columns) -> Pupil:
        take_up(state, held)
        return state

    def _prepared(self, question: Question, pupil: Pupil, batch: Batch) -> Part:
        """The images as they are learned from, with the region about them."""
        counts, batch = bool(len(batch)), batch if len(batch) else pupil.like
        x, y = batch.x.to(pupil.device), batch.y.to(pupil.device)
        rng = Rng.seeded(stable_number(question.seed, "augment"), batch.ids)
        for change in self.augment:
            x = change(x, rng).clamp(0, 1)
        within = question.within or Linf()
        ball = within.around(x, question.mask(batch))
        grown = min(1.0, question.span[1] / self.ramp) if self.ramp else 1.0
        place = pupil.ranks.bounds(pupil.rows)[0]
        ball = ball._replace(eps=grown * ball.eps)
        return Part(x, y, batch.ids, ball, within, question.seed, place, counts)


def cut(part: Part, n: int) -> list[Part]:
    """The same images in ``n`` parts, or one each where there are fewer."""
    size = -(-len(part.x) // n)
    rows = [
        torch.arange(len(part.x), device=part.x.device)[k : k + size] for k in range(0, len(part.x), size)
    ]
    return [
        part._replace(
            x=part.x[some],
            y=part.y[some],
            ids=part.ids[k * size : k * size + len(some)],
            ball=take(part.ball, some),
            place=part.place + k * size,
        )
        for k, some in enumerate(rows)
    ]


@contextmanager
def repeatable(device: torch.device, seed: int) -> Generator[None]:
    """A network's own random numbers from ``seed``, kernels that add in one order; afterwards all as it was."""
    cuda, cudnn = device.type == "cuda", cast(Any, torch.backends.cudnn)
    flags = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            cudnn.deterministic, cudnn.benchmark = True, False
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = flags


def check_smaller(pupil: Pupil, parts: Sequence[Part], before: Kept) -> None:
    """Raise where an update that ran out of memory cannot be made again with smaller parts."""
    if pupil.updates != before.updates or pupil.ranks.world > 1:
        raise OutOfMemory("memory ran out within an update", f"--accumulate {2 * len(parts)}") from None
    if max(len(part.x) for part in parts) == 1:
        raise OutOfMemory(
            f"memory ran out with one image {list(parts[0].x.shape[1:])} at a time",
            "smaller pictures (--view), --precision bfloat16 or another --device",
        ) from None
