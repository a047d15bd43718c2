"""What a run can run: a method turns a batch into columns."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from .model import Model
from .regions import Region
from .rows import Batch
from .spec import Spec

Columns = dict[str, Tensor]


class Question(NamedTuple):
    """What every batch of a run is asked: of which model, for which target class, within which region, by which seed."""

    model: Model
    within: Region | None = None
    target: int | None = None
    seed: int = 0


class Method(Spec, ABC):
    """A frozen value that turns a batch into columns, one entry per row."""

    @abstractmethod
    def columns(self, question: Question, batch: Batch) -> Columns:
        """The results of one batch."""
