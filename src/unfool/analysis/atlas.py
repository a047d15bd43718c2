"""An atlas of a layer: what its activations over many images stand for, cell by cell (Carter et al., 2019)."""

from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.base import Source
from ..errors import InputError
from ..measures.spots import place_of
from ..model import Model
from ..receptive import Field, receptive_fields
from ..runs.atlas import Atlas, Spotted, draw_cells, effects, looks_for
from ..runs.begin import Watch, first_image, unwatched
from ..runs.neighbours import model_names
from ..views import from_uint8
from .cells import (
    PUSH,
    Argued,
    Effect,
    Group,
    argued,
    cells_of,
    groups_of,
    laid_out,
    means_of,
    moves_of,
    ranked,
    shuffled,
    weights_of,
)
from .fields import seen_by
from .layouts import Quality
from .nearest import nearest
from .rates import Rate, rate
from .units import Gallery, Patch

CONTROLS = 8
"""So many cells of shuffled activations are drawn."""
PATCHES = 4
"""So many real patches are shown beside a cell."""


Seen = tuple[tuple[Patch, ...], tuple[tuple[int, ...], ...]]


class Cell(NamedTuple):
    """One cell that is drawn: where it is, row 0 at the top, how many activations it holds, and its picture."""

    name: str
    row: int
    column: int
    n: int
    picture: Tensor
    """[C, *space]"""
    along: float
    """The cosine of what the picture makes the layer give with the cell's mean, both less the layer's mean."""
    home: bool
    """Whether it is the cell's own mean, of all cells', that this is nearest to."""
    patches: tuple[Patch, ...]
    """The real positions nearest to the cell's mean, of one image each, with their cosines."""
    places: tuple[tuple[int, ...], ...]
    """Where in the layer they are."""
    label: tuple[int, float] | None
    """The most frequent label of its activations' images, and their share; None where no image has one."""
    effect: Effect | None


class Charted(NamedTuple):
    """All that is known of an atlas; ``controls`` are cells whose activations were shuffled among all."""

    plan: Atlas
    classes: tuple[str, ...]
    spots: Spotted
    view: Tensor
    """Where each activation lies: [N, 2]."""
    qualities: dict[str, Quality]
    field: Field
    cells: tuple[Cell, ...]
    controls: tuple[Cell, ...]
    argued: Argued | None
    """None where nothing is known of the classes."""
    occupied: int
    """How many cells hold anything."""

    @property
    def home(self) -> Rate:
        """How many pictures come nearest to their own cell."""
        return rate(torch.tensor([one.home for one in self.cells]))


def study(
    plan: Atlas, spots: Spotted, model: Model, source: Source, folder: Path, watch: Watch = unwatched
) -> Charted:
    """The layout, its cells, their pictures and what they do; what is in the folder already as it is there."""
    if not float((spots.vectors - spots.vectors[0]).abs().max()) > 0:
        raise InputError(f"layer {plan.layer!r} gives the same everywhere", "name another with --layer")
    view, qualities = laid_out(plan, spots.vectors, folder)
    cell = cells_of(view, plan.grid)
    own = groups_of(cell, plan.least)
    if not own:
        raise InputError(
            f"no cell of {plan.grid} by {plan.grid} holds {plan.least} activations",
            "a smaller --grid or --least, more images, or a larger --each",
        )
    made, control = _Making(plan, spots, model, source, folder, watch), shuffled(own, len(cell), plan.seed)
    told = made.argued(own, control)
    drawn = [control[k * len(control) // CONTROLS] for k in range(min(CONTROLS, len(control)))]
    cells = made.cells(own, drawn, told)
    n = len(own)
    names, occupied = model_names(model, source), len(cell.unique())
    return Charted(
        plan, names, spots, view, qualities, made.field, tuple(cells[:n]), tuple(cells[n:]), told, occupied
    )


class _Making:
    """Makes cells of groups of activations."""

    def __init__(self, plan: Atlas, spots: Spotted, model: Model, source: Source, folder: Path, watch: Watch):
        self.plan, self.spots, self.model, self.source = plan, spots, model, source
        self.folder, self.watch = folder, watch
        self.middle = spots.vectors.mean(0)
        self.image = first_image(source, spots.ids, model.view, model)[None]
        self.field = self._field()

    def _field(self) -> Field:
        """What each position sees; of a layer without any the whole image."""
        if self.plan.layer in self.model.spatial_layers(self.image):
            image = self.image.to(self.model.device)
            return receptive_fields(self.model, image, [self.plan.layer])[self.plan.layer]
        space = tuple(self.image.shape[2:])
        starts = tuple(torch.zeros(1, dtype=torch.long) for _ in space)
        return Field(starts, tuple(torch.tensor([side]) for side in space), space)

    def argued(self, own: list[Group], control: list[Group]) -> Argued | None:
        """What each cell argues for; None where that is not asked, or where there is one class only."""
        plan, x, spots = self.plan, self.spots.vectors, self.spots
        if not plan.asked or self.model(self.image).shape[1] < 2:
            return None
        n, groups = len(own), [*own, *control]
        ways = means_of(x, groups) - self.middle
        places = weights_of(spots.spot, own, prod(spots.sides)).repeat(2, 1)
        names, far = [one.name for one in groups], PUSH * float((x - self.middle).norm(dim=1).median())

        def moves(some: Sequence[int]) -> Tensor:
            return moves_of(ways[some], places[some], far)

        each = effects(plan, self.model, self.source, spots, names, moves, self.folder, self.watch)
        found, most, bars = argued(each[:n], each[n:])
        y, mean = spots.y[spots.image], each.mean(1)
        a, b = (
            ranked(mean[part], ways[part], x - self.middle, y, PATCHES) for part in (slice(n), slice(n, None))
        )
        largest = [float(part.amax(1).median()) for part in (mean[:n], mean[n:])]
        return Argued(found, most, bars, (largest[0], largest[1]), None if a is None or b is None else (a, b))

    def cells(self, own: list[Group], control: list[Group], told: Argued | None) -> list[Cell]:
        """What is known of cells, and of those of shuffled activations that are drawn."""
        groups = [*own, *control]
        names, ways = [one.name for one in groups], means_of(self.spots.vectors, groups) - self.middle
        looks = looks_for(self.plan, self.model, self.source, self.spots.ids, self._mostly())
        table = draw_cells(self.plan, self.model, looks, names, ways, self.folder, self.watch)
        pictures, got = self._seen(from_uint8(table["x"])), table["landed"] - self.middle
        home = nearest(got, ways[: len(own)], 1, "cosine").which[:, 0].tolist()
        along, grid = F.cosine_similarity(got, ways, dim=1).tolist(), self.plan.grid
        seen = self._patches(ways)
        return [
            Cell(
                one.name,
                grid - 1 - one.number // grid,
                one.number % grid,
                len(one.members),
                pictures[k],
                along[k],
                home[k] == k,
                *seen[k],
                _label(self.spots, one),
                told.effects[k] if told and k < len(own) else None,
            )
            for k, one in enumerate(groups)
        ]

    def _mostly(self) -> list[int]:
        """The side of what holds 95 % of the gradient of the middle position, in one image."""
        if self.field.sides == (1,) * len(self.field.sides):
            return list(self.field.space)
        share = seen_by(self.model, self.image, [self.plan.layer])[0].effective ** (1 / len(self.field.sides))
        return [ceil(share * side) for side in self.field.size]

    def _seen(self, pictures: Tensor) -> Tensor:
        """What of drawn pictures the middle position sees, for which they were drawn: [n, C, *]."""
        x = pictures[:1].to(self.model.device)
        if self.plan.layer not in self.model.spatial_layers(x):
            return pictures
        field = receptive_fields(self.model, x, [self.plan.layer], middle=True)[self.plan.layer]
        return pictures[(..., *field.at([side // 2 for side in field.sides]))]

    def _patches(self, ways: Tensor) -> list[Seen]:
        """The real positions nearest to each direction by their cosine, no two of one image, and where they are."""
        spots, gallery = self.spots, Gallery(self.model, self.source, self.spots.ids)
        most = min(len(spots.vectors), 20 * PATCHES)
        near = nearest(ways, spots.vectors - self.middle, most, "cosine")
        found = list[Seen]()
        for which, apart in zip(near.which.tolist(), near.distance.tolist(), strict=True):
            first: dict[int, tuple[int, float, tuple[int, ...]]] = {}
            for k, d in zip(which, apart, strict=True):
                number = int(spots.image[k])
                first.setdefault(number, (number, 1 - d, place_of(int(spots.spot[k]), self.field.sides)))
            some = list(first.values())[:PATCHES]
            found.append((gallery.seen(self.field, some), tuple(place for _, _, place in some)))
        return found


def _label(spots: Spotted, group: Group) -> tuple[int, float] | None:
    y = spots.y[spots.image[group.members]]
    y = y[y >= 0]
    if not len(y):
        return None
    count = y.bincount()
    return int(count.argmax()), float(count.max() / count.sum())


def for_class(found: Charted, label: int) -> list[Cell]:
    """The cells whose activations raise a class more than shuffled ones do, the strongest first."""
    assert found.argued is not None
    bar = float(found.argued.each[label])
    some = [one for one in found.cells if one.effect and float(one.effect.mean[label]) > bar]
    return sorted(some, key=lambda one: -_on(one, label))


def against_class(found: Charted, label: int, n: int) -> list[Cell]:
    """Those that lower it most, the strongest first."""
    some = [one for one in found.cells if one.effect and _on(one, label) < 0]
    return sorted(some, key=lambda one: _on(one, label))[:n]


def _on(cell: Cell, label: int) -> float:
    return 0.0 if cell.effect is None else float(cell.effect.mean[label])


def named(found: Charted) -> list[str]:
    """The classes that cells argue for more than shuffled ones do, by name."""
    known = (one.effect.best for one in found.cells if one.effect is not None and one.effect.sure)
    return [found.classes[k] if k < len(found.classes) else str(k) for k in known]
