"""What a run can run: a method turns a batch into columns."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from .model import Model
from .objectives import Objective, label_of
from .query import Query
from .regions import Mask, Region
from .rows import Batch, Rng
from .spec import Spec

Columns = dict[str, Tensor]


class Question(NamedTuple):
    """What every batch of a run is asked: of which model, within which region, for which target class."""

    model: Model
    within: Region | None = None
    target: int | Tensor | None = None
    seed: int = 0

    def query(self, batch: Batch, objective: Objective, who: str) -> Query:
        """A question about the labels of a batch; an image without a label is asked about its predicted class."""
        model = self.model
        rng = Rng.seeded(self.seed, batch.ids, model.device)
        return Query(model, objective, self.labels(batch).to(model.device), rng, who=who)

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


class Method(Spec, ABC):
    """A frozen value that turns a batch into columns, one entry per row."""

    @abstractmethod
    def columns(self, question: Question, batch: Batch) -> Columns:
        """The results of one batch."""
