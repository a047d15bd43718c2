"""Letting gradients pass where a function is flat: steps count as straight lines going backward, as themselves forward.

Nothing of it is left when the ``with`` ends.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .rows import column

STEPS = frozenset(["round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside"])
COMPARED = {
    "gt": 1,
    "ge": 1,
    "greater": 1,
    "greater_equal": 1,
    "lt": -1,
    "le": -1,
    "less": -1,
    "less_equal": -1,
}
DIVIDED = frozenset(["floor_divide", "floordiv"])
ARITHMETIC = frozenset(["add", "sub", "mul", "div", "truediv", "true_divide"])
CAST = frozenset(
    [
        "to",
        "type",
        "type_as",
        "float",
        "double",
        "half",
        "bfloat16",
        "int",
        "long",
        "short",
        "char",
        "byte",
        "bool",
    ]
)

SOUGHT = (
    "round, floor, ceil, trunc, sign, heaviside, //, casts to whole numbers and comparisons cast to floats"
)


class Straightened(TorchFunctionMode):
    """Every step of a forward pass with the gradient of the line it follows; ``met`` counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.met = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        bare, lead = name.strip("_"), args[0] if args else kwargs.get("input")
        if bare in STEPS and rises(lead):
            line = lead.clone() if name.endswith("_") else lead  # in place it is about to change
            return self.passed(func(*args, **kwargs), line, name.endswith("_"))
        out = func(*args, **kwargs)
        if (bare in DIVIDED or kwargs.get("rounding_mode")) and any(map(rises, args)):
            return self.passed(out, torch.true_divide(*args[:2]))
        if bare in COMPARED and len(args) > 1 and any(map(rises, args)):
            out.line = COMPARED[bare] * (args[0] - args[1])
        elif bare in CAST and isinstance(out, Tensor) and isinstance(lead, Tensor):
            return self.cast(out, lead)
        elif (
            bare in ARITHMETIC and name != f"{bare}_" and hasattr(lead, "line") and not any(map(rises, args))
        ):
            return self.kept(out, func(lead.line, *args[1:], **kwargs))
        elif bare == "where" and len(args) == 3 and hasattr(lead, "line") and not any(map(rises, args[1:])):
            return self.passed(out, (args[1] - args[2]) * lead.line)
        return out

    def cast(self, out: Tensor, given: Tensor) -> Tensor:
        line = getattr(given, "line", given if rises(given) else None)
        same = out.is_floating_point() and given.is_floating_point()
        return out if line is None or same or out is given else self.kept(out, line)

    def kept(self, out: Tensor, line: Tensor) -> Tensor:
        """Whole numbers carry no gradient: their line goes beside them until they are floats again."""
        if out.is_floating_point():
            return self.passed(out, line.to(out.dtype))
        out.line = line  # pyright: ignore[reportAttributeAccessIssue]
        return out

    def passed(self, out: Tensor, line: Tensor, in_place: bool = False) -> Tensor:
        self.met += 1
        zero = line - line.detach()  # nothing but a gradient
        return out.add_(zero) if in_place else out.detach() + zero


SHUT = frozenset(["relu", "relu6", "hardtanh", "threshold", "clamp", "clamp_min", "hardswish", "hardsigmoid"])


class Opened(TorchFunctionMode):
    """Rectifiers that let every gradient through, so that there is a way up where they are all shut."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        lead = args[0] if args else kwargs.get("input")
        if name.strip("_") not in SHUT or not rises(lead):
            return func(*args, **kwargs)
        line = lead.clone()  # in place it is about to change
        out = func(*args, **kwargs)
        return out.detach() + (line - line.detach())


def rises(t: Any) -> bool:
    return isinstance(t, Tensor) and t.requires_grad


def identity(module: nn.Module, args: Any, out: Any) -> Any:
    """A hook by which a module's gradient is that of doing nothing, where its output is shaped like its input."""
    (given, *_) = args
    if not isinstance(out, Tensor) or out.shape != given.shape:
        return None
    return out.detach() + (given - given.detach())


@contextmanager
def straightened() -> Generator[Straightened]:
    with Straightened() as mode:
        yield mode


class Rounded(TorchFunctionMode):
    """Every rectifier with the slope of a softened one, so that slopes have slopes: forward it is itself.

    How soft follows how large each row's inputs are: ``sharpness`` over their mean size.
    """

    def __init__(self, sharpness: float):
        super().__init__()
        self.sharpness = sharpness

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        x = args[0] if args else kwargs.get("input")
        if name not in ("relu", "relu_") or not rises(x):
            return func(*args, **kwargs)
        in_place = name == "relu_" or kwargs.get("inplace", args[1:2] == (True,))
        return x.copy_(self.soft(x.clone())) if in_place else self.soft(x)

    def soft(self, x: Tensor) -> Tensor:
        size = column(x.detach().abs().flatten(1).mean(1).clamp_min(1e-12), x)
        soft = F.softplus(x * (self.sharpness / size)) * (size / self.sharpness)
        return soft + (x.detach().clamp_min(0) - soft.detach())


@contextmanager
def rounded(sharpness: float = 10.0) -> Generator[None]:
    """Rectifiers have slopes that change smoothly meanwhile (Dombrowski et al., 2019)."""
    with Rounded(sharpness):
        yield
