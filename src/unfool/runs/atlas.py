"""A run that gathers activations of a layer at positions of images, draws the cells they are laid out in, and asks what
they do to the classes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from ..aims import Direction
from ..data.base import Source
from ..data.labels import label_numbers
from ..errors import InputError
from ..measures.embed import looked_into
from ..measures.spots import Spots, layer_maps
from ..model import Model
from ..objectives import Logit
from ..query import Query
from ..rows import Rng, copies
from ..scores import mean_scores
from ..spec import Bound, Count, Natural, Positive, Spec
from ..synthesis.base import Synthesis
from ..synthesis.canvas import Fourier
from ..synthesis.looks import Looks, looks_of
from ..synthesis.maximise import Maximise
from ..views import from_uint8, to_uint8
from .begin import Watch, at_once, chosen, claim, first_image, unwatched
from .neighbours import model_names
from .recipe import Recipe
from .shortcuts import run_maps
from .table import Table, read_table
from .work import Part, work

LEAST_SIDE = 32
"""Pictures have so many pixels a side at least, where the data have."""
FEWEST = 40
"""With fewer activations there is nothing to lay out."""


class Atlas(Spec):
    """Which activations are laid out, into which cells, and how those are drawn."""

    model: str
    data: str
    layer: str
    method: Literal["tsne", "pacmap", "pca"] = "tsne"
    """What lays them out."""
    perplexity: Positive = 30.0
    """Of t-SNE: about how many neighbours count."""
    each: Natural = 4
    """How many positions of each image, drawn by the seed; 0 takes every one."""
    grid: Count = 12
    """Cells a side."""
    least: Count = 5
    """A cell with fewer activations is left empty."""
    draw: Synthesis = Maximise(Fourier(decorrelated=True), steps=64)
    """What draws a cell's direction."""
    cosine: Annotated[float, Bound(0)] = 4.0
    """The power of the cosine that a cell's picture is drawn with: the larger, the less else is in it."""
    side: Natural = 0
    """Pixels a side of drawn pictures; 0 makes them as large as what a position mostly sees."""
    asked: Natural = 8
    """In how many images a layer is moved along each cell to see what that does to the classes; 0 for none."""
    sample: Count = 2000
    """How many images at most, drawn by the seed."""
    seed: Natural = 0


class Spotted(NamedTuple):
    """Activations one by one: the vector, the number of its image in ``ids``, and the number of its position."""

    ids: tuple[str, ...]
    y: Tensor
    """The images' labels, -1 where unknown."""
    sides: tuple[int, ...]
    """The layer's positions."""
    vectors: Tensor
    image: Tensor
    spot: Tensor
    unreadable: int
    """How many images could not be read."""


def run_spots(plan: Atlas, model: Model, source: Source, folder: Path, watch: Watch = unwatched) -> Spotted:
    """The activations of all images that can be read."""
    looked_into(model)
    ids = chosen(source.ids(), plan.sample, plan.seed)
    first = first_image(source, ids, model.view, model)
    sides = tuple(layer_maps(model, first[None], plan.layer).shape[2:])
    claim(folder, repr(plan), model)
    recipe = Recipe(Spots(plan.layer, plan.each), plan.model, plan.data, limit=len(ids), seed=plan.seed)
    table = run_maps("spots", recipe, ids, model, source, folder, watch)
    rows = table.readable.nonzero()[:, 0]
    vectors, spots = table["activation"][rows], table["spot"][rows]
    read = tuple(table.ids[k] for k in rows.tolist())
    y = label_numbers(read, [source.label(i) for i in read], model_names(model, source), {})
    n, each = spots.shape
    image = torch.arange(n)[:, None].expand(n, each).reshape(-1)
    if n * each < FEWEST:
        raise InputError(
            f"{n * each} activations are too few to lay out", "more images, or a larger --each; 0 takes all"
        )
    return Spotted(read, y, sides, vectors.flatten(0, 1), image, spots.flatten(), len(ids) - n)


def draw_cells(
    plan: Atlas,
    model: Model,
    looks: Looks,
    names: Sequence[str],
    ways: Tensor,
    folder: Path,
    watch: Watch = unwatched,
) -> Table:
    """A picture for each direction [n, K] under its name; those that are in the folder are not drawn again."""
    place = {name: k for k, name in enumerate(names)}
    objective = Direction(plan.layer, plan.cosine, middle=True)

    def rows(some: Sequence[str]) -> Part:
        own = ways[[place[name] for name in some]]
        given, numbers = {"direction": own}, list(range(len(some)))
        made = plan.draw(
            model, numbers, start=looks, objective=objective, given=given, seed=plan.seed, ids=some
        )
        x = to_uint8(made.x)
        return Part({"x": x, "score": made.score_saved, "landed": landed(model, x, plan.layer)}, {}, {})

    chunk = max(8, min(64, at_once(looks.start[0]) // 2))
    with watch("cells", len(names)) as progress:
        work(repr(plan), folder / "parts" / "cells", names, rows, chunk=chunk, progress=progress)
    return read_table(folder / "parts" / "cells")


def looks_for(plan: Atlas, model: Model, source: Source, ids: Sequence[str], seen: Sequence[int]) -> Looks:
    """What the data look like, of 512 images at most, cut to the middle that is to be drawn.

    ``seen`` is how much a position mostly sees; a network that takes no other size than the data's is given that.
    """
    x = source.batch(ids[:512], model.view, model.classes).readable().x
    sides = [plan.side or max(LEAST_SIDE, side) for side in seen]
    cut = _middle(x, sides)
    try:
        model(cut[:1])
    except InputError:
        if plan.side:
            raise
        cut = x
    return looks_of(cut.split(64))


def _middle(x: Tensor, sides: Sequence[int]) -> Tensor:
    for d, side in enumerate(sides, start=2):
        side = min(side, x.shape[d])
        x = x.narrow(d, (x.shape[d] - side) // 2, side)
    return x


def landed(model: Model, x: Tensor, layer: str) -> Tensor:
    """What pictures, 8-bit ones, make a layer give at its middle position: [n, K]."""
    maps = [layer_maps(model, part, layer) for part in from_uint8(x).split(model.capacity)]
    return torch.cat([t[(..., *(side // 2 for side in t.shape[2:]))] for t in maps])


def effects(
    plan: Atlas,
    model: Model,
    source: Source,
    spots: Spotted,
    names: Sequence[str],
    moves: Callable[[Sequence[int]], Tensor],
    folder: Path,
    watch: Watch = unwatched,
) -> Tensor:
    """What it does to the logits of some images to move the layer: [moves, images, classes].

    ``moves`` gives some of them by their numbers: [n, K, positions]. From each effect the mean over the classes is
    taken off: no probability depends on it.
    """
    ids, place = spots.ids[: plan.asked], {name: k for k, name in enumerate(names)}

    def rows(some: Sequence[str]) -> Part:
        x = source.batch(ids, model.view, model.classes).x.to(model.device)
        return Part({"effect": moved(model, plan.layer, x, moves([place[name] for name in some]))}, {}, {})

    with watch("effects", len(names)) as progress:
        work(repr(plan), folder / "parts" / "effects", names, rows, chunk=32, progress=progress)
    return read_table(folder / "parts" / "effects")["effect"]


@torch.no_grad()
def moved(model: Model, layer: str, x: Tensor, moves: Tensor) -> Tensor:
    """How the logits of images change, against their mean, when a layer's output is moved by each of [n, K, positions].

    One pass to the layer; what follows it runs as often as there are moves.
    """
    rng = Rng.seeded(0, range(len(x)), model.device)
    query = Query(model, Logit(), torch.zeros(len(x), dtype=torch.long), rng, images=x, who="an atlas")
    room = max(1, model.capacity // len(x))
    with model.settled():
        tail = query.tail(layer, x)
        there, grid = tail.activation, model.spatial_layers(x).get(layer)
        maps = there if grid is None else grid.maps(there)
        before, found = _relative(tail.answer(there)), list[Tensor]()
        for some in moves.to(maps).split(room):
            shifted = (maps + some.view(len(some), 1, *maps.shape[1:])).flatten(0, 1)
            back = shifted if grid is None else grid.put(shifted, copies(there, len(some)))
            after = _relative(tail.answer(back)).unflatten(0, (len(some), len(x)))
            found.append((after - before).cpu())
    return torch.cat(found)


def _relative(answer: Tensor) -> Tensor:
    logits = mean_scores(answer)
    return logits - logits.mean(1, keepdim=True)
