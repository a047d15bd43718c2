"""The data sets that come with the package."""

from typing import Literal

from torch import Tensor

from ..phantoms import CHAMBERS, POINTS, cine, landmarks
from ..samples import DIGITS, FINDINGS, Samples, Tag, digits, digits8, lesions, tagged
from ..scenes import SHAPES, scene_samples
from ..views import View, from_uint8
from .base import Sample, Source

CLASSES = {
    "cine": CHAMBERS,
    "digits": DIGITS,
    "digits8": DIGITS,
    "landmarks": POINTS,
    "lesions": FINDINGS,
    "scenes": SHAPES,
}
"""What is told apart, known without making the images: a network by itself needs no more."""
NAMES = tuple(CLASSES)


class Embedded(Source):
    """Digits at 32x32 or 8x8, films with lesions and an artefact, scenes with boxes, hearts as films or with points."""

    name: Literal["cine", "digits", "digits8", "landmarks", "lesions", "scenes"] = "digits"
    split: Literal["train", "test"] = "test"
    shortcut: bool = True
    """Whether the films' artefact goes with the finding."""
    tag: Tag | None = None
    """What some of the 3s carry: a square in their corner, a ``faint`` one on clean digits, a ``moving`` cross."""

    def ids(self) -> tuple[str, ...]:
        return tuple(f"{self.split}/{k}" for k in range(len(self.samples().y)))

    def samples(self) -> Samples:
        """All of it as arrays."""
        if self.name == "lesions":
            return lesions(self.split, self.shortcut)
        if self.name == "scenes":
            return scene_samples(self.split)
        if self.tag is not None and self.name == "digits":
            return tagged(self.split, self.tag)
        known = {"cine": cine, "digits": digits, "digits8": digits8, "landmarks": landmarks}
        return known[self.name](self.split)

    def sample(self, id: str, view: View) -> Sample:
        found, k = self.samples(), _place(id)
        mask = None if found.masks is None else found.masks[k]
        objects = found.objects[k] if found.objects else None
        artefact = None if found.artefacts is None else found.artefacts[k]
        return Sample(_coloured(from_uint8(found.x[k]), view), mask, objects, artefact=artefact)

    def label(self, id: str) -> int:
        return int(self.samples().y[_place(id)])

    def label_names(self) -> tuple[str, ...]:
        return CLASSES[self.name]

    def object_names(self) -> dict[int, str]:
        return dict(enumerate(self.label_names())) if self.samples().objects else {}

    def object_classes(self, id: str) -> tuple[int, ...]:
        found = self.samples().objects
        return tuple(found[_place(id)][:, 4].int().tolist()) if found else ()

    def groups(self, id: str) -> dict[str, str]:
        return {name: values[_place(id)] for name, values in self.samples().groups.items()}


def _coloured(x: Tensor, view: View) -> Tensor:
    """Grey as colour, or colour as grey, where that is wanted."""
    if view.channels == 1:
        return x.mean(0, keepdim=True)
    return x.expand(3, *x.shape[1:]) if view.channels == 3 else x


def _place(id: str) -> int:
    return int(id.rpartition("/")[2])
