"""Options as a form needs them."""

import inspect
from collections.abc import Callable, Mapping
from inspect import cleandoc
from typing import Any

from ..spec import Option, Spec, catalogue, options


def forms(kind: type[Spec], where: Callable[[Any], bool] = lambda cls: True) -> list[dict[str, Any]]:
    """Every method of a family, with what can be set on it."""
    return [form(name, cls) for name, cls in catalogue(kind).items() if where(cls)]


def form(name: str, cls: type[Spec]) -> dict[str, Any]:
    """A method's name, its first sentence, all that is said of it, and its fields."""
    told = cleandoc(cls.__doc__ or "")
    return {
        "name": name,
        "short": " ".join(told.split("\n\n")[0].split()),
        "doc": told,
        "fields": [field(option) for option in options(cls)],
    }


def field(option: Option) -> dict[str, Any]:
    """One option: what its input is, and the Python text of its default."""
    bound = option.bound
    high = None if bound is None or bound.high == float("inf") else bound.high
    return {
        "name": option.name,
        "kind": kind_of(option),
        "family": _family(option),
        "default": None if option.required else repr(option.default),
        "choices": [repr(choice) for choice in option.choices],
        "low": None if bound is None else bound.low,
        "high": high,
        "help": option.help,
    }


def kind_of(option: Option) -> str:
    """What stands in for an option in a form; whatever has no input of its own is a line of Python."""
    if option.name == "layer" and option.type is str:
        return "layer"
    if option.many != "no" or option.optional:
        return "python"
    if option.choices:
        return "choice"
    return {bool: "flag", int: "whole", float: "number"}.get(option.type, "python")


def _family(option: Option) -> list[str]:
    """What the text may begin with, where it is a spec's."""
    if not inspect.isclass(option.type) or not issubclass(option.type, Spec):
        return []
    found: Mapping[str, type[Spec]] = catalogue(option.type)
    return [f"{name}()" for name, cls in found.items() if not any(o.required for o in options(cls))]
