"""What a run can run: a method turns a batch into columns, a fit folds batches into something learned."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from .answers import Spent
from .checks import as_numbers, checked_labels
from .detections import finds_boxes, labels_of
from .errors import InputError
from .model import Model
from .objectives import Logit, Objective, Output, label_of
from .query import Query
from .regions import Mask, Region
from .rows import Batch, Rng, stable_number
from .spec import Count, Spec
from .targets import Box

Columns = dict[str, Tensor]


class Question(NamedTuple):
    """What every batch of a run is asked: of which model, within which region, for which target class."""

    model: Model
    within: Region | None = None
    target: int | Tensor | None = None
    seed: int = 0
    starts: Tensor | None = None
    """Images [N, C, *] that a search may begin at."""
    objective: Objective | None = None
    """What an attribution explains; by default a class's logit."""
    given: Mapping[str, Tensor] = {}
    """What the objective reads beside the network's tensors, one row for all images."""
    span: tuple[float, float] = (0.0, 1.0)
    """Between which shares of all updates one of a fit begins and ends."""

    def query(self, batch: Batch, objective: Objective, who: str) -> Query:
        """A question about the labels of a batch; an image without a label is asked about its predicted class.

        A detector is asked about each image's first object.
        """
        model = self.model
        rng = Rng.seeded(self.seed, batch.ids, model.device)
        spent = Spent.nothing(len(batch), model.device, self.starts)
        y = batch.victims if finds_boxes(model) else self.labels(batch)
        return Query(model, objective, y.to(model.device), rng, who=who, spent=spent)

    def explaining(self, x: Tensor, ids: Sequence[Any], who: str) -> Query:
        """A question about what is to be explained of images: by default a class's logit, of a detector a box."""
        model, objective = self.model, self.objective
        if objective is None:
            objective = Box() if finds_boxes(model) else Logit()
        elif finds_boxes(model) and isinstance(objective, Output) and not isinstance(objective, Box):
            raise InputError(
                f"{objective!r} is about scores of classes, {model.name} tells boxes", "use Box()"
            )
        x = x.to(model.device)
        y = None if self.target is None else targets_of(self.target, x, objective, model)
        rng = Rng.seeded(self.seed, ids, model.device)
        fixed = {name: _one_per_image(name, t, x) for name, t in self.given.items()}
        return Query(model, objective, y, rng, images=x, who=who, fixed=fixed)

    def about(self, batch: Batch) -> "Question":
        """The same question, whose objective may read the batch's masks and first boxes."""
        given = dict(self.given) | ({} if batch.masks is None else {"mask": batch.masks})
        return self._replace(given=given if batch.objects is None else given | {"box": batch.victims[:, :4]})

    def mask(self, batch: Batch) -> Tensor | None:
        """Where changes may be: the masks of the data, where the region is a :class:`Mask` that asks for them."""
        return batch.masks if isinstance(self.within, Mask) else None

    def labels(self, batch: Batch) -> Tensor:
        """The target, or the known labels, or where there is none the predicted ones: [B]."""
        if self.target is not None:
            return torch.as_tensor(self.target, dtype=batch.y.dtype).expand_as(batch.y)
        if (batch.y >= 0).all():
            return batch.y
        return batch.y.where(batch.y >= 0, label_of(self.model(batch.x)).to(batch.y.device))


def targets_of(target: Any, x: Tensor, objective: Objective, model: Model) -> Tensor:
    """What an objective's ``y`` is for each image."""
    if objective.numbers is None:
        y = as_numbers(target, "targets").to(model.device).long()
        return y.expand(len(x), -1) if y.ndim == 1 else y
    labels = checked_labels(target, x, labels_of(model) if "output" in objective.reads else None, "targets")
    return labels.to(model.device)


def _one_per_image(name: str, t: Tensor, x: Tensor) -> Tensor:
    if t.ndim == 0 or len(t) not in (1, len(x)):
        raise InputError(f"{name} must have one row for each of {len(x)} images, not {list(t.shape)}")
    return t.detach().to(x.device).expand(len(x), *t.shape[1:])


def checked_model(model: Any, boxes: bool = False) -> None:
    """Raise unless ``model`` is a :class:`Model`: a bare network does not say how it wants its images.

    One that tells boxes passes only where ``boxes`` says so.
    """
    if not isinstance(model, Model):
        raise InputError(f"methods ask an unfool.Model, not {type(model).__name__}", "wrap it: Model(net)")
    if finds_boxes(model) and not boxes:
        raise InputError(
            f"{model.name} is a detector: it tells boxes, not a class for the whole image",
            "unfool inspect hiding attacks it; in Python hide(attack, model, x, objects)",
        )


class Method(Spec, ABC):
    """A frozen value that turns a batch into columns, one entry per row."""

    @abstractmethod
    def columns(self, question: Question, batch: Batch) -> Columns:
        """The results of one batch."""

    def left_out(self, question: Question, batch: Batch) -> dict[str, str]:
        """Which samples a run passes over, by id, and why."""
        del question, batch
        return {}


class Fit(Spec, ABC):
    """A frozen value that folds batches into something learned.

    Between batches all it knows is its state, a named tuple of tensors: written down, it can be taken up again.
    """

    _: KW_ONLY
    epochs: Count = 10
    """How often every image is seen."""
    rows: Count = 32
    """How many images an update sees."""

    @abstractmethod
    def start(self, question: Question, batch: Batch) -> Any:
        """The state before the first update; the batch shows what the images are like."""

    @abstractmethod
    def update(self, question: Question, state: Any, batch: Batch) -> Any:
        """The state after one more batch."""

    @abstractmethod
    def finish(self, state: Any) -> Columns:
        """What was learned, as tensors by name."""

    def written(self, state: Any) -> Columns:
        """The state as tensors by name, to be written down."""
        return state._asdict()

    def taken_up(self, state: Any, held: Columns) -> Any:
        """The state that was written down, on the device of one that has just been started."""
        return type(state)(**{name: held[name].to(t.device) for name, t in state._asdict().items()})

    @final
    def lessons(self, question: Question, ids: Sequence[str]) -> Iterator[tuple[Question, tuple[str, ...]]]:
        """What each update is asked, and of which samples.

        Order and random numbers follow the question's seed and are other ones in every epoch; none are those that
        the same seed gives a method.
        """
        updates = self.epochs * self.updates(len(ids))
        for epoch in range(self.epochs):
            seed, done = stable_number(question.seed, "learn", epoch), epoch * self.updates(len(ids))
            order = sorted(ids, key=lambda i: stable_number(seed, "order", i))
            for k in range(self.updates(len(ids))):
                asked = question._replace(seed=seed, span=((done + k) / updates, (done + k + 1) / updates))
                yield asked, tuple(order[k * self.rows : (k + 1) * self.rows])

    @final
    def updates(self, images: int) -> int:
        """How many updates an epoch has."""
        return -(-images // self.rows)

    @final
    def note(self) -> dict[str, str]:
        """What stands beside the tensors in a file of what was learned."""
        return {"unfool": json.dumps({"fit": repr(self)})}

    @final
    def learn(self, question: Question, batch: Batch) -> Columns:
        """All of it, over images that are at hand."""
        place = {i: k for k, i in enumerate(batch.ids)}
        state = self.start(question, batch)
        for asked, ids in self.lessons(question, batch.ids):
            state = self.update(asked, state, batch[torch.tensor([place[i] for i in ids])])
        return self.finish(state)
