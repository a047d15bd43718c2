"""Inside: a map of images by what the network makes of them, a grid of it, and slices drawn around on it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..analysis.imagemap import Grid, gridded, inside
from ..analysis.layouts import Quality, components, quality, scattered
from ..analysis.pacmaps import pacmap_of
from ..analysis.rates import Rate
from ..analysis.tsne import tsne
from ..errors import InputError, UnknownName
from ..report.exports import write_slice
from ..rows import stable_number
from ..runs.imagemap import ImageMap, Mapped, checked, run_map
from .asked import Asked
from .frames import Array
from .lines import over
from .look import squares
from .rooms import Room

if TYPE_CHECKING:
    from .stage import Answered, Stage

MOST, SIDE = 2000, 28
"""How many images a map has at most, and the side of their squares."""
PERPLEXITY, NEAREST = 30.0, 10


def ways() -> list[str]:
    """What lays images out: PaCMAP where its package is installed."""
    return ["tsne", *(["pacmap"] if find_spec("pacmap") else []), "pca"]


class Chart(NamedTuple):
    """A map that was made: what was asked for, the vectors, and where each image is."""

    plan: ImageMap
    mapped: Mapped
    view: Tensor
    grid: Grid
    kept: dict[str, Quality]
    """What the map keeps, beside principal components and random places."""

    @property
    def ids(self) -> tuple[str, ...]:
        return self.mapped.space.ids

    @property
    def places(self) -> Tensor:
        """The middle of each image's cell on the grid, from 0 to 1 to the right and downwards: [N, 2]."""
        down, right = torch.from_numpy(self.grid.cells.copy()).double().T
        return torch.stack([(right + 0.5) / self.grid.columns, (down + 0.5) / self.grid.rows], 1)


def charted(stage: "Stage", asked: Asked) -> "Answered":
    """Images by the first two principal components, by t-SNE or PaCMAP, and the same snapped to a grid."""
    room, way = stage.asked_room(asked), asked.text("way", "tsne")
    if way not in ways():
        raise InputError(f"way must be one of {', '.join(ways())}, not {way[:20]!r}")
    found = chart(stage, room, asked, way)
    space, grid = found.mapped.space, found.grid
    names = [room.model.label_name(k) for k in range(room.model.width or len(room.model.classes))]
    value = {
        "key": _key(found.plan, way),
        "ids": list(found.ids),
        "names": names,
        "rows": grid.rows,
        "columns": grid.columns,
        "kept": {name: _told(one) for name, one in found.kept.items()},
        "k": NEAREST,
        "way": way,
        "python": over(room, *_python(found.plan, way)),
        "command": _command(room, found.plan) if way != "pca" else "",
    }
    arrays = {
        "view": found.view.numpy().astype("f4"),
        "cells": grid.cells.astype("i4"),
        "y": space.y.numpy().astype("i4"),
        "said": found.mapped.said.numpy().astype("i4"),
        "sure": found.mapped.sure.numpy().astype("f4"),
        "seams": torch.tensor(grid.seams).float().reshape(-1, 3).numpy(),
        "pixels": _squares(stage, room, found.ids),
    }
    return value, arrays


def chart(stage: "Stage", room: Room, asked: Asked, way: str) -> Chart:
    """Made once for the same question; stopped, it goes on with the vectors that are there."""
    n = max(1, min(MOST, asked.whole("count", 500), len(room.ids)))
    perplexity = min(asked.number("perplexity", PERPLEXITY), max(1.0, n // 10))
    k = min(NEAREST, max(1, (n - 1) // 3))
    method = "pacmap" if way == "pacmap" else "tsne"
    plan = ImageMap(room.address, room.data, asked.text("layer", ""), method, perplexity, k=k, sample=n)
    key = _key(plan, way)
    if key not in room.held:
        checked(plan, n)
        room.held[key] = _laid_out(stage, room, plan, _vectors(stage, room, plan), way)
    return room.held[key]


def _vectors(stage: "Stage", room: Room, plan: ImageMap) -> Mapped:
    """The same for every map of them."""
    plain = replace(plan, method="tsne", perplexity=1.0, k=1)
    key = f"vectors {plain!r}"
    if key not in room.held:
        room.held[key] = run_map(plain, room.model, room.source, stage.folder(key), stage.job.watch)
    return room.held[key]


def _key(plan: ImageMap, way: str) -> str:
    return f"{way} {plan!r}"


def _laid_out(stage: "Stage", room: Room, plan: ImageMap, mapped: Mapped, way: str) -> Chart:
    x, y = mapped.space.vectors["features"], mapped.space.y
    if float(x.double().std(0).max()) == 0:
        raise InputError("all images are the same to this layer", "choose another")
    plane = components(x, 2)
    with stage.job.watch("the map", 1):
        if way == "pacmap":
            view = _aside(stage, room, f"making {plan!r}", lambda: pacmap_of(components(x), plan.seed))
        elif way == "tsne":
            view = tsne(components(x), plan.perplexity, plan.seed, "pca", stage.job.rest)
        else:
            view = plane
    labels = y if len(y[y >= 0].unique()) > 1 else None
    views = {
        "this map": view,
        "two principal components": plane,
        "random places": scattered(len(x), plan.seed),
    }
    if way == "pca":
        del views["two principal components"]
    kept = {name: quality(x, one, plan.k, labels, plan.seed) for name, one in views.items()}
    stage.job.rest()
    return Chart(plan, mapped, view, gridded(x, view), kept)


def _aside(stage: "Stage", room: Room, key: str, make: Callable[[], Tensor]) -> Tensor:
    """What cannot be stopped is made in a thread of its own; asked for again, it is waited for again."""
    if key not in room.held:
        maker = ThreadPoolExecutor(1)
        room.held[key] = maker.submit(make)
        maker.shutdown(wait=False)
    made = room.held[key]
    while not made.done():
        stage.job.rest()
        wait([made], 0.05)
    del room.held[key]
    return made.result()


def _told(found: Quality) -> dict[str, Any]:
    return {name: _rate(one) for name, one in found._asdict().items() if one is not None}


def _rate(one: Rate) -> list[float]:
    return [one.value, one.low, one.high, one.n]


def _squares(stage: "Stage", room: Room, ids: Sequence[str]) -> Array:
    """All images as squares: [n, side, side, 3]."""
    key = f"squares {hash(tuple(ids))}"
    if key not in room.held:
        found = list[Tensor]()
        for k in range(0, len(ids), 64):
            batch = room.source.batch(ids[k : k + 64], room.model.view, room.model.classes)
            found.append(torch.from_numpy(squares(list(batch.x), SIDE)))
            stage.job.rest()
        room.held[key] = torch.cat(found).numpy()
    return room.held[key]


def sliced(stage: "Stage", asked: Asked) -> "Answered":
    """The images inside a polygon of the map, x0, y0, x1, y1, ...; kept as a file of ids where that is wanted."""
    room, key, grid = stage.asked_room(asked), asked.text("key"), asked.flag("grid")
    found = room.held.get(key)
    if not isinstance(found, Chart):
        raise InputError("there is no such map any more", "make it again")
    corners = asked.numbers("corners", 1000)
    flags = inside(found.places if grid else found.view, corners).tolist()
    ids = tuple(i for i, flag in zip(found.ids, flags, strict=True) if flag)
    name = f"slice-{stable_number(*ids):016x}"[:14]
    room.slices[name] = ids
    if asked.flag("keep"):
        keep(stage, room, name)
    path, address = slice_place(stage, room, name)
    lines = [f"some = open_data({address!r})", "batch = some.batch(some.ids(), model.view, model.classes)"]
    drawn = not grid and not key.startswith("pca")
    told = {"name": name, "count": len(ids), "labels": _counts(room, found, flags)}
    told |= {"path": str(path), "kept": path.exists(), "address": address, "python": over(room, [], lines)}
    command = (
        _command(room, found.plan, corners) if drawn else f'unfool audit {room.address} --data "{address}"'
    )
    return told | {"command": command}, {}


def slice_place(stage: "Stage", room: Room, name: str) -> tuple[Path, str]:
    """Where a slice's ids are, or would be, and its address as data."""
    path = stage.setting.runs[0] / "slices" / f"{name}.txt"
    return path, f"{room.data}{'&' if '?' in room.data else '?'}only={path}"


def keep(stage: "Stage", room: Room, name: str) -> str:
    """Write a slice's ids where they are not; gives its address. Raises where nothing was drawn around by that name."""
    if name not in room.slices:
        raise UnknownName("slice", name[:40], room.slices)
    path, address = slice_place(stage, room, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_slice(path, room.slices[name])
    return address


def _counts(room: Room, found: Chart, flags: list[bool]) -> list[list[Any]]:
    """How many of each label are inside, the most first."""
    y = found.mapped.space.y[torch.tensor(flags)]
    values, counts = y[y >= 0].unique(return_counts=True)
    order = counts.argsort(descending=True, stable=True)[:8].tolist()
    return [[room.model.label_name(int(values[k])), int(counts[k])] for k in order]


def _command(room: Room, plan: ImageMap, corners: Sequence[float] = ()) -> str:
    layer = f" --layer {plan.layer}" if plan.layer else ""
    lasso = f" --lasso={','.join(f'{v:.6g}' for v in corners)}" if corners else ""
    usual = f" --method {plan.method}" if plan.method != "tsne" else ""
    usual += f" --perplexity {plan.perplexity:g}" if plan.perplexity != PERPLEXITY else ""
    usual += f" --k {plan.k}" if plan.k != NEAREST else ""
    return f"unfool inspect map {room.address} {room.data} --limit {plan.sample}{layer}{usual}{lasso}"


def _python(plan: ImageMap, way: str) -> tuple[list[str], list[str]]:
    imports = ["from pathlib import Path", "from unfool.analysis.layouts import components"]
    imports += ["from unfool.analysis.pacmaps import pacmap_of"] * (way == "pacmap")
    imports += ["from unfool.analysis.tsne import tsne"] * (way == "tsne")
    imports += ["from unfool.runs.imagemap import ImageMap, run_map"]
    made = {
        "pca": "components(x, 2)",
        "pacmap": f"pacmap_of(components(x), {plan.seed})",
        "tsne": f"tsne(components(x), {plan.perplexity!r}, {plan.seed})",
    }[way]
    return imports, [
        f"plan = {plan!r}",
        'mapped = run_map(plan, model, data, Path("runs/map/studio"))',
        'x = mapped.space.vectors["features"]',
        f"view = {made}",
    ]


ACTS = {"map": charted, "slice": sliced}
