"""Things that can be written down: a Spec is a frozen value whose text rebuilds it.

``PGD(steps=40)`` is Python, a command-line argument, a line of a recipe and a caption.
"""

import ast
import inspect
import operator
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar, dataclass_transform

from .errors import SpecError, UnfoolError, UnknownName, suggestion
from .options import Bound as Bound
from .options import Count as Count
from .options import Fraction as Fraction
from .options import Natural as Natural
from .options import Option as Option
from .options import PerRow as PerRow
from .options import Positive as Positive
from .options import article, is_finite, spec_fields
from .options import options as options


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
    for i, field in enumerate(spec_fields(type(spec))):
        value = getattr(spec, field.name)
        if field.default is MISSING and len(shown) == i:
            shown.append(repr(value))
        elif value != field.default:
            shown.append(f"{field.name}={value!r}")
    return shown


Kind = TypeVar("Kind", bound=Spec)


def catalogue(kind: type[Kind] = Spec) -> dict[str, type[Kind]]:
    """Every concrete subclass of ``kind``, by name: ours, a script's, an installed plugin's.

    Of two with one name, as where a notebook's cell has run twice, the one defined last counts.
    """
    plugins()
    return dict(sorted(_concrete(kind), key=lambda found: found[0]))


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
    except UnicodeEncodeError as error:
        raise SpecError(f"cannot read {text!r}: {error.reason}") from None
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise SpecError(f"cannot read {text!r}: {getattr(error, 'msg', 'it is nested too deeply')}") from None
    if not isinstance(value, kind):
        raise SpecError(f"{text!r} is not {article(kind.__name__.lower())}", f"{_examples(kind)}")
    return value


def parse_number(text: str) -> float:
    """A number such as ``0.3`` or ``8/255``."""
    try:
        value = _build(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError, UnicodeEncodeError, UnfoolError):
        value = None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        raise SpecError(f"{text!r} is not a number", "write 0.03 or 8/255")
    return float(value)


def _examples(kind: type[Spec]) -> str:
    return suggestion("", catalogue(kind))


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
            given = {str(k.arg): k.value for k in named}
            if len(given) < len(named):
                raise SpecError(f"{ast.unparse(node)!r} gives an option twice")
            return _construct(name, args, given, kind)
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
        raise SpecError(
            f"cannot build {name}: {str(error).removeprefix(f'{name}.__init__() ')}", hint
        ) from None
