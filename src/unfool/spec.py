"""Things that can be written down: a Spec is a frozen value whose text rebuilds it.

``PGD(steps=40)`` is Python, a command-line argument, a line of a recipe and a caption.
"""

import ast
import inspect
import math
import operator
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from importlib.metadata import entry_points
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from .errors import SpecError, UnknownName, suggestion


class Bound(NamedTuple):
    """The numbers an option may be."""

    low: float
    high: float = math.inf
    open: bool = False

    def holds(self, value: float) -> bool:
        return (self.low < value if self.open else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'>' if self.open else '≥'} {self.low}" + ("" if self.high == math.inf else f" and ≤ {self.high}")


Count = Annotated[int, Bound(1)]
Natural = Annotated[int, Bound(0)]
Positive = Annotated[float, Bound(0, open=True)]
Fraction = Annotated[float, Bound(0, 1)]
PerRow = Annotated[float | tuple[float, ...], Bound(0)]
"""One number for all images, or one for each."""


@dataclass_transform(frozen_default=True)
class Spec:
    """A frozen dataclass without the decorator; subclasses are found by :func:`catalogue`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(frozen=True, repr=False)(cls)

    def __post_init__(self) -> None:
        for option in options(type(self)):
            value = option.settle(getattr(self, option.name))
            option.check(type(self).__name__, value)
            object.__setattr__(self, option.name, value)

    def __repr__(self) -> str:
        return call_text(type(self).__name__, shown_arguments(self))


def call_text(name: str, arguments: Iterable[str]) -> str:
    return f"{name}({', '.join(arguments)})"


def shown_arguments(spec: Spec) -> list[str]:
    """The arguments that differ from the defaults, leading required ones without their names."""
    shown: list[str] = []
    for i, field in enumerate(_fields(type(spec))):
        value = getattr(spec, field.name)
        if field.default is MISSING and len(shown) == i:
            shown.append(repr(value))
        elif value != field.default:
            shown.append(f"{field.name}={value!r}")
    return shown


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
    help: str

    @property
    def required(self) -> bool:
        return self.default is MISSING

    def settle(self, value: Any) -> Any:
        """The value as the spec keeps it: tensors, arrays and lists become numbers and tuples."""
        if hasattr(value, "tolist"):
            value = value.tolist()
        value = tuple(value) if isinstance(value, list) else value
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
            if self.bound and not self.bound.holds(value):
                return str(self.bound)
        elif inspect.isclass(self.type) and not isinstance(value, self.type):
            return {bool: "True or False", str: "a text"}.get(self.type, article(self.type.__name__.lower()))
        return ""


def article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@cache
def _fields(cls: type[Spec]) -> tuple[Field[Any], ...]:
    return fields(cls)  # pyright: ignore[reportArgumentType]  a Spec's subclasses are dataclasses


@cache
def options(cls: type[Spec]) -> tuple[Option, ...]:
    """What can be set on ``cls``: read off annotations and the strings below the fields."""
    if cls is Spec:
        return ()
    hints, helps = get_type_hints(cls, include_extras=True), _field_docs(cls)
    return tuple(_option(f, hints[f.name], helps.get(f.name, "")) for f in _fields(cls))


def _option(field: Field[Any], hint: Any, text: str) -> Option:
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
    return Option(field.name, hint, field.default, bound, choices, optional, many, text)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _join(hints: list[Any]) -> Any:
    joined = hints[0]
    for hint in hints[1:]:
        joined = joined | hint
    return joined


def _field_docs(cls: type) -> dict[str, str]:
    """The strings below the fields, from the source; without source there is no help, nothing else breaks."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, doc in zip(body, body[1:], strict=False):
            match field, doc:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = inspect.cleandoc(text)
                case _:
                    pass
    return docs


Kind = TypeVar("Kind", bound=Spec)


def catalogue(kind: type[Kind] = Spec) -> dict[str, type[Kind]]:
    """Every concrete subclass of ``kind``, by name: ours, a script's, an installed plugin's."""
    plugins()
    return dict(sorted(_concrete(kind)))


def _concrete(kind: type[Kind]) -> Iterable[tuple[str, type[Kind]]]:
    for cls in kind.__subclasses__():
        yield from _concrete(cls)
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            yield cls.__name__, cls


@cache
def plugins() -> None:
    """Import the modules that bring methods: the package's own and every installed ``unfool.methods``."""
    for plugin in sorted(entry_points(group="unfool.methods"), key=lambda p: p.name):
        plugin.load()


def find(name: str, kind: type[Kind] = Spec) -> type[Kind]:
    known = catalogue(kind)
    if name not in known:
        raise UnknownName("method" if kind is Spec else kind.__name__.lower(), name, known)
    return known[name]


def parse(text: str, kind: type[Kind] = Spec) -> Kind:
    """Read a spec from its text. Nothing is evaluated: only calls of known names, literals and + - * /."""
    try:
        value = _build(ast.parse(text.strip(), mode="eval").body, kind)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise SpecError(f"cannot read {text!r}: {getattr(error, 'msg', 'it is nested too deeply')}") from None
    if not isinstance(value, kind):
        raise SpecError(f"{text!r} is not {article(kind.__name__.lower())}", f"{_examples(kind)}")
    return value


def parse_number(text: str) -> float:
    """A number such as ``0.3`` or ``8/255``."""
    try:
        value = _build(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        value = None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpecError(f"{text!r} is not a number", "write 0.03 or 8/255")
    return float(value)


def _examples(kind: type[Spec]) -> str:
    return "there is " + ", ".join(list(catalogue(kind))[:8])


_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _build(node: ast.expr, kind: type[Spec] = Spec) -> Any:
    match node:
        case ast.Constant(value=int() | float() | str() | bool() | None as value):
            return value
        case ast.Name(id=name):
            return _construct(name, [], {}, kind)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(map(_build, items))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _arithmetic(operator.neg, _build(inner), node=node)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _arithmetic(_ARITHMETIC[type(op)], _build(left), _build(right), node=node)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=named) if all(k.arg for k in named):
            return _construct(name, args, {str(k.arg): k.value for k in named}, kind)
        case _:
            raise SpecError(f"{ast.unparse(node)!r} is not allowed in a spec")


def _arithmetic(operation: Callable[..., Any], *sides: Any, node: ast.expr) -> Any:
    if not all(isinstance(side, (int, float, Spec)) for side in sides):
        raise SpecError(f"{ast.unparse(node)!r} is not allowed in a spec")
    try:
        return operation(*sides)
    except (TypeError, ZeroDivisionError, OverflowError) as error:
        raise SpecError(f"cannot build {ast.unparse(node)!r}: {error}") from None


def _construct(name: str, args: list[ast.expr], named: dict[str, ast.expr], kind: type[Spec]) -> Spec:
    cls = find(name, kind if name not in catalogue(Spec) else Spec)
    known = [option.name for option in options(cls)]
    if unknown := [key for key in named if key not in known]:
        raise SpecError(f"{name} has no option {unknown[0]!r}", suggestion(unknown[0], known))
    if len(args) > len(known):
        raise SpecError(f"{name} takes {len(known)} options at most, not {len(args)}")
    try:
        return cls(*map(_build, args), **{key: _build(value) for key, value in named.items()})
    except TypeError as error:
        missing = [o.name for o in options(cls)[len(args) :] if o.required and o.name not in named]
        hint = f"{name} needs {', '.join(missing)}: write {name}({missing[0]}=…)" if missing else ""
        raise SpecError(f"cannot build {name}: {str(error).removeprefix(f'{name}.__init__() ')}", hint) from None
