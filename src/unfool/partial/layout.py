"""What moves, joins or sums up positions and channels."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from .changed import Changed, Function, handles, turned, unified
from .windows import each_of


@handles("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_pool(func: Function, x: Any, output_size: Any) -> Any:
    if not isinstance(x, Changed) or x.last:
        return NotImplemented
    wanted = each_of(output_size, len(x.space))
    if wanted == x.space:
        return x
    return global_mean(x).view(*x.shape[:2], *wanted) if all(n == 1 for n in wanted) else NotImplemented


@handles("mean")
def mean(func: Function, x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    if not isinstance(x, Changed) or dim is None or kwargs:
        return NotImplemented
    spatial = range(1, x.ndim - 1) if x.last else range(2, x.ndim)
    dims = sorted(d % x.ndim for d in ((dim,) if isinstance(dim, int) else dim))
    if dims != [*spatial]:
        return NotImplemented
    found = global_mean(turned(x, last=False))
    if not keepdim:
        return found
    ones = [1] * len(dims)
    return found.view(len(found), *ones, -1) if x.last else found.view(*found.shape, *ones)


def global_mean(x: Changed) -> Tensor:
    """The mean over all positions, from that of the unchanged images: [P, C]."""
    whole = x.base.made("sum", lambda: x.base.value.flatten(2).sum(2)).value
    under = x.base.cut(x.row, x.at, x.window).view(len(x.row), -1, x.crop.shape[1]).sum(1)
    return (whole[x.row] + (x.crop.flatten(2).sum(2) - under)) / prod(x.space)


@handles("cat", "concat")
def concatenate(func: Function, tensors: Sequence[Any], dim: int = 0) -> Any:
    parts = [t for t in tensors if isinstance(t, Changed)]
    axis = parts[0].ndim - 1 if parts[0].last else 1
    if (
        len(parts) != len(tensors)
        or dim % parts[0].ndim != axis
        or any(x.last != parts[0].last for x in parts)
    ):
        return NotImplemented
    if (aligned := unified(parts)) is None:
        return NotImplemented
    key = ("cat", *(id(x.base) for x in parts))
    base = parts[0].base.made(
        key, lambda: torch.cat([x.base.value for x in parts], axis), [x.base for x in parts]
    )
    return aligned[0].like(base, torch.cat([x.crop for x in aligned], axis))


@handles("permute")
def permute(func: Function, x: Any, *dims: Any) -> Any:
    order = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    if isinstance(x, Changed):
        order, n = tuple(d % x.ndim for d in order), x.ndim
        if not x.last and order == (0, *range(2, n), 1):
            return turned(x, last=True)
        if x.last and order == (0, n - 1, *range(1, n - 1)):
            return turned(x, last=False)
    return NotImplemented


@handles("pad")
def pad(
    func: Function, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Any:
    if (
        not isinstance(x, Changed)
        or x.last
        or mode != "constant"
        or len(pad) > 2 * len(x.space)
        or min(pad) < 0
    ):
        return NotImplemented
    base = x.base.made((func, tuple(pad), value), lambda: func(x.base.value, pad, mode, value))
    before = [*pad[::2], *[0] * (len(x.space) - len(pad) // 2)][::-1]
    return Changed(base, x.row, x.at + torch.tensor(before, device=x.at.device), x.crop)


@handles("chunk", "split")
def chunk(func: Function, x: Any, parts: Any, dim: int = 0) -> Any:
    if not isinstance(x, Changed) or x.last or dim % x.ndim != 1:
        return NotImplemented
    crops = func(x.crop, parts, 1)
    pieces = range(len(crops))
    bases = [x.base.made((func, repr(parts), k), lambda k=k: func(x.base.value, parts, 1)[k]) for k in pieces]
    return tuple(x.like(base, crop) for base, crop in zip(bases, crops, strict=True))
