"""Images that differ from others in one window each: a network recomputes only what the window changes.

A :class:`Changed` stands for a batch of images. Where an operation looks at a neighbourhood, its result is recomputed
on the positions that see the window; everything else is taken from the unchanged images, which run once. What is not
known here, or changes nearly everywhere, goes on as a plain tensor. The result is the plain network's, to rounding.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 0.75
"""The share of the positions above which all are computed."""

Function = Callable[..., Any]
HANDLERS: dict[Any, Function] = {}
"""What is known to act on changed images, by the function or method of torch's."""
METADATA = {
    *(
        getattr(Tensor, name).__get__
        for name in ("shape", "dtype", "device", "ndim", "layout", "requires_grad")
    ),
    *(
        getattr(Tensor, name).__get__
        for name in ("is_cuda", "is_sparse", "is_quantized", "is_mkldnn", "grad_fn")
    ),
    *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point, Tensor.__len__, Tensor.is_complex),
    *(torch.is_floating_point, torch.numel, Tensor.ndimension, Tensor.get_device),
}


def handles(*names: str) -> Callable[[Function], Function]:
    """The decorated function acts for all of torch's functions and methods of those names.

    It is given the one it acts for, then its arguments, and gives NotImplemented where a plain tensor has to.
    """

    def known(how: Function) -> Function:
        places = (torch, Tensor, F)
        HANDLERS.update(
            {getattr(place, name): how for name in names for place in places if hasattr(place, name)}
        )
        return how

    return known


class Base:
    """A tensor of the unchanged images [B, C, *space], and what has been made of it before."""

    def __init__(self, value: Tensor):
        self.value = value
        self._made: dict[Any, tuple[Any, Base]] = {}
        self._tables: dict[float, Tensor] = {}

    def made(self, key: Any, make: Callable[[], Tensor], keep: Any = None) -> "Base":
        """The result of an operation, from memory where it has been made; ``keep`` lives as long as its key."""
        if key not in self._made:
            self._made[key] = keep, Base(make())
        return self._made[key][1]

    def table(self, blank: float) -> Tensor:
        """The channels of every position, and last a row of ``blank``: [B * positions + 1, C]."""
        if blank not in self._tables:
            rows = self.value.movedim(1, -1).flatten(0, -2)
            self._tables[blank] = torch.cat([rows, rows.new_full((1, rows.shape[1]), blank)])
        return self._tables[blank]

    def cut(self, row: Tensor, start: Tensor, size: Sequence[int], blank: float = 0.0) -> Tensor:
        """Windows of ``size`` from ``start`` [P, dims] on of rows ``row``, position by position: [P * size, C]."""
        table, space = self.table(blank), self.value.shape[2:]
        flat, inside = _places(start, size, space)
        flat = flat + (row * prod(space)).view(-1, *[1] * len(size))
        return table.index_select(0, torch.where(inside, flat, len(table) - 1).flatten())

    def windows(self, row: Tensor, start: Tensor, size: Sequence[int]) -> Tensor:
        """The same as images: [P, C, *size]."""
        return self.cut(row, start, size).view(len(row), *size, -1).movedim(-1, 1)


class Changed(Tensor):
    """Images like ``base``'s rows ``row`` [P] but for a window each: ``crop`` [P, C, *window] at ``at`` [P, dims].

    All windows are of one size and lie inside. With ``last`` both have their channels last.
    """

    base: Base
    row: Tensor
    at: Tensor
    crop: Tensor
    last: bool

    @staticmethod
    def __new__(cls: Any, base: Base, row: Tensor, at: Tensor, crop: Tensor, last: bool = False) -> "Changed":
        shape = (len(row), *base.value.shape[1:])
        made = Tensor._make_wrapper_subclass(cls, shape, dtype=crop.dtype, device=crop.device)  # pyright: ignore
        made.base, made.row, made.at, made.crop, made.last = base, row, at, crop, last
        return made

    @property
    def space(self) -> tuple[int, ...]:
        return tuple(self.base.value.shape[1:-1] if self.last else self.base.value.shape[2:])

    @property
    def window(self) -> tuple[int, ...]:
        return tuple(self.crop.shape[1:-1] if self.last else self.crop.shape[2:])

    def like(self, base: Base, crop: Tensor, last: bool | None = None) -> "Changed":
        return Changed(base, self.row, self.at, crop, self.last if last is None else last)

    def mapped(self, f: Callable[[Tensor], Tensor]) -> "Changed":
        """The same after ``f``, which treats every position alike."""
        return self.like(self.base.made(("mapped", id(f)), lambda: f(self.base.value), f), f(self.crop))

    def become(self, other: "Changed") -> "Changed":
        """Hold what another holds, as after work in place."""
        self.base, self.at, self.crop = other.base, other.at, other.crop
        return self

    def dense(self) -> Tensor:
        """All of it, as a plain tensor."""
        whole = self.base.value.index_select(0, self.row)
        if not self.last and laid_out_last(self.base.value):
            whole = whole.contiguous(memory_format=torch.channels_last)
        out = whole.movedim(-1, 1) if self.last else whole
        crop = self.crop.movedim(-1, 1) if self.last else self.crop
        for k, corner in enumerate(self.at.tolist()):
            inside = tuple(slice(a, a + w) for a, w in zip(corner, self.window, strict=True))
            out[(k, slice(None), *inside)] = crop[k]
        return out.movedim(1, -1) if self.last else out

    def seen(self, start: Tensor, size: Sequence[int], blank: float = 0.0) -> Tensor:
        """Windows of ``size`` from ``start`` [P, dims] on, ``blank`` outside the image: [P, C, *size]."""
        rows = self.base.cut(self.row, start, size, blank)
        self._paste(rows, start, size)
        return rows.view(len(start), *size, -1).movedim(-1, 1)

    def _paste(self, rows: Tensor, start: Tensor, size: Sequence[int]) -> None:
        """Write the windows' own values into rows [P * size, C]."""
        flat, inside = _places(self.at - start, self.window, size)
        flat = flat + (torch.arange(len(start), device=start.device) * prod(size)).view(-1, *[1] * len(size))
        values = self.crop.movedim(1, -1).reshape(-1, self.crop.shape[1])
        inside = inside.expand(flat.shape).flatten()
        if inside.all():
            rows.index_copy_(0, flat.flatten(), values)
        else:
            rows.index_copy_(0, flat.flatten()[inside], values[inside])

    def widened(self, start: Tensor, size: Sequence[int]) -> "Changed":
        """The same with larger windows."""
        if tuple(size) == self.window and torch.equal(start, self.at):
            return self
        crop = turned(self, last=False).seen(start, size)
        return Changed(self.base, self.row, start, crop.movedim(1, -1) if self.last else crop, self.last)

    @classmethod
    def __torch_function__(
        cls, func: Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        how = HANDLERS.get(func)
        if func in METADATA:
            return super().__torch_function__(func, types, args, kwargs)  # pyright: ignore
        with torch._C.DisableTorchFunctionSubclass():  # pyright: ignore[reportPrivateUsage]
            found = NotImplemented if how is None else how(func, *args, **kwargs)
            return found if found is not NotImplemented else func(*plain(args), **plain(kwargs))

    @classmethod
    def __torch_dispatch__(
        cls, func: Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*plain(args), **plain(kwargs or {}))


def laid_out_last(t: Tensor) -> bool:
    """Whether a tensor of images has its channels last in memory."""
    return t.ndim == 4 and t.is_contiguous(memory_format=torch.channels_last)


def _places(start: Tensor, size: Sequence[int], space: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Flat positions in ``space`` of windows of ``size`` from ``start`` [P, dims] on, and which lie inside it."""
    flat, inside = torch.zeros(1, dtype=torch.long, device=start.device), None
    for d, (n, side) in enumerate(zip(size, space, strict=True)):
        line = start[:, d, None] + torch.arange(n, device=start.device)
        line = line.view(len(start), *[1] * d, n, *[1] * (len(size) - d - 1))
        here = (line >= 0) & (line < side)
        flat, inside = flat * side + line, here if inside is None else inside & here
    assert inside is not None
    return flat, inside


def turned(x: Changed, last: bool) -> Changed:
    """The same with its channels last, or not."""
    if x.last == last:
        return x
    way = (1, -1) if last else (-1, 1)
    base = x.base.made(("turned", last), lambda: x.base.value.movedim(*way))
    return x.like(base, x.crop.movedim(*way), last)


def plain(value: Any) -> Any:
    """Whatever is changed in it as plain tensors."""
    if isinstance(value, Changed):
        return value.dense()
    if isinstance(value, (list, tuple)):
        return type(value)(plain(part) for part in cast(Sequence[Any], value))
    if isinstance(value, dict):
        return {key: plain(part) for key, part in cast(dict[Any, Any], value).items()}
    return value


def unified(parts: Sequence[Changed]) -> Sequence[Changed] | None:
    """The same with one window for all, the smallest that holds all of theirs; None where that is nearly everything."""
    ends = [x.at + torch.tensor(x.window, device=x.at.device) for x in parts]
    start = torch.stack([x.at for x in parts]).amin(0)
    size = (torch.stack(ends).amax(0) - start).amax(0)
    if size.prod() >= MOST * prod(parts[0].space):
        return None
    space = torch.tensor(parts[0].space, device=start.device)
    start = torch.minimum(start, space - size)
    return [x.widened(start, size.tolist()) for x in parts]
