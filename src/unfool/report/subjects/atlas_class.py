"""The page on one class in an atlas: which cells argue for it, which against it."""

from collections.abc import Sequence

from ...analysis.atlas import Cell, Charted, against_class, for_class
from ...show.atlas import FAINT, Tile, atlas_picture
from ..page import Figure, Grid, Page, Section, class_name
from .atlas import LIMITS, SHUFFLED, cell_sheet

MOST = 10
"""So many cells are shown beside real patches."""


def class_page(found: Charted, label: int, links: Sequence[tuple[str, str]]) -> Page:
    """Needs what the cells do to the classes."""
    assert found.argued is not None
    name, plan = class_name(found.classes, label), found.plan
    own, others = for_class(found, label), against_class(found, label, 3)
    bar = float(found.argued.each[label])
    return Page(
        f"{name} in the atlas of layer {plan.layer} of {plan.model}",
        f"{len(own)} of {len(found.cells)} cells raise the logit of {name} more than 1 of 20 shuffled cells does; by "
        f"chance it would be {0.05 * len(found.cells):.0f}.",
        [_where(found, label, own, name, bar), _closely(found, label, own, others, name)],
        LIMITS,
        repr(plan),
        {
            "class": name,
            "bar": bar,
            "cells": [_told(one, label) for one in own],
            "against": [_told(one, label) for one in others],
        },
        links,
    )


def _where(found: Charted, label: int, own: Sequence[Cell], name: str, bar: float) -> Section:
    most = _effect(own[0], label) if own else 1.0
    mine = {one.name: _effect(one, label) / most for one in own}
    tiles = [
        Tile(one.row, one.column, one.picture, seen=FAINT + (1 - FAINT) * mine.get(one.name, 0.0))
        for one in found.cells
    ]
    picture = atlas_picture(tiles, found.plan.grid, [], "")
    return Section(
        "Where its evidence is",
        f"Cells are the plainer the further the logit of {name} rises, against the mean of all classes, when the layer "
        f"is moved along them in {found.plan.asked} images. Faint ones are below {bar:.3g}, which 1 of 20 shuffled "
        "cells is above.",
        [
            Figure(
                "class",
                picture,
                f"The plainest raises it by {most:.3g}." if own else "None is above it.",
                "the bar is that of shuffled cells",
            )
        ],
    )


def _closely(found: Charted, label: int, own: Sequence[Cell], others: Sequence[Cell], name: str) -> Section:
    some = [*own[:MOST], *others]
    rows = [[one.name, str(one.n), _interval(one, label), "for" if one in own else "against"] for one in some]
    table = Grid("", ["cell", "activations", f"logit of {name}", ""], rows)
    if not some:
        return Section("Its cells", "No cell raises it above the bar, and none lowers it.", tables=[table])
    lines = [[_interval(one, label, brief=True), "for" if one in own else "against"] for one in some]
    picture = cell_sheet(found, [*some, *found.controls[:1]], lines)
    return Section(
        "Its cells",
        f"Those that raise it most, then up to {len(others)} that lower it most, each beside the real positions "
        "nearest to it. Left, how many activations they hold.",
        [
            Figure(
                "cells",
                picture,
                "Under the drawn picture its cosine with the cell's mean and the effect on the logit.",
                f"the last row, {SHUFFLED}",
            )
        ],
        [table],
    )


def _effect(one: Cell, label: int) -> float:
    assert one.effect is not None
    return float(one.effect.mean[label])


def _interval(one: Cell, label: int, brief: bool = False) -> str:
    assert one.effect is not None
    m = one.effect.of(label)
    return f"{m.mean:+.2g} [{m.low:.2g}, {m.high:.2g}]" + ("" if brief else f" (n = {m.n})")


def _told(one: Cell, label: int) -> dict[str, object]:
    assert one.effect is not None
    return {
        "name": one.name,
        "n": one.n,
        "row": one.row,
        "column": one.column,
        **one.effect.of(label)._asdict(),
    }
