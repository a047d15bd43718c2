"""Of pictures with boxes those that have what is to be hidden."""

from collections.abc import Sequence

import torch

from ..errors import DataError, UnknownName
from ..views import View
from .base import Sample, Source


class Victims(Source):
    """The samples of another source with an object of one class, that object the first; without a name, of any."""

    source: Source
    name: str = ""

    def ids(self) -> tuple[str, ...]:
        wanted, classes = self._number(), self.source.object_classes
        return tuple(i for i in self.source.ids() if (classes(i) if wanted is None else wanted in classes(i)))

    def prepare(self, ids: Sequence[str]) -> None:
        self.source.prepare(ids)

    def sample(self, id: str, view: View) -> Sample:
        found, wanted = self.source.sample(id, view), self._number()
        objects = torch.zeros(0, 5) if found.objects is None else found.objects
        own = torch.ones(len(objects)) if wanted is None else (objects[:, 4] == wanted).float()
        if not own.any():
            raise DataError(f"{id}: the picture as it is cut shows no {self.name or 'object'}")
        return Sample(found.x, found.mask, objects[own.argsort(descending=True, stable=True)])

    def label(self, id: str) -> str | int | None:
        return self.source.label(id)

    def object_names(self) -> dict[int, str]:
        return self.source.object_names()

    def object_classes(self, id: str) -> tuple[int, ...]:
        return self.source.object_classes(id)

    def _number(self) -> int | None:
        """The class as the data number it."""
        if not self.name:
            return None
        numbers = {known.lower(): number for number, known in self.object_names().items()}
        if self.name.lower() not in numbers:
            raise UnknownName("class of objects", self.name, self.object_names().values())
        return numbers[self.name.lower()]
