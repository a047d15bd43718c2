"""What treats every position alike: arithmetic, activations, norms with known statistics."""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from .changed import HANDLERS, Changed, Function, handles, unified

SMALL = 4096
"""Numbers in a tensor up to which it is known by what it says: those made anew for every pass are the same then."""


def key_of(value: Any) -> Any:
    """What tells two arguments apart: bases and weights by who they are, all else by what they say."""
    if isinstance(value, Changed):
        return id(value.base)
    if not isinstance(value, Tensor):
        return repr(value)
    if value.numel() > SMALL:
        return id(value)
    return tuple(value.shape), value.dtype, tuple(value.detach().flatten().tolist())


def positionwise(func: Function, *args: Any, **kwargs: Any) -> Any:
    """What treats every position alike, of one or more changed tensors."""
    parts = [a for a in args if isinstance(a, Changed)]
    aligned = unified(parts)
    if aligned is None or any(x.last != parts[0].last for x in parts) or not isinstance(args[0], Tensor):
        return NotImplemented
    own = {id(x): y for x, y in zip(parts, aligned, strict=True)}
    place = works_in_place(func, args, kwargs)

    def on(get: Callable[[Changed], Tensor]) -> Tensor:
        return func(*(get(own[id(a)]) if isinstance(a, Changed) else a for a in args), **kwargs)

    key = (func, *map(key_of, args), *((name, key_of(value)) for name, value in kwargs.items()))
    kept = [*args, *kwargs.values(), *(x.base for x in parts)]
    base = parts[0].base.made(
        key, lambda: on(lambda x: x.base.value.clone() if place else x.base.value), kept
    )
    made = aligned[0].like(base, on(lambda x: x.crop.clone() if place else x.crop))
    return args[0].become(made) if place and isinstance(args[0], Changed) else made


def works_in_place(func: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    name = func.__name__
    dunder = name.startswith("__i") and name.endswith("__")
    return (
        dunder
        or (name.endswith("_") and not name.endswith("__"))
        or any(a is True for a in (*args, *kwargs.values()))
    )


UNARY = """
relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu silu gelu mish hardswish hardsigmoid hardtanh hardtanh_ sigmoid
sigmoid_ tanh tanh_ softplus clamp clamp_ clamp_min clamp_min_ abs neg __neg__ exp sqrt square pow clone float double
half bfloat16
"""
BINARY = """
add add_ sub sub_ mul mul_ div div_ rsub addcmul maximum minimum true_divide __add__ __radd__ __iadd__ __sub__
__rsub__ __isub__ __mul__ __rmul__ __imul__ __truediv__ __itruediv__
"""


@handles(*UNARY.split(), *BINARY.split())
def broadcast(func: Function, *args: Any, **kwargs: Any) -> Any:
    """Arithmetic with numbers, with one value per channel, or of tensors that changed."""
    x = next(a for a in args if isinstance(a, Changed))
    others = [a for a in args if isinstance(a, Tensor) and not isinstance(a, Changed)]
    if not all(_per_channel(t, x) for t in others):
        return NotImplemented
    return positionwise(func, *args, **kwargs)


def _per_channel(t: Tensor, x: Changed) -> bool:
    """Whether a tensor has at most one value per channel of ``x``."""
    if t.numel() == 1:
        return True
    shape = (1,) * (x.ndim - t.ndim) + tuple(t.shape)
    axis = x.ndim - 1 if x.last else 1
    return len(shape) == x.ndim and all(n == 1 for d, n in enumerate(shape) if d != axis)


@handles("linear", "layer_norm")
def channels_last(func: Function, x: Any, *args: Any, **kwargs: Any) -> Any:
    """What works on the last axis: position by position where that is the channels."""
    fits = isinstance(x, Changed) and x.last
    if not fits or (func is F.layer_norm and len(args[0]) != 1):
        return NotImplemented
    return positionwise(func, x, *args, **kwargs)


def batch_norm(
    func: Function,
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if not isinstance(x, Changed) or x.last or training:
        return NotImplemented
    return positionwise(func, x, running_mean, running_var, weight, bias, False, momentum, eps)


@handles("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "contiguous", "detach")
def untouched(func: Function, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Dropout in evaluation mode, and what changes the layout only."""
    training = kwargs.get("training", next((a for a in args if isinstance(a, bool)), False))
    return NotImplemented if training else x


@handles("to")
def cast_to(func: Function, x: Any, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(x, Changed):
        return NotImplemented
    crop = x.crop.to(*args, **kwargs)
    if crop.dtype == x.crop.dtype and crop.device == x.crop.device:
        return x
    return positionwise(func, x, *args, **kwargs) if crop.device == x.crop.device else NotImplemented


HANDLERS[F.batch_norm] = batch_norm  # torch.batch_norm takes its arguments in another order
