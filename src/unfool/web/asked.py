"""What a page asks for, as it may be read: of the right kind, or one sentence."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from ..errors import InputError
from ..options import is_finite
from ..spec import Kind, parse
from .frames import Array

T = TypeVar("T")
KINDS: dict[type, str] = {
    str: "a text",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
}


class Asked:
    """The words and arrays of one request."""

    def __init__(self, words: Mapping[str, Any], arrays: Mapping[str, Array]):
        self.words, self.arrays = words, arrays

    def text(self, name: str, otherwise: str | None = None) -> str:
        return self._read(name, str, otherwise)

    def spec(self, name: str, kind: type[Kind]) -> Kind:
        return known_spec(self.text(name), kind)

    def number(self, name: str, otherwise: float | None = None) -> float:
        value = self._read(name, float, otherwise)
        if not is_finite(value) or value != value:
            raise InputError(f"{name} must be a finite number")
        return value

    def whole(self, name: str, otherwise: int | None = None) -> int:
        return self._read(name, int, otherwise)

    def flag(self, name: str) -> bool:
        return self._read(name, bool, False)

    def texts(self, name: str, most: int = 200) -> list[str]:
        found = self._read(name, list, [])
        if len(found) > most or not all(isinstance(one, str) for one in found):
            raise InputError(f"{name} must be at most {most} texts")
        return found

    def numbers(self, name: str, most: int = 200) -> list[float]:
        found = self._read(name, list, [])
        if len(found) > most or not all(type(one) in (int, float) and is_finite(one) for one in found):
            raise InputError(f"{name} must be at most {most} finite numbers")
        return [float(one) for one in found]

    def place(self, name: str) -> int | None:
        """A whole number of 0 or more, or none."""
        value = self.words.get(name)
        if value is not None and (type(value) is not int or not 0 <= value < 2**31):
            raise InputError(f"{name} must be a whole number, or nothing")
        return value

    def mask(self, name: str, space: tuple[int, ...]) -> Array | None:
        """A drawn region in the image's size, None where there is none or nothing was drawn."""
        found = self.arrays.get(name)
        if found is None or not found.any():
            return None
        if found.shape != space or found.dtype != "u1":
            raise InputError(f"{name} must be {list(space)}, not {list(found.shape)}")
        return found != 0

    def _read(self, name: str, kind: type[T], otherwise: T | None) -> T:
        value: Any = self.words.get(name, otherwise)
        if issubclass(kind, float) and type(value) is int and is_finite(value):
            value = float(value)
        if type(value) is not kind:
            raise InputError(f"{name} must be {KINDS[kind]}")
        return value


@lru_cache(maxsize=256)
def _spec(text: str, kind: type[Any]) -> Any:
    return parse(text, kind)


def known_spec(text: str, kind: type[Kind]) -> Kind:
    """:func:`parse`, which remembers: a drag asks for the same again and again."""
    return _spec(text, kind)
