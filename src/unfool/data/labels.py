"""From labels as data have them to the numbers of a model's classes."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DataError, suggestion


class ClassNames(tuple[str, ...]):
    """Class names in order; ``keys`` are other names of the same classes, such as WordNet ids."""

    keys: tuple[str, ...] = ()


def read_classes(path: Path) -> ClassNames:
    """Class names from a file of lines ``name`` or ``key<TAB>name``."""
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise DataError(
            f"cannot read class names from {path}: {reason}", "a text file, one name a line"
        ) from None
    if not lines:
        raise DataError(f"{path} holds no class names", "one name a line")
    names = ClassNames(line.split("\t")[-1].strip() for line in lines)
    if all("\t" in line for line in lines):
        names.keys = tuple(line.split("\t")[0].strip() for line in lines)
    return names


def label_numbers(
    ids: Sequence[str], labels: Sequence[str | int | None], classes: Sequence[str], errors: dict[str, str]
) -> Tensor:
    """The number of each label, -1 where it is unknown; one that is no class is its sample's error."""
    known = numbers(tuple(classes), getattr(classes, "keys", ()))
    found: list[int] = []
    for id, label in zip(ids, labels, strict=True):
        number = _number(label, known, len(classes))
        if number is None and id not in errors:
            numbered = isinstance(label, int) or str(label).lstrip("-").isdecimal()
            hint = f"0 to {len(classes) - 1}" if numbered else suggestion(str(label), classes)
            errors[id] = f"label {label!r} is not one of the model's {len(classes)} classes ({hint})"
        found.append(-1 if number is None else number)
    return torch.tensor(found, dtype=torch.long)


def _number(label: str | int | None, known: dict[str, int], classes: int) -> int | None:
    if label is None:
        return -1
    if isinstance(label, str) and label.lower() in known:
        return known[label.lower()]
    if isinstance(label, int) or label.isdecimal():
        return int(label) if -1 <= int(label) < (classes or math.inf) else None  # -1 is unknown
    return None


@cache
def numbers(names: tuple[str, ...], keys: tuple[str, ...]) -> dict[str, int]:
    """Names and keys to numbers, without regard to case; of two classes with one name, the first."""
    both = [*enumerate(names), *enumerate(keys)]
    return {name.lower(): number for number, name in reversed(both)}
