"""Which function calls are activations, whatever form they come in: module, function, method or in place."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..derivatives import gradient_of
from ..errors import InputError
from ..model import Model

SMOOTH = {
    "celu": "CELU",
    "elu": "ELU",
    "gelu": "GELU",
    "hardswish": "Hardswish",
    "leaky_relu": "LeakyReLU",
    "mish": "Mish",
    "prelu": "PReLU",
    "rrelu": "LeakyReLU",
    "selu": "SELU",
    "silu": "SiLU",
    "softplus": "Softplus",
}
"""Activations that are not cut off at zero, by function."""
CLAMPS = {"clamp", "clamp_min", "clip", "hardtanh", "threshold"}
IN_PLACE = {"__iadd__", "__imul__", "__isub__", "__itruediv__"}


class Called(NamedTuple):
    """One call of a function while a network runs."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    named: Mapping[str, Any]

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", "").strip("_")

    @property
    def lead(self) -> Any:
        """What it is called with first."""
        return self.args[0] if self.args else self.named.get("input")

    @property
    def in_place(self) -> bool:
        name = getattr(self.function, "__name__", "")
        return (
            bool(self.named.get("inplace")) or name in IN_PLACE or (name.endswith("_") and name[:2] != "__")
        )

    def number(self, place: int, *names: str, default: Any = None) -> Any:
        """An argument by its place or any of its names."""
        if len(self.args) > place:
            return self.args[place]
        return next((self.named[name] for name in names if name in self.named), default)

    @property
    def ceiling(self) -> float:
        """Where a clamped activation ends."""
        return 6.0 if self.name == "relu6" else self.number(2, "max", "max_val")

    def __call__(self) -> Any:
        return self.function(*self.args, **self.named)

    def of(self, lead: Tensor) -> Tensor:
        """The same of another tensor, which stays as it is."""
        named = {name: value for name, value in self.named.items() if name != "input"}
        return self.function(lead.clone() if self.in_place else lead, *self.args[1:], **named)


def followed(t: Any) -> bool:
    """Whether a gradient passes here."""
    return isinstance(t, Tensor) and t.requires_grad and torch.is_grad_enabled()


def activation_of(called: Called) -> str | None:
    """What kind of activation a call is: "ReLU" and "ReLU6" are zero below zero, "GELU" and such are not."""
    name = called.name
    if name in ("relu", "relu6"):
        return {"relu": "ReLU", "relu6": "ReLU6"}[name]
    if name in SMOOTH:
        return SMOOTH[name]
    return _clamped(called) if name in CLAMPS else None


def _clamped(called: Called) -> str | None:
    if called.name == "threshold":
        flat = called.number(1, "threshold") == called.number(2, "value") == 0
        return "ReLU" if flat else None
    low = called.number(1, "min", "min_val")
    high = None if called.name == "clamp_min" else called.number(2, "max", "max_val")
    if isinstance(low, Tensor) or isinstance(high, Tensor) or low != 0:
        return None
    return "ReLU" if high is None else "ReLU6"


class _Passing(torch.autograd.Function):
    """An activation whose way back is ``back(gradient, slope)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, called: Called, kind: str, back: Callable[..., Tensor]) -> Tensor:
        slope = gradient_of(called.of, x) if called.name in SMOOTH else x > 0
        made = called()
        if kind == "ReLU6":
            slope &= made < made.new_tensor(called.ceiling)
        ctx.save_for_backward(slope)
        ctx.back = back
        if called.in_place:
            ctx.mark_dirty(x)
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.back(grads[0], *ctx.saved_tensors), None, None, None


def passing(called: Called, kind: str, back: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """An activation with a way back of its own.

    ``back`` is given what arrives and the activation's own slope, of a ReLU where it is one.
    """
    return _Passing.apply(called.lead, called, kind, back)  # pyright: ignore[reportReturnType]


def put_back(called: Called, made: Tensor) -> Tensor:
    """A result in the place where the network expects it."""
    return called.lead.copy_(made) if called.in_place else made


def reachable(model: Model, who: str) -> None:
    """Raise where the network's parts run out of sight."""
    for name, module in model.net.named_modules():
        scripted = isinstance(module, torch.jit.ScriptModule)
        if scripted or _compiled(module):
            raise InputError(
                f"{who} does not reach into {name or 'the network'}, which is {'scripted' if scripted else 'compiled'}",
                "give it the network as it was before torch.jit or torch.compile",
            )


def _compiled(module: nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
