"""The data sets that come with the package."""

from typing import Literal

from ..samples import Samples, digits, digits8, lesions
from ..views import View, from_uint8
from .base import Sample, Source

NAMES = ("digits", "digits8", "lesions")


class Embedded(Source):
    """Handwritten digits at 32x32 or 8x8, or synthetic chest films with lesions and an artefact."""

    name: Literal["digits", "digits8", "lesions"] = "digits"
    split: Literal["train", "test"] = "test"
    shortcut: bool = True
    """Whether the films' artefact goes with the finding."""

    def ids(self) -> tuple[str, ...]:
        return tuple(f"{self.split}/{k}" for k in range(len(self.samples().y)))

    def samples(self) -> Samples:
        """All of it as arrays."""
        if self.name == "lesions":
            return lesions(self.split, self.shortcut)
        return {"digits": digits, "digits8": digits8}[self.name](self.split)

    def sample(self, id: str, view: View) -> Sample:
        found, k = self.samples(), _place(id)
        x = from_uint8(found.x[k])
        return Sample(
            x.expand(3, -1, -1) if view.channels == 3 else x, None if found.masks is None else found.masks[k]
        )

    def label(self, id: str) -> int:
        return int(self.samples().y[_place(id)])

    def label_names(self) -> tuple[str, ...]:
        return self.samples().classes

    def groups(self, id: str) -> dict[str, str]:
        return {name: values[_place(id)] for name, values in self.samples().groups.items()}


def _place(id: str) -> int:
    return int(id.rpartition("/")[2])
