"""What a run can run: a method turns a batch into columns, a fit folds batches into something learned."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from .answers import Spent
from .detections import finds_boxes
from .errors import InputError
from .model import Model
from .objectives import Objective, label_of
from .query import Query
from .regions import Mask, Region
from .rows import Batch, Rng, stable_number
from .spec import Count, Spec

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

    def query(self, batch: Batch, objective: Objective, who: str) -> Query:
        """A question about the labels of a batch; an image without a label is asked about its predicted class.

        A detector is asked about each image's first object.
        """
        model = self.model
        rng = Rng.seeded(self.seed, batch.ids, model.device)
        spent = Spent.nothing(len(batch), model.device, self.starts)
        y = batch.victims if finds_boxes(model) else self.labels(batch)
        return Query(model, objective, y.to(model.device), rng, who=who, spent=spent)

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

    @final
    def lessons(self, question: Question, ids: Sequence[str]) -> Iterator[tuple[Question, tuple[str, ...]]]:
        """What each update is asked, and of which samples.

        Order and random numbers follow the question's seed and are other ones in every epoch; none are those that
        the same seed gives a method.
        """
        for epoch in range(self.epochs):
            asked = question._replace(seed=stable_number(question.seed, "learn", epoch))
            order = sorted(ids, key=lambda i: stable_number(asked.seed, "order", i))
            for k in range(0, len(order), self.rows):
                yield asked, tuple(order[k : k + self.rows])

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
