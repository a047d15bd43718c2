"""What looks at a neighbourhood: convolutions and pooling. Only outputs that see the window are computed."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from .changed import MOST, Base, Changed, Function, handles


def each_of(n: int | Sequence[int], dims: int) -> tuple[int, ...]:
    return (n,) * dims if isinstance(n, int) else tuple(n) if len(n) == dims else tuple(n) * dims


@handles("conv1d", "conv2d", "conv3d")
def convolve(
    func: Function,
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    if not isinstance(x, Changed) or x.last:
        return NotImplemented
    kernel, dims = tuple(weight.shape[2:]), len(x.space)
    step, spread = each_of(stride, dims), each_of(dilation, dims)
    if isinstance(padding, str):
        reach = [d * (k - 1) for k, d in zip(kernel, spread, strict=True)]
        if padding == "same" and any(r % 2 for r in reach):
            return NotImplemented
        padding = [r // 2 for r in reach] if padding == "same" else 0
    pad, key = each_of(padding, dims), (func, id(weight), id(bias), repr((stride, padding, dilation, groups)))
    base = x.base.made(
        key, lambda: func(x.base.value, weight, bias, step, pad, spread, groups), (weight, bias)
    )
    return neighbourhood(
        x, base, kernel, step, pad, spread, 0.0, lambda t: func(t, weight, bias, step, 0, spread, groups)
    )


def neighbourhood(
    x: Changed,
    base: Base,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    blank: float,
    f: Callable[[Tensor], Tensor],
) -> Any:
    """``f`` of what the outputs see that see the window."""
    space, start, size, at, length = base.value.shape[2:], [], [], [], []
    for d, (k, s, p, r) in enumerate(zip(kernel, stride, padding, dilation, strict=True)):
        far = r * (k - 1)
        n = min(space[d], (x.window[d] - 1 + far) // s + 1)
        first = -((far - p - x.at[:, d]) // s)
        first = first.clamp(0, space[d] - n)
        at.append(first)
        size.append(n)
        start.append(first * s - p)
        length.append((n - 1) * s + far + 1)
    if prod(size) >= MOST * prod(space):
        return NotImplemented
    alone = all(v == 1 for v in (*kernel, *stride)) and not any(padding)
    seen = x.crop if alone else x.seen(torch.stack(start, 1), length, blank)
    return Changed(base, x.row, torch.stack(at, 1), f(seen))


@handles("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(
    func: Function,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if not isinstance(x, Changed) or x.last or return_indices:
        return NotImplemented
    dims = len(x.space)
    kernel, pad, spread = (each_of(v, dims) for v in (kernel_size, padding, dilation))
    step = each_of(stride, dims) if stride else kernel
    base = x.base.made(
        (func, kernel, step, pad, spread, ceil_mode),
        lambda: func(x.base.value, kernel, step, pad, spread, ceil_mode),
    )
    low = torch.finfo(x.dtype).min
    return neighbourhood(x, base, kernel, step, pad, spread, low, lambda t: func(t, kernel, step, 0, spread))


@handles("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(
    func: Function,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    if not isinstance(x, Changed) or x.last or ceil_mode or divisor_override:
        return NotImplemented
    dims = len(x.space)
    kernel, pad = each_of(kernel_size, dims), each_of(padding, dims)
    step = each_of(stride, dims) if stride else kernel
    if any(pad) and not count_include_pad:
        return NotImplemented
    base = x.base.made((func, kernel, step, pad), lambda: func(x.base.value, kernel, step, pad))
    return neighbourhood(x, base, kernel, step, pad, (1,) * dims, 0.0, lambda t: func(t, kernel, step, 0))
