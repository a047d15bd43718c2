"""Pages about units: one of all layers, one of each layer."""

from collections.abc import Mapping, Sequence

import torch
from PIL import Image

from ...analysis.drawn import Drawn
from ...analysis.units import Layer, Patch
from ...show.image import fitted
from ...show.sheet import Cell, sheet
from ...show.units import in_frame
from ..page import Figure, Grid, Page, Section

LIMITS = (
    "What fires a unit most says nothing of what it does at ordinary values: the histogram shows how rare the shown "
    "ones are.",
    "A patch is everything a position can depend on; how much of it matters is another question (unfool explain).",
    "That images look alike does not say what the unit looks at; an image changed in that one thing would.",
    "The deconvnet's projections are steered by the pooling and rectifiers of that image, and look alike for "
    "other units: they go with the patches and prove nothing by themselves.",
)


def overview_page(
    title: str, layers: Sequence[Layer], links: Sequence[tuple[str, str]], recipe: str, unreadable: int
) -> Page:
    total, dead = sum(len(one.units.low) for one in layers), sum(int(one.units.dead.sum()) for one in layers)
    count = int(layers[0].units.images)
    where = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    missing = f" {unreadable} could not be read." if unreadable else ""
    rows = [_row(one) for one in layers]
    header = ["layer", "units", "positions", "each sees", "dead", "images that fire a unit, median"]
    text = (
        "A unit is a channel; an image gives it its largest value at any position. Dead: above 0 in no image."
    )
    return Page(
        title,
        f"Of {total:,} units in {where} {dead:,} fire for none of {count:,} images.{missing}",
        [Section("Layers", text, tables=[Grid("", header, rows)])],
        LIMITS,
        recipe,
        {
            "images": count,
            "layers": {
                one.name: {
                    "units": len(one.units.low),
                    "positions": list(one.field.sides),
                    "receptive_field": list(one.field.size),
                    "whole_image": one.field.whole,
                    "dead": one.units.dead.nonzero()[:, 0].tolist(),
                }
                for one in layers
            },
        },
        links,
    )


def _row(layer: Layer) -> list[str]:
    units = layer.units
    share = (units.live.double() / units.images).median()
    dead = int(units.dead.sum())
    return [
        layer.name,
        str(len(units.low)),
        times(layer.field.sides),
        sees(layer),
        str(dead),
        f"{100 * share:.0f} %",
    ]


def sees(layer: Layer) -> str:
    """What one position sees, in words."""
    return (
        "the whole image" if layer.field.whole else f"{times(layer.field.size)} of {times(layer.field.space)}"
    )


def times(sides: Sequence[int]) -> str:
    return " × ".join(map(str, sides))


def layer_page(
    layer: Layer,
    shown: Sequence[tuple[int, Sequence[Patch]]],
    control: Sequence[Patch],
    links: Sequence[tuple[str, str]],
    recipe: str,
    drawn: Mapping[int, Drawn],
) -> Page:
    """Patches of many units of one layer, and what they would like best where that is drawn."""
    dead = layer.units.dead.tolist()
    rows = [(str(c), [] if dead[c] else patch_cells(layer, patches)) for c, patches in shown]
    rows.append(("random", patch_cells(layer, control)))
    if drawn:
        first = [drawn_cell(layer, drawn[c]) for c, _ in shown]
        rows = [(name, [one, *cells]) for (name, cells), one in zip(rows, [*first, EMPTY], strict=True)]
    count, units = len(layer.units.low), layer.units
    return Page(
        f"Layer {layer.name}",
        f"{count} units at {times(layer.field.sides)} positions, each of which sees {sees(layer)}; "
        f"{int(units.dead.sum())} fire for no image.",
        [
            Section(
                "What fires them",
                f"{len(shown)} of {count} units by channel: the parts of the {int(units.images):,} images that give "
                "them their largest values, with those values.",
                [
                    Figure(
                        "units",
                        patch_sheet(layer, rows, 64, bool(drawn)),
                        "Beige is beyond the border of the image. A unit without patches fires for none."
                        f"{' ' + ABOUT if drawn else ''}",
                        "the last row, random positions of random images",
                    )
                ],
            )
        ],
        LIMITS,
        recipe,
        {
            "units": {str(c): [told(patch) for patch in patches] for c, patches in shown},
            **({"drawn": {str(c): told_drawn(one) for c, one in drawn.items()}} if drawn else {}),
        },
        links,
    )


EMPTY = Cell(torch.ones(3, 8, 8), [""], edge=False)
ABOUT = (
    "First what the unit would like best, drawn for the middle of the layer and shown as far as that sees it; under it "
    "the value, and how many times the best real one this is."
)


def drawn_cell(layer: Layer, drawn: Drawn) -> Cell:
    """What a unit would like best, as far as the middle sees it."""
    times = "dead" if drawn.times is None else f"{drawn.times:.2f} × best"
    return Cell(in_frame(drawn.seen, drawn.box, layer.field.size), [f"{drawn.value:.3g}", times])


def told_drawn(drawn: Drawn) -> dict[str, object]:
    return {
        "value": drawn.value,
        "best": drawn.best,
        "best_of_noise": drawn.noise,
        "times": drawn.times,
        "label": drawn.label,
        "confidence": drawn.sure,
        "nearest": drawn.near,
        "distance": drawn.distance,
        "usual_distance": drawn.usual,
    }


def patch_sheet(
    layer: Layer, rows: Sequence[tuple[str, list[Cell]]], side: int, drawn: bool = False
) -> Image.Image:
    """Rows of cells, the short ones filled up with white; where it is ``drawn`` the first is no patch."""
    most = max(len(cells) for _, cells in rows)
    blank = Cell(torch.ones(3, *layer.field.size[-2:]), [""], edge=False)
    each = [(name, [*cells, *[blank] * (most - len(cells))]) for name, cells in rows]
    filled = [(name, [c._replace(image=fitted(c.image, side)) for c in cells]) for name, cells in each]
    titles = ["drawn", "strongest"] if drawn else ["strongest"]
    return sheet([*titles, *[""] * (most - len(titles))], filled, side)


def patch_cells(layer: Layer, patches: Sequence[Patch]) -> list[Cell]:
    return [
        Cell(
            in_frame(p.cut, p.box, layer.field.size),
            [f"{p.value:.3g}" if p.value == p.value else "", p.label[:14]],
        )
        for p in patches
    ]


def told(patch: Patch) -> dict[str, object]:
    return {"id": patch.id, "value": patch.value, "box": [[one.start, one.stop] for one in patch.box]}
