"""A slide of the lecture: what it asks of the library, what it shows, and what it does not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import InputError, UnknownName
from ..options import is_finite
from ..report.page import Figure, Grid
from .kit import Kit

Value = float | int | str
Settings = Mapping[str, Any]
"""A value for each slider by its name, and ``printed``: whether as printed on the slide."""


@dataclass(frozen=True)
class Slider:
    """What a teacher may change: one of the ``stops``, or with a ``step`` any number from the first to the last."""

    name: str
    default: Value
    stops: tuple[Value, ...]
    step: float = 0.0
    label: str = ""

    def checked(self, value: Any) -> Value:
        """A value of this slider. Raises :class:`InputError` where it is none."""
        if not self.step:
            if value not in self.stops or isinstance(value, bool):
                raise UnknownName(f"value of {self.name}", str(value)[:40], map(str, self.stops))
            return value
        low, high = self.stops[0], self.stops[-1]
        if type(value) not in (int, float) or not is_finite(value) or not low <= value <= high:
            raise InputError(f"{self.name} must be a number from {low} to {high}")
        return int(value) if isinstance(self.default, int) else float(value)

    def told(self) -> dict[str, Any]:
        return {**self.__dict__, "label": self.label or self.name}


@dataclass(frozen=True)
class Erratum:
    """A mistake of the deck: what is printed, what is right, and whether the slide can draw it as printed."""

    number: str
    printed: str
    right: str
    drawn: bool = False


class Cost(NamedTuple):
    """Images put through the network forward and backward, for each image that ``what`` is about."""

    what: str
    forward: float
    backward: float


class Made(NamedTuple):
    """What a slide found: one sentence, its figures with their controls, its numbers, what each image cost."""

    says: str
    figures: Sequence[Figure]
    numbers: Mapping[str, Any]
    cost: Sequence[Cost] = ()
    tables: Sequence[Grid] = ()


@dataclass(frozen=True)
class Slide:
    """One slide of the deck as data. ``python`` and ``command`` may name sliders in braces."""

    key: str
    title: str
    requirements: str
    shows: str
    shows_not: str
    make: Callable[[Kit, Settings], Made]
    python: str
    command: str
    sliders: tuple[Slider, ...] = ()
    errata: tuple[Erratum, ...] = ()
    seed: int = 0

    @property
    def defaults(self) -> dict[str, Any]:
        return {slider.name: slider.default for slider in self.sliders}

    @property
    def drawn_as_printed(self) -> bool:
        return any(one.drawn for one in self.errata)

    def settings(self, asked: Mapping[str, Any], printed: bool = False) -> dict[str, Any]:
        """Values for all sliders, those not asked for by default. Raises where one cannot be."""
        known = {slider.name: slider for slider in self.sliders}
        for name in asked:
            if name not in known:
                raise UnknownName(f"slider of {self.key}", str(name)[:40], known)
        values = {name: one.checked(asked.get(name, one.default)) for name, one in known.items()}
        return {**values, "printed": printed and self.drawn_as_printed}

    def lines(self, settings: Settings) -> tuple[str, str]:
        """The Python and the command that give the same numbers."""
        python, command = self.python, self.command
        for name, value in settings.items():
            told = f"{value:g}" if isinstance(value, float) else str(value)
            python, command = (text.replace(f"{{{name}}}", told) for text in (python, command))
        return python, command
