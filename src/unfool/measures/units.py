"""What makes each unit of each layer fire, in one pass over a data set: streaming, exact, and joined from shards."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import torch
from torch import Tensor

from ..derivatives import exact
from ..errors import InputError, UnknownName
from ..grids import Grid
from ..model import Model
from ..rows import Batch


class Units(NamedTuple):
    """A layer's units, one entry per channel, over so many ``images``. What one gives a unit is its largest value.

    ``value`` [C, k] holds the largest of those values, largest first and of equal ones the earlier image, -inf where
    there are fewer images than k; ``image`` [C, k] is the number of the image, -1 where there is none; ``place``
    [C, k, dimensions] the position in the layer. ``low``, ``total`` and ``square`` [C] are the least value, the sum and
    the sum of squares; ``live`` [C] counts images above 0. ``by_class`` [C, K] are sums over the images of a class,
    ``of_class`` [K] their numbers. ``drawn`` [n, C] are the values of the images drawn beforehand.
    """

    value: Tensor
    image: Tensor
    place: Tensor
    low: Tensor
    total: Tensor
    square: Tensor
    live: Tensor
    by_class: Tensor
    of_class: Tensor
    drawn: Tensor
    images: Tensor

    @classmethod
    def none(cls, channels: int, keep: int, dims: int, classes: int) -> "Units":
        """Before the first image."""
        at = torch.full((channels, keep), -1)
        none = torch.zeros(channels, dtype=torch.float64)
        return cls(
            value=torch.full((channels, keep), -torch.inf),
            image=at,
            place=at[:, :, None].repeat(1, 1, dims),
            low=torch.full((channels,), torch.inf),
            total=none,
            square=none,
            live=torch.zeros(channels, dtype=torch.long),
            by_class=none[:, None].repeat(1, classes),
            of_class=torch.zeros(classes, dtype=torch.long),
            drawn=torch.zeros(0, channels),
            images=torch.zeros((), dtype=torch.long),
        )

    def joined(self, later: "Units") -> "Units":
        """Both, where the images of ``later`` come after these: the same as of one pass over them all."""
        value, order = torch.cat([self.value, later.value], 1).sort(dim=1, descending=True, stable=True)
        keep = self.value.shape[1]
        order = order[:, :keep]
        return Units(
            value=value[:, :keep],
            image=torch.cat([self.image, later.image], 1).gather(1, order),
            place=torch.cat([self.place, later.place], 1).gather(
                1, order[:, :, None].expand(-1, -1, self.place.shape[2])
            ),
            low=torch.minimum(self.low, later.low),
            total=self.total + later.total,
            square=self.square + later.square,
            live=self.live + later.live,
            by_class=self.by_class + later.by_class,
            of_class=self.of_class + later.of_class,
            drawn=torch.cat([self.drawn, later.drawn]),
            images=self.images + later.images,
        )

    @property
    def mean(self) -> Tensor:
        return self.total / self.images

    @property
    def deviation(self) -> Tensor:
        """The standard deviation of the images' values."""
        return (self.square / self.images - self.mean.square()).clamp_min(0).sqrt()

    @property
    def dead(self) -> Tensor:
        """Units that no image brings above 0: [C] bool."""
        return self.live == 0

    @property
    def profile(self) -> Tensor:
        """The mean value of each class's images, NaN for a class without any: [C, K]."""
        return self.by_class / self.of_class.where(self.of_class > 0, torch.nan)

    def alike(self) -> Tensor:
        """How alike units are: the correlation of their values over the images drawn, 0 of a constant one: [C, C]."""
        apart = (self.drawn - self.drawn.mean(0)).double()
        scale = apart.norm(dim=0)
        apart = apart / scale.where(scale > 0, 1)
        return apart.T @ apart


def unit_layers(model: Model, x: Tensor, wanted: Sequence[str] = ()) -> dict[str, Grid]:
    """Layers with positions by name or pattern ("layer3*"), in the network's order; by default the last of each size
    among the outermost.

    "all" is every one of them.
    """
    grids = model.spatial_layers(x)
    if not grids:
        raise InputError(
            f"{model.name} has no layer with positions, so that there are no patches",
            "unfool inspect neighbours is about whole images",
        )
    if not wanted:
        return _stages(grids)
    for pattern in wanted:
        if pattern != "all" and not any(fnmatchcase(name, pattern) for name in grids):
            _missing(model, pattern, grids)
    return {
        name: grid
        for name, grid in grids.items()
        if any(pattern == "all" or fnmatchcase(name, pattern) for pattern in wanted)
    }


def _stages(grids: Mapping[str, Grid]) -> dict[str, Grid]:
    """The last layer of each size among the outermost: of a residual network a stage, not a part of the next one."""
    depth = dict[tuple[int, ...], int]()
    for name, grid in grids.items():
        depth[grid.sides] = min(name.count("."), depth.get(grid.sides, 99))
    last = {grid.sides: name for name, grid in grids.items() if name.count(".") == depth[grid.sides]}
    return {name: grid for name, grid in grids.items() if last[grid.sides] == name}


def _missing(model: Model, name: str, grids: Mapping[str, Grid]) -> None:
    if name in model.layers:
        raise InputError(
            f"layer {name!r} has no positions, so that there are no patches of it",
            "unfool inspect neighbours is about whole images",
        )
    raise UnknownName("layer", name, grids)


def watched(
    model: Model,
    grids: Mapping[str, Grid],
    batch: Batch,
    numbers: Tensor,
    drawn: Tensor,
    classes: int,
    so_far: Mapping[str, Units],
) -> dict[str, Units]:
    """What one batch adds, in one forward pass that ends with the last layer; ``numbers`` are its images'.

    ``drawn`` says which of its images are kept one by one. What a unit gives is reduced where it is made: of a layer's
    output only one value per image and channel is read, and positions only of what is among the best ``so_far``.
    """
    y = batch.y

    def see(name: str) -> Callable[[Tensor], Units]:
        return lambda out: _added(exact(grids[name].maps(out)), y, numbers, drawn, classes, so_far[name])

    return model.observe(batch.x.to(model.device), {name: see(name) for name in grids})


def _added(maps: Tensor, y: Tensor, numbers: Tensor, drawn: Tensor, classes: int, so_far: Units) -> Units:
    """One batch's own state: maps [B, C, *sides]."""
    cut, lines = _lines(maps)
    values = lines.amax(2)
    keep = so_far.value.shape[1]
    best, row = values.sort(dim=0, descending=True, stable=True)
    best, row = best[:keep].T.contiguous(), row[:keep].T.contiguous()
    new = best > so_far.value[:, -1:].to(best)
    none = Units.none(values.shape[1], keep, maps.ndim - 2, classes)
    at = _places(cut, lines, row, new)
    place = (
        torch.stack(torch.unravel_index(at.clamp_min(0), maps.shape[2:]), -1).where(new[..., None], -1).cpu()
    )
    values, best, row, new = values.cpu(), best.cpu(), row.cpu(), new.cpu()
    here, known = values.double(), (y >= 0).nonzero()[:, 0]
    few = best.shape[1]  # of a batch smaller than k
    none.value[:, :few] = best.where(new, -torch.inf)
    none.image[:, :few] = numbers[row].where(new, -1)
    none.place[:, :few] = place
    return none._replace(
        low=values.amin(0),
        total=here.sum(0),
        square=here.square().sum(0),
        live=(values > 0).sum(0),
        by_class=none.by_class.index_add(1, y[known], here[known].T),
        of_class=y[known].bincount(minlength=classes),
        drawn=values[drawn],
        images=torch.tensor(len(values)),
    )


def _lines(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Maps cut into lines [B, C, lines, positions], and the largest value of each line.

    Where channels lie side by side in memory lines are those along the last axis; else one line is the whole map, which
    is read faster.
    """
    if maps.stride(1) != 1:
        cut = maps.flatten(2)[:, :, None]
        return cut, cut.amax(3)
    cut = maps.flatten(2).unflatten(2, (-1, maps.shape[-1]))
    return cut, cut.movedim(1, -1).amax(2).movedim(
        -1, 1
    )  # so that what is read and written lies in the same order


def _places(cut: Tensor, lines: Tensor, row: Tensor, new: Tensor) -> Tensor:
    """The first position of each channel's largest value in the rows that count, elsewhere -1: [C, k].

    Only the line that holds it is read again.
    """
    out = row.new_full(row.shape, -1)
    channel, rank = new.nonzero(as_tuple=True)
    some = row[channel, rank]
    line = lines[some, channel].argmax(1)
    out[channel, rank] = line * cut.shape[3] + cut[some, channel, line].argmax(1)
    return out
