"""Where numbers and pictures of a run go beside its folder."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

MOST_PICTURES = 24


class Tracker(ABC):
    """One run of a tracking tool."""

    @abstractmethod
    def number(self, name: str, value: float, step: int = 0) -> None:
        """One number, by a name with slashes between its parts."""

    @abstractmethod
    def picture(self, name: str, path: Path) -> None:
        """A PNG."""

    @abstractmethod
    def text(self, name: str, value: str) -> None:
        """A setting, such as the recipe."""

    @abstractmethod
    def close(self) -> None:
        """All is told."""


def tell(tracker: Tracker, document: Mapping[str, Any], folder: Path | None) -> None:
    """What a command prints as JSON, with the pictures that it wrote."""
    for name, value in leaves(document):
        if isinstance(value, str):
            tracker.text(name, value)
        else:
            tracker.number(name, value)
    if folder is not None:
        pictures = sorted([*folder.glob("*.png"), *folder.glob("pictures/*.png")])
        for path in pictures[:MOST_PICTURES]:
            tracker.picture(path.relative_to(folder).with_suffix("").as_posix(), path)
    tracker.close()


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, float | str]]:
    """The numbers and words of nested JSON by their path; longer lists are left to the folder."""
    if isinstance(value, Mapping):
        for key, inner in cast(Mapping[Any, Any], value).items():
            yield from leaves(inner, f"{name}/{key}" if name else str(key))
    elif isinstance(value, (int, float, str)):
        yield name, value
