"""Which part of an image each position of a layer sees, found by making parts of the image NaN and looking for it.

Whatever a network does, NaN goes forward through it: convolutions with any stride, dilation or branches, pooling,
rectifiers, attention. No rule about any kind of layer is needed, and where a layer sees all there is it says so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .errors import InputError
from .grids import Grid
from .model import Model


class Field(NamedTuple):
    """The box that each position of a layer sees. It is a product over the axes: per axis a first row and an end.

    ``starts`` and ``stops`` have a whole number for each place along that axis of the layer, -1 where it was not asked;
    ``space`` is the image's size.
    """

    starts: tuple[Tensor, ...]
    stops: tuple[Tensor, ...]
    space: tuple[int, ...]

    @property
    def sides(self) -> tuple[int, ...]:
        """The layer's size."""
        return tuple(len(starts) for starts in self.starts)

    @property
    def size(self) -> tuple[int, ...]:
        """How large it is at the middle of the layer, where the border cuts off least."""
        return tuple(box.stop - box.start for box in self.at(tuple(side // 2 for side in self.sides)))

    @property
    def whole(self) -> bool:
        """Whether the middle of the layer sees the whole image."""
        return self.size == self.space

    def at(self, place: Sequence[int]) -> tuple[slice, ...]:
        """The box that one position sees, as slices of an image's positions."""
        ends = zip(self.starts, self.stops, place, strict=True)
        return tuple(slice(int(starts[p]), int(stops[p])) for starts, stops, p in ends)

    def inside(self, place: Sequence[int]) -> bool:
        """Whether no border cuts anything off the box at ``place``."""
        box = self.at(place)
        free = all(one.start > 0 and one.stop < side for one, side in zip(box, self.space, strict=True))
        return free and tuple(one.stop - one.start for one in box) == self.size


def receptive_fields(
    model: Model, x: Tensor, layers: Sequence[str], middle: bool = False
) -> dict[str, Field]:
    """The receptive fields of layers for images of the size of ``x`` [1, C, *space].

    By bisection: with ``middle``, of the middle position alone, in about 2 log2(side) images per axis; else of every
    position, in at most 2 images for each row and column of the image, for all layers together.
    """
    model.need("gradients", "a receptive field")
    grids = model.spatial_layers(x)
    if flat := [name for name in layers if name not in grids]:
        model.layer(flat[0])
        raise InputError(
            f"layer {flat[0]!r} has no positions: each of its units sees the whole image", "name another"
        )
    space = tuple(x.shape[2:])
    found = {name: Field((), (), space) for name in layers}
    for axis in range(len(space)):
        ends = _Ends(model, x[:1], {name: grids[name] for name in layers}, axis)
        wanted = {n: [grids[n].sides[axis] // 2] if middle else range(grids[n].sides[axis]) for n in layers}
        starts, stops = ends.bisected(wanted, after=False), ends.bisected(wanted, after=True)
        found = {
            name: Field((*field.starts, starts[name]), (*field.stops, stops[name]), space)
            for name, field in found.items()
        }
    return found


class _Ends:
    """How many rows from one end of the image must be NaN before each position of each layer is."""

    def __init__(self, model: Model, x: Tensor, grids: Mapping[str, Grid], axis: int):
        self.model, self.x, self.grids, self.axis = model, x, grids, axis
        self.side = x.shape[2 + axis]

    def bisected(self, wanted: Mapping[str, Sequence[int]], after: bool) -> dict[str, Tensor]:
        """Where the box of each wanted place of each layer ends: its first row, or with ``after`` the one behind it."""
        seen = {self.side: self._reached([self.side], after)[0]}
        self._all_seen(seen[self.side], wanted)
        low = {name: torch.zeros(len(places), dtype=torch.long) for name, places in wanted.items()}
        high = {name: torch.full((len(places),), self.side) for name, places in wanted.items()}
        while True:
            middle = {name: (low[name] + high[name]) // 2 for name in wanted}
            open_ = {name: high[name] - low[name] > 1 for name in wanted}
            asked = {n for name in wanted for n in middle[name][open_[name]].tolist()}
            if not asked:
                break
            seen |= self._reached_by(sorted(asked - seen.keys()), after)
            for name, places in wanted.items():
                for k in open_[name].nonzero()[:, 0].tolist():
                    end = high if seen[int(middle[name][k])][name][places[k]] else low
                    end[name][k] = middle[name][k]
        return {name: self._laid(high[name], places, name, after) for name, places in wanted.items()}

    def _laid(self, rows: Tensor, places: Sequence[int], name: str, after: bool) -> Tensor:
        out = torch.full((self.grids[name].sides[self.axis],), -1)
        out[list(places)] = self.side - rows + 1 if after else rows - 1
        return out

    def _all_seen(self, reached: Mapping[str, Tensor], wanted: Mapping[str, Sequence[int]]) -> None:
        for name, places in wanted.items():
            if not reached[name][list(places)].all():
                raise InputError(
                    f"NaN in the image does not reach layer {name!r}: what it sees cannot be found in this way",
                    "name a layer before the operation that stops it",
                )

    def _reached_by(self, many: Sequence[int], after: bool) -> dict[int, dict[str, Tensor]]:
        room = self.model.capacity
        parts = [many[k : k + room] for k in range(0, len(many), room)]
        return {n: one for part in parts for n, one in zip(part, self._reached(part, after), strict=True)}

    def _reached(self, many: Sequence[int], after: bool) -> list[dict[str, Tensor]]:
        """Which places along the axis turn NaN when so many rows are, one entry for each of ``many``."""
        x = self.x.repeat(len(many), *[1] * (self.x.ndim - 1))
        for image, n in zip(x, many, strict=True):
            image.narrow(1 + self.axis, self.side - n if after else 0, n).fill_(math.nan)

        def see(name: str) -> Callable[[Tensor], Tensor]:
            others = [d for d in range(1, len(self.grids[name].sides) + 2) if d != 2 + self.axis]
            return lambda out: self.grids[name].maps(out).isnan().any(others).cpu()

        found = self.model.observe(x, {name: see(name) for name in self.grids})
        return [{name: reached[k] for name, reached in found.items()} for k in range(len(many))]
