"""The page on an atlas: its cells drawn, the real patches nearest to them, what they argue for, and the controls."""

from collections.abc import Sequence

from PIL import Image

from ...analysis.atlas import Cell, Charted, named
from ...analysis.rates import Mean, mean_of, percent
from ...show.atlas import Tile, at_place, atlas_picture, sizes
from ...show.image import fitted
from ...show.sheet import Cell as Panel
from ...show.sheet import sheet
from ..page import Figure, Grid, Page, Section, class_name
from .units import times

CLOSE = 8
"""So many cells are shown beside several real patches."""
NAMES = {"pacmap": "PaCMAP", "tsne": "t-SNE", "pca": "principal components"}
SHUFFLED = "cells of as many activations drawn from all of them"


def atlas_page(found: Charted, links: Sequence[tuple[str, str]] = ()) -> Page:
    plan = found.plan
    return Page(
        f"An atlas of layer {plan.layer} of {plan.model}, over {plan.data}",
        sentence(found),
        [_drawn(found), _real(found), *_argues(found), _close(found), _layout(found)],
        LIMITS,
        repr(plan),
        numbers(found),
        links,
    )


LIMITS = (
    "Each picture is made for the mean of its cell, and a mean may lie where no activation does: the real patches show "
    "what the cell holds.",
    "A picture made by climbing shows more of everything than any real image: it exaggerates.",
    "Near cells are alike, but the layout tears some neighbours apart: the table says how many it keeps. Distances "
    "between far cells mean nothing.",
    "Any direction raises some class, as those of shuffled cells do. Whether it is the right one, the labels of the "
    "nearest real positions say.",
    "Positions at the border of an image see beyond it, and what is drawn for them does not.",
    "Other images, another seed or another grid give other cells.",
)


def sentence(found: Charted) -> str:
    n, cells, lost = len(found.spots.vectors), found.cells, found.spots.unreadable
    missing = f" ({lost} could not be read)" if lost else ""
    text = (
        f"{n:,} activations of {len(found.spots.ids):,} images{missing} in {len(cells)} cells: "
        f"{percent(found.home.value)} of their pictures come nearest to their own cell when the network sees them."
    )
    if found.argued is None:
        return text
    sure = named(found)
    return (
        f"{text} {len(sure)} argue for a class more than 1 of 20 shuffled cells does ({len(set(sure))} classes), "
        f"where chance would give {0.05 * len(cells):.0f}."
    )


def _drawn(found: Charted) -> Section:
    tiles = [
        Tile(one.row, one.column, one.picture, size)
        for one, size in zip(found.cells, sizes([one.n for one in found.cells]), strict=True)
    ]
    controls = [one.picture for one in found.controls]
    picture = atlas_picture(tiles, found.plan.grid, controls, f"Control: {SHUFFLED}")
    empty = found.occupied - len(found.cells)
    text = (
        f"What the layer gives at {_positions(found)}, laid out by {NAMES[found.plan.method]} and cut into cells. Each "
        "picture is the one that goes furthest along the cell's mean activation, less the mean of all; the fuller the "
        f"cell, the larger it is. {empty} cells hold fewer than {found.plan.least} and are left out."
    )
    return Section(
        "The layer",
        text,
        [Figure("atlas", picture, "Near cells hold like activations.", f"the last row, {SHUFFLED}")],
        [Grid("", ["pictures", "of their own cell", "cosine with the mean"], _landing(found))],
    )


def _positions(found: Charted) -> str:
    sides, each = found.spots.sides, len(found.spots.vectors) // len(found.spots.ids)
    if each == 1 and len(sides) == 1:
        return "all images"
    return f"{each} of {times(sides)} positions of each image"


def _landing(found: Charted) -> list[list[str]]:
    """Where pictures come to lie; where real patches do, and those of shuffled cells."""
    own, others = found.cells, found.controls
    return [
        ["drawn", str(found.home), _mean([one.along for one in own])],
        ["nearest real patches", "", _mean([one.patches[0].value for one in own])],
        ["drawn for shuffled cells (control)", "", _mean([one.along for one in others])],
    ]


def _mean(values: Sequence[float]) -> str:
    m = mean_of(values)
    return f"{m.mean:.2f} [{m.low:.2f}, {m.high:.2f}] (n = {m.n})"


def _real(found: Charted) -> Section:
    tiles = [
        Tile(one.row, one.column, seen(found, one, 0), line=argues(found, one), strong=is_sure(one))
        for one in found.cells
    ]
    controls = [seen(found, one, 0) for one in found.controls]
    picture = atlas_picture(
        tiles, found.plan.grid, controls, f"Control: nearest to {SHUFFLED}", lines=found.argued is not None
    )
    under = " Under it the class the cell argues for, grey where shuffled cells do as much."
    return Section(
        "The same cells in real images",
        "The position nearest to each cell's mean, by its cosine: all that it sees, its own share outlined."
        f"{under if found.argued else ''}",
        [Figure("patches", picture, "The same places as above.", f"the last row, the nearest to {SHUFFLED}")],
    )


def seen(found: Charted, one: Cell, k: int):
    """What the ``k``-th nearest real position of a cell sees, as a picture."""
    patch = one.patches[k]
    return at_place(patch.image, patch.box, one.places[k], found.field)


def argues(found: Charted, one: Cell) -> str:
    """The class a cell raises most."""
    return "" if one.effect is None else class_name(found.classes, one.effect.best)


def is_sure(one: Cell) -> bool:
    return one.effect is not None and one.effect.sure


def _argues(found: Charted) -> list[Section]:
    """What moving the layer along cells does to the classes, beside shuffled cells."""
    if found.argued is None:
        return []
    own, control = found.argued.largest
    sure, n = len(named(found)), len(found.cells)
    ranks = found.argued.ranks
    header = [
        "cells",
        f"effect on the class they raise most, median of {n}",
        f"above {found.argued.most:.3g}",
    ]
    rows = [
        ["of the atlas", f"{own:+.2f}", f"{sure} of {n}"],
        ["of shuffled activations (control)", f"{control:+.2f}", f"{0.05 * n:.0f} of {n}"],
    ]
    if ranks is not None:
        header.append("classes raised less than the labels of the nearest real positions")
        rows = [[*row, _percent(rank)] for row, rank in zip(rows, ranks, strict=True)]
    return [
        Section(
            "What they argue for",
            f"In {found.plan.asked} images the layer is moved along the cell's direction, where its activations come "
            "from, by half of the median distance of an activation from their mean. What counts is how far a class's "
            "logit rises against the mean of all classes. Shuffled cells go as far, at the same places.",
            tables=[Grid("", header, rows)],
        )
    ]


def _percent(m: Mean) -> str:
    return f"{100 * m.mean:.1f} % [{100 * m.low:.1f}, {100 * m.high:.1f}]"


def _close(found: Charted) -> Section:
    """Some cells beside several real patches: the fullest that argue for different classes first."""
    order, classes = sorted(found.cells, key=lambda one: -one.n), set[str]()
    first = [
        one for one in order if argues(found, one) not in classes and not classes.add(argues(found, one))
    ]
    some = [*first, *(one for one in order if one not in first)][:CLOSE]
    return Section(
        "Some cells closely",
        "The fullest cells, of different classes as far as there are, each beside the real positions nearest to it, of "
        "one image each.",
        [
            Figure(
                "cells",
                cell_sheet(found, [*some, *found.controls[:2]], [_lines(found, one) for one in some]),
                "Under the drawn picture its cosine with the cell's mean, under real ones theirs.",
                f"the last rows, {SHUFFLED}",
            )
        ],
    )


def _lines(found: Charted, one: Cell) -> list[str]:
    if one.effect is None:
        return []
    m = one.effect.of(one.effect.best)
    return [argues(found, one)[:22], f"{m.mean:+.2g} [{m.low:.2g}, {m.high:.2g}]"]


def cell_sheet(found: Charted, cells: Sequence[Cell], lines: Sequence[Sequence[str]]) -> Image.Image:
    """Each cell's picture with lines under it, and the real patches nearest to it."""
    most = max(len(one.patches) for one in cells)
    rows = list[tuple[str, list[Panel]]]()
    for k, one in enumerate(cells):
        own = [f"{one.along:.2f}", *(lines[k] if k < len(lines) else [])]
        panels = [Panel(fitted(one.picture, 110), own)]
        panels += [
            Panel(fitted(seen(found, one, p), 110), [f"{patch.value:.2f}", patch.label[:20]])
            for p, patch in enumerate(one.patches)
        ]
        panels += [Panel(panels[0].image * 0 + 1, [""], edge=False)] * (most + 1 - len(panels))
        rows.append((f"n {one.n}", panels))
    return sheet(["drawn", "nearest", *[""] * (most - 1)], rows, 110)


def _layout(found: Charted) -> Section:
    names = {found.plan.method: NAMES[found.plan.method], "pca": "plane of principal components (control)"}
    rows = [
        [
            names.get(name, "random places (control)"),
            f"{q.trust.value:.3f} [{q.trust.low:.3f}, {q.trust.high:.3f}]",
            str(q.kept),
        ]
        for name, q in found.qualities.items()
    ]
    return Section(
        "How far to trust the layout",
        "Trustworthiness is 1 where all that is near in it is near indeed; beside it the share of the ten nearest "
        "activations, by their directions, that are among the ten nearest there.",
        tables=[Grid("", ["layout", "trustworthiness", "nearest kept"], rows)],
    )


def numbers(found: Charted) -> dict[str, object]:
    return {
        "layer": found.plan.layer,
        "activations": len(found.spots.vectors),
        "images": len(found.spots.ids),
        "positions": list(found.spots.sides),
        "occupied": found.occupied,
        "argued": _argued(found),
        "home": found.home.as_dict(),
        "layouts": {
            name: {"trustworthiness": q.trust.as_dict(), "nearest_kept": q.kept.as_dict()}
            for name, q in found.qualities.items()
        },
        "cells": [told(found, one) for one in found.cells],
        "controls": [told(found, one) for one in found.controls],
    }


def _argued(found: Charted) -> dict[str, object] | None:
    if found.argued is None:
        return None
    (own, control), ranks = found.argued.largest, found.argued.ranks
    names = ("cells", "shuffled")
    return {
        "bar": found.argued.most,
        "above": len(named(found)),
        "largest": {"cells": own, "shuffled": control},
        "rank_of_labels": None
        if ranks is None
        else {k: m._asdict() for k, m in zip(names, ranks, strict=True)},
    }


def told(found: Charted, one: Cell) -> dict[str, object]:
    return {
        "name": one.name,
        "row": one.row,
        "column": one.column,
        "n": one.n,
        "cosine": one.along,
        "home": one.home,
        "patches": [
            {"id": p.id, "cosine": p.value, "place": list(at)}
            for p, at in zip(one.patches, one.places, strict=True)
        ],
        "label": None if one.label is None else [class_name(found.classes, one.label[0]), one.label[1]],
        "argues_for": argues(found, one) or None,
        "above_shuffled": is_sure(one),
        "effect": None if one.effect is None else one.effect.of(one.effect.best)._asdict(),
    }
