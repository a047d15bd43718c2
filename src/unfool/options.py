"""What can be set on a spec: each field's type, bound, choices, default and help, read off its class."""

import ast
import inspect
import math
import sys
import textwrap
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from .errors import SpecError


class Bound(NamedTuple):
    """The numbers an option may be."""

    low: float
    high: float = math.inf
    open: bool = False

    def holds(self, value: float) -> bool:
        return (self.low < value if self.open else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'>' if self.open else '≥'} {self.low}" + (
            "" if self.high == math.inf else f" and ≤ {self.high}"
        )


Count = Annotated[int, Bound(1)]
Natural = Annotated[int, Bound(0)]
Positive = Annotated[float, Bound(0, open=True)]
Fraction = Annotated[float, Bound(0, 1)]
PerRow = Annotated[float | tuple[float, ...], Bound(0, open=True)]
"""One number for all images, or one for each."""


class Option(NamedTuple):
    """One field as a form, a flag or a help page needs it."""

    name: str
    type: Any
    default: Any
    bound: Bound | None
    choices: tuple[Any, ...]
    optional: bool
    many: Literal["no", "may", "must"]
    """Whether several values, as a tuple, may or must be given."""
    owner: Any

    @property
    def help(self) -> str:
        """The string below the field: read when it is asked for, for reading sources takes its time."""
        return _field_docs(self.owner).get(self.name, "")

    @property
    def required(self) -> bool:
        return self.default is MISSING

    def settle(self, value: Any) -> Any:
        """The value as the spec keeps it: tensors, arrays and lists become numbers and tuples, 1 becomes 1.0."""
        if hasattr(value, "tolist"):
            value = value.tolist()
        value = tuple(value) if isinstance(value, list) else value
        if self.type is float:
            value = tuple(map(_real, value)) if isinstance(value, tuple) else _real(value)
        return (value,) if self.many == "must" and not isinstance(value, tuple) else value

    def check(self, owner: str, value: Any) -> None:
        if value is None and self.optional:
            return
        each = value if self.many != "no" and isinstance(value, tuple) else (value,)
        for one in each:
            if complaint := self._complaint(one):
                raise SpecError(f"{owner}.{self.name} must be {complaint}, not {one!r}")

    def _complaint(self, value: Any) -> str:
        if self.choices:
            return "" if value in self.choices else f"one of {', '.join(map(repr, self.choices))}"
        if self.type in (int, float):
            if isinstance(value, bool) or not isinstance(value, (int, self.type)):
                return "a whole number" if self.type is int else "a number"
            if not is_finite(value):
                return "finite"
            if self.bound and not self.bound.holds(value):
                return str(self.bound)
        elif inspect.isclass(self.type) and not isinstance(value, self.type):
            known = getattr(self.type, "kind", article(self.type.__name__.lower()))
            return _KINDS.get(self.type.__name__, known)
        return ""


def _real(value: Any) -> Any:
    """A whole number as a float, so that equal values have equal texts."""
    return float(value) if type(value) is int and is_finite(value) else value


_KINDS = {"bool": "True or False", "str": "a text"}


def is_finite(value: float) -> bool:
    return abs(value) <= sys.float_info.max


def article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@cache
def spec_fields(cls: type) -> tuple[Field[Any], ...]:
    return fields(cls)  # pyright: ignore[reportArgumentType]  a Spec's subclasses are dataclasses


@cache
def options(cls: type) -> tuple[Option, ...]:
    """What can be set on ``cls``: read off annotations and the strings below the fields."""
    if not is_dataclass(cls):
        return ()
    hints = get_type_hints(cls, include_extras=True)
    return tuple(_option(f, hints[f.name], cls) for f in spec_fields(cls))


def _option(field: Field[Any], hint: Any, owner: type) -> Option:
    bound, choices, many = None, (), "no"
    optional = _is_union(hint) and NoneType in get_args(hint)
    if optional:
        hint = _join([a for a in get_args(hint) if a is not NoneType])
    if get_origin(hint) is Annotated:
        hint, bound = get_args(hint)[:2]
    if _is_union(hint):  # number | tuple of numbers
        hint, many = get_args(hint)[0], "may"
    if get_origin(hint) is tuple:
        hint, many = get_args(hint)[0], "must"
    if get_origin(hint) is Annotated:
        hint, bound = get_args(hint)[:2]
    if get_origin(hint) is Literal:
        choices = get_args(hint)
    return Option(field.name, hint, field.default, bound, choices, optional, many, owner)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _join(hints: list[Any]) -> Any:
    joined = hints[0]
    for hint in hints[1:]:
        joined = joined | hint
    return joined


@cache
def _field_docs(cls: type) -> dict[str, str]:
    """The strings below the fields, from the source; without source there is no help, nothing else breaks."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, doc in pairwise(body):
            match field, doc:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = inspect.cleandoc(text)
                case _:
                    pass
    return docs
