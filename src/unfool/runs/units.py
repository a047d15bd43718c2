"""A run that looks once at every image of a data set and keeps what makes each unit of each layer fire."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ..data.base import Source
from ..errors import DataError, InputError
from ..grids import Grid
from ..measures.units import Units, unit_layers, watched
from ..method import Columns
from ..model import Model
from ..rows import stable_number
from ..spec import Count, Natural, Spec, call_text
from ..synthesis.base import Synthesis
from ..synthesis.looks import Looks
from ..targets import Neuron
from ..views import to_uint8
from .begin import Watch, at_once, chosen, claim, first_image, unwatched
from .parts import Part, read_part
from .table import Table, read_table
from .work import atomically, work


class Looking(Spec):
    """Whose units are watched over which data."""

    model: str
    data: str
    layers: tuple[str, ...] = ()
    """Names or patterns, or "all"; by default the last layer of each size."""
    keep: Count = 9
    """How many images of each unit are kept."""
    drawn: Count = 512
    """For so many images, drawn by the seed, each value is kept: the histograms and which units are alike."""
    limit: Count | None = None
    """How many images at most, drawn by the seed; None takes all."""
    chunk: Count = 1024
    """How many images a part holds; results do not depend on it but for rounding."""
    seed: Natural = 0

    def ids(self, source: Source) -> tuple[str, ...]:
        """The samples looked at, in the order of the data: that order breaks ties."""
        some = {*chosen(source.ids(), self.limit, self.seed)}
        found = tuple(i for i in source.ids() if i in some)
        if len(found) < self.keep:
            raise InputError(
                f"there are {len(found)} images, fewer than the {self.keep} to keep of each unit",
                f"keep {len(found)} or fewer",
            )
        return found


def run_units(
    plan: Looking, model: Model, source: Source, folder: Path, watch: Watch = unwatched
) -> tuple[dict[str, Units], dict[str, str]]:
    """Every layer's units, and what could not be read; stopped at any moment, it goes on from there to the same."""
    claim(folder, repr(plan), model)
    ids = plan.ids(source)
    image = first_image(source, ids, model.view, model)
    pass_ = _Pass(plan, model, source, ids, image)
    with watch("one look at every image", len(ids)) as progress:
        work(repr(plan), folder / "parts" / "units", ids, pass_, chunk=plan.chunk, progress=progress)
    found, errors = pass_.nothing(), dict[str, str]()
    for part in sorted((folder / "parts" / "units").glob("part-*.safetensors")):
        columns, note = read_part(part)
        found = {name: units.joined(_units(name, columns)) for name, units in found.items()}
        errors |= note["errors"]
    if not any(int(units.images) for units in found.values()):
        raise DataError("no image could be read", next(iter(errors.values()), ""))
    return found, errors


def draw_units(
    plan: Looking,
    model: Model,
    layer: str,
    channels: Sequence[int],
    method: Synthesis,
    looks: Looks,
    folder: Path,
    watch: Watch = unwatched,
) -> Table:
    """The picture that each channel likes best at the middle of a layer; drawn ones are not drawn again."""

    def rows(some: Sequence[str]) -> Part:
        y = [int(c) for c in some]
        made = method(model, y, start=looks, objective=Neuron(layer), seed=plan.seed)
        told = {"value": made.score_saved, "label": made.label, "confidence": made.confidence_saved}
        return Part({"x": to_uint8(made.x), **told}, {}, {})

    recipe = call_text("Drawn", [repr(plan), repr(method), repr(layer), repr(tuple(channels))])
    place = folder / "parts" / "drawn" / f"{stable_number(recipe):016x}"
    with watch(f"drawn: {layer}", len(channels)) as progress:
        work(recipe, place, [str(c) for c in channels], rows, chunk=64, progress=progress)
    return read_table(place)


def write_units(found: dict[str, Units], ids: Sequence[str], path: Path) -> None:
    """What is known of every unit as one table: a row per unit."""
    rows = [
        {
            "layer": name,
            "channel": c,
            "mean": float(units.mean[c]),
            "deviation": float(units.deviation[c]),
            "least": float(units.low[c]),
            "fires_for": int(units.live[c]),
            "images": int(units.images),
            "strongest": units.value[c].tolist(),
            "ids": [ids[k] if k >= 0 else None for k in units.image[c].tolist()],
            "places": units.place[c].tolist(),
        }
        for name, units in found.items()
        for c in range(len(units.low))
    ]
    atomically(path, lambda draft: pq.write_table(pa.Table.from_pylist(rows), draft))


class _Pass:
    """One pass over a data set: the units of a chunk of its samples."""

    def __init__(self, plan: Looking, model: Model, source: Source, ids: Sequence[str], image: Tensor):
        self.plan, self.model, self.source = plan, model, source
        self.grids: dict[str, Grid] = unit_layers(model, image[None], plan.layers)
        self.number = {i: k for k, i in enumerate(ids)}
        self.drawn = {*chosen(ids, plan.drawn, plan.seed)}
        self.classes = len(model.classes or source.label_names())
        self.channels = _channels(model, image[None], self.grids)
        self.room = at_once(image)

    def nothing(self) -> dict[str, Units]:
        dims = {name: len(grid.sides) for name, grid in self.grids.items()}
        return {
            name: Units.none(self.channels[name], self.plan.keep, dims[name], self.classes)
            for name in self.grids
        }

    def __call__(self, ids: Sequence[str]) -> Part:
        found, errors = self.nothing(), dict[str, str]()
        for k in range(0, len(ids), self.room):
            batch = self.source.batch(ids[k : k + self.room], self.model.view, self.model.classes)
            errors |= batch.errors
            readable = batch.readable()
            if len(readable):
                numbers = torch.tensor([self.number[i] for i in readable.ids])
                drawn = torch.tensor([i in self.drawn for i in readable.ids])
                new = watched(self.model, self.grids, readable, numbers, drawn, self.classes, found)
                found = {name: units.joined(new[name]) for name, units in found.items()}
        columns = {
            f"{name}/{part}": t for name, units in found.items() for part, t in units._asdict().items()
        }
        return Part(columns, errors, {})


def _units(name: str, columns: Columns) -> Units:
    return Units(**{part: columns[f"{name}/{part}"] for part in Units._fields})


@torch.no_grad()
def _channels(model: Model, x: Tensor, grids: dict[str, Grid]) -> dict[str, int]:
    return model.observe(x, {name: lambda out, g=grid: g.maps(out).shape[1] for name, grid in grids.items()})
