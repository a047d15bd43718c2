"""Where batches come from: every sample has a stable id, and a bad one is a row with its error."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError, UnfoolError
from ..rows import Batch
from ..spec import Spec
from ..views import View
from .labels import label_numbers, numbers
from .place import Place


class Sample:
    """One sample as a source knows it: its image [C, *space] in [0, 1], its masks, its objects [n, 5] as a batch's.

    One from a medical file knows its ``place`` as well.
    """

    def __init__(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        objects: Tensor | None = None,
        place: Place | None = None,
        artefact: Tensor | None = None,
    ):
        self.x, self.mask, self.objects, self.place, self.artefact = x, mask, objects, place, artefact


class Source(Spec, ABC):
    """Samples by id. A file that cannot be read becomes a row of zeros with its error, never the end of a run."""

    @abstractmethod
    def ids(self) -> tuple[str, ...]:
        """Every sample's stable id: its relative path, or its place in a fixed file."""

    @abstractmethod
    def sample(self, id: str, view: View) -> Sample:
        """One image and its mask."""

    @abstractmethod
    def label(self, id: str) -> str | int | None:
        """A label as the data have it: a class's name or number, None where unknown."""

    def label_names(self) -> tuple[str, ...]:
        """The names of classes where the data know them all, in their order."""
        return ()

    def object_names(self) -> dict[int, str]:
        """The names of the classes of objects by their numbers, where the data know them."""
        return {}

    def object_classes(self, id: str) -> tuple[int, ...]:
        """The classes of a sample's objects, as the data number them."""
        del id
        return ()

    def groups(self, id: str) -> dict[str, str]:
        """What else is known of a sample, by the name of its column."""
        del id
        return {}

    def prepare(self, ids: Sequence[str]) -> None:
        """Get at hand what the next samples of this thread need, where that is quicker for all than one by one."""
        del ids

    def batch(self, ids: Sequence[str], view: View | None = None, classes: Sequence[str] = ()) -> Batch:
        """The samples ``ids`` as the model wants them, labels as numbers of ``classes``."""
        errors: dict[str, str] = {}
        self.prepare(ids)
        samples = [self._read(i, view or View(), errors) for i in ids]
        names = [self.label(i) for i in ids]
        y = label_numbers(ids, names, classes or self.label_names(), errors)
        shape = _shape([(i, s.x) for i, s in zip(ids, samples, strict=True) if s is not None])
        x = torch.stack([torch.zeros(shape) if s is None else s.x for s in samples])
        groups = [self.groups(i) for i in ids]
        columns = {
            name: tuple(group.get(name, "") for group in groups) for name in (groups[0] if groups else ())
        }
        objects = _objects(samples, self.object_names(), classes)
        masks = _masks([None if s is None else s.mask for s in samples])
        artefacts = _masks([None if s is None else s.artefact for s in samples])
        return Batch(tuple(ids), x, y, masks, columns, errors, objects, artefacts)

    def _read(self, id: str, view: View, errors: dict[str, str]) -> Sample | None:
        try:
            return self.sample(id, view)
        except (
            UnfoolError,
            OSError,
            ValueError,
            SyntaxError,
        ) as error:  # what decoders raise on broken files
            hint = getattr(error, "hint", "")
            errors[id] = " ".join(f"{error}{f' ({hint})' if hint else ''}".split())[:300]
            return None


def _shape(images: Sequence[tuple[str, Tensor]]) -> tuple[int, ...]:
    """The one shape of all images, or one sentence on which two differ."""
    if not images:
        return (1, 1, 1)
    first, like = images[0]
    for id, x in images:
        if x.shape != like.shape:
            raise InputError(
                f"{first} is {list(like.shape)} and {id} is {list(x.shape)}: pictures of one run must be of one size",
                '--view "View(resize=256, crop=224)" cuts them alike',
            )
    return tuple(like.shape)


def _masks(masks: Sequence[Tensor | None]) -> Tensor | None:
    known = next((mask for mask in masks if mask is not None), None)
    if known is None:
        return None
    blank = torch.zeros_like(known)
    return torch.stack([blank if mask is None else mask for mask in masks])


def _objects(
    samples: Sequence[Sample | None], names: dict[int, str], classes: Sequence[str]
) -> Tensor | None:
    """All objects under the model's numbers: by name where it knows it, else as the data number them."""
    found = [None if s is None else s.objects for s in samples]
    if all(objects is None for objects in found):
        return None
    known = numbers(tuple(classes), getattr(classes, "keys", ()))
    filled = torch.zeros(len(found), max([1, *(len(o) for o in found if o is not None)]), 5)
    filled[..., 4] = -1
    for row, objects in zip(filled, found, strict=True):
        for k, one in enumerate(() if objects is None else objects):
            label = int(one[4])
            row[k] = torch.cat([one[:4], one.new_tensor([known.get(names.get(label, "").lower(), label)])])
    return filled
