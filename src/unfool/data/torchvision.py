"""torchvision's data sets, from files that are there."""

from functools import cache
from inspect import signature
from typing import Any

from ..errors import DataError, UnknownName
from ..views import View
from ..vision import torchvision
from .base import Sample, Source


class TorchvisionData(Source):
    """A data set of ``torchvision.datasets`` by its name; nothing is downloaded."""

    name: str
    split: str = "test"
    root: str = "data"

    def ids(self) -> tuple[str, ...]:
        return tuple(map(str, range(len(_opened(self.name, self.split, self.root)))))

    def sample(self, id: str, view: View) -> Sample:
        return Sample(view(_opened(self.name, self.split, self.root)[int(id)][0]))

    def label(self, id: str) -> int:
        data = _opened(self.name, self.split, self.root)
        targets = getattr(data, "targets", None)
        return int(targets[int(id)] if targets is not None else data[int(id)][1])

    def label_names(self) -> tuple[str, ...]:
        return tuple(map(str, getattr(_opened(self.name, self.split, self.root), "classes", ())))


@cache
def _opened(name: str, split: str, root: str) -> Any:
    sets = torchvision().datasets
    if name not in (known := [n for n in sets.__all__ if isinstance(getattr(sets, n), type)]):
        raise UnknownName("torchvision data set", name, known)
    make = getattr(sets, name)
    how = {"train": split == "train"} if "train" in signature(make).parameters else {"split": split}
    try:
        return make(root=root, **how)
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"cannot open {name} ({split}) in {root}: {reason}", "torchvision:NAME:split?root=FOLDER"
        ) from None
