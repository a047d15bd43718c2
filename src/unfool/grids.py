"""How a layer's output lies over the image: channels first, channels last, or a row of tokens."""

import math
from collections.abc import Container, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from torch import Tensor

MOST_PREFIX = 16
"""How many tokens without a place (class, distillation, registers) may stand before the grid."""
SLACK = 1.2
"""How far the sides of a grid may be from the proportions of the image: a factor."""
SPARE = 1
"""How many positions convolutions may add at the edges or leave out there, more in one dimension than in the other."""


class Grid(NamedTuple):
    """A layer's positions: its sides, where its channels are, and how many tokens before the grid have no place."""

    sides: tuple[int, ...]
    last: bool = False
    prefix: int = 0

    def maps(self, t: Tensor) -> Tensor:
        """A layer's output as maps: [B, N, K], [B, *sides, K] or [B, K, *sides] -> [B, K, *sides]."""
        if not self.last:
            return t
        return t[:, self.prefix :].reshape(len(t), *self.sides, t.shape[-1]).movedim(-1, 1)

    def put(self, maps: Tensor, t: Tensor) -> Tensor:
        """A layer's output with other maps in it; tokens without a place stay: the inverse of :meth:`maps`."""
        if not self.last:
            return maps
        if t.ndim == maps.ndim:
            return maps.movedim(1, -1)
        out = t.clone()
        out[:, self.prefix :] = maps.flatten(2).transpose(1, 2)
        return out


def maps_in(trace: Mapping[str, Tensor], layer: str, t: Tensor | None = None) -> Tensor:
    """What a layer gives with its channels first, [B, K, *sides], whichever way it holds them.

    Tokens without a place are left out; what has no grid over the images, "input" of the trace, is as it is. ``t`` is
    another output of the same layer.
    """
    t = trace[layer] if t is None else t
    if layer in ("input", "output") or "input" not in trace:  # these have their channels first by themselves
        return t
    space = tuple(trace["input"].shape[2:])
    grid = grid_of(tuple(t.shape), space)
    return t if grid is None or not _fits(grid, t.ndim, space) else grid.maps(t)


def grids_of(
    shapes: Mapping[str, tuple[int, ...]], space: tuple[int, ...], convolutions: Container[str] = ()
) -> dict[str, Grid]:
    """The grids of all outputs that have one, by name and in order; where ``convolutions`` keep the image's proportions
    to the end, of those alone that keep them too.

    What works across positions gives rows of channels, an attention tables of heads and tokens: they do not lie over
    the image, though their numbers may be those of a grid.
    """
    grids = {name: grid for name, shape in shapes.items() if (grid := grid_of(shape, space))}
    fits = {name: _fits(grid, len(shapes[name]), space) for name, grid in grids.items()}
    last = next((name for name in reversed(grids) if name in convolutions), None)
    if not (any(fits.values()) if last is None else fits[last]):
        return grids
    return {name: grid for name, grid in grids.items() if fits[name]}


def _fits(grid: Grid, dims: int, space: tuple[int, ...]) -> bool:
    """Whether a grid is what patches or steps of one size leave of the image in its last two dimensions."""
    if len(space) == 1:
        return True
    near = list(zip(grid.sides[-2:], space[-2:], strict=True))
    if dims == 3:  # patches of tokens, which may be cut off at the end
        return any(all(a in (b // p, -(-b // p)) for a, b in near) for p in range(1, max(space) + 1))
    fewest = [b / (a + SPARE) for a, b in near]
    return all(a <= SPARE or max(fewest) < b / (a - SPARE) for a, b in near)


def grid_of(shape: tuple[int, ...], space: tuple[int, ...], sides: tuple[int, ...] = ()) -> Grid | None:
    """The grid of an output of that shape over images of ``space``, or None where it has no more than one position.

    ``sides`` says what cannot be told from the numbers.
    """
    shape = tuple(shape)
    if len(shape) == len(space) + 2:
        found = _laid_out(shape, space, sides)
    elif len(shape) == 3 and len(space) > 1:
        found = _tokens(shape[1], space, sides)
    else:
        found = None
    return found if found and math.prod(found.sides) > 1 else None


def _laid_out(shape: tuple[int, ...], space: tuple[int, ...], sides: tuple[int, ...]) -> Grid | None:
    first, last = Grid(shape[2:]), Grid(shape[1:-1], last=True)
    if sides:
        return next((grid for grid in (first, last) if grid.sides == sides), None)
    return last if _misfit(last.sides, space) < _misfit(first.sides, space) else first


def _misfit(sides: tuple[int, ...], space: tuple[int, ...]) -> float:
    """How far sides are from the proportions of the image in its last two dimensions, as a logarithm."""
    if any(a > 2 * b for a, b in zip(sides, space, strict=True)):
        return math.inf
    return abs(math.log(sides[-2] * space[-1] / (sides[-1] * space[-2]))) if len(space) > 1 else 0.0


def _tokens(n: int, space: tuple[int, ...], sides: tuple[int, ...]) -> Grid | None:
    """The grid of ``n`` tokens with the fewest before it; patches that tile the image exactly are preferred."""
    if sides:
        prefix = n - math.prod(sides)
        return Grid(sides, True, prefix) if 0 <= prefix <= MOST_PREFIX else None
    for exact, prefix in product((True, False), range(min(MOST_PREFIX, n) + 1)):
        for found in _factored(n - prefix, space):
            if not exact or _tiles(found, space):
                return Grid(found, True, prefix)
    return None


def _tiles(sides: tuple[int, ...], space: tuple[int, ...]) -> bool:
    """Whether patches of one size in the last two dimensions tile the image."""
    height, width = (b / a for a, b in zip(sides[-2:], space[-2:], strict=True))
    return height == width and height.is_integer()


def _factored(n: int, space: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Sides in the image's proportions, none of them 1, whose product is ``n``; most frames first."""
    if n < 4:
        return
    if len(space) == 3:
        for frames in range(min(space[0], n // 4), 0, -1):
            if n % frames == 0:
                yield from ((frames, *rest) for rest in _factored(n // frames, space[1:]))
        return
    ratio = space[0] / space[1]
    ideal = math.sqrt(n * ratio)
    for rows in sorted(range(2, n // 2 + 1), key=lambda r: abs(math.log(r / ideal)))[:4]:
        if n % rows == 0 and 1 / SLACK < rows / (n // rows) / ratio < SLACK:
            yield rows, n // rows
