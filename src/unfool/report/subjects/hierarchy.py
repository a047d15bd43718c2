"""The page on a network's layers in order: what fires their units, what of it does, what can be read off them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...analysis.hierarchy import Climbed, Shown, Stage
from ...analysis.units import Patch
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ...show.units import in_frame, mosaic, projected
from ..page import Figure, Grid, Page, Section
from . import probe
from .units import LIMITS as UNITS
from .units import sees, times, told

SIDE = 216
"""Pixels a side of nine patches together."""
LIMITS = (
    *UNITS,
    "What projections show is in large part the image and the network's layout: the last row of each layer is what "
    "weights that have learned nothing give. They say where in a patch to look, not what a unit stands for.",
    "That a layer is read more easily says nothing of whether the network uses what is read.",
    "The units shown are the most selective ones, whose best images stand out most: others are less clear.",
)


def hierarchy_page(found: Climbed) -> Page:
    plan = found.plan
    return Page(
        f"The layers of {plan.model} in order, over {plan.data}",
        sentence(found),
        [
            _overview(found),
            *(_stage(stage) for stage in found.stages),
            *([] if found.probed is None else [probe.layers(found.probed)]),
            *([probe.moved(found.changes, found.shifts)] if found.changes else []),
        ],
        LIMITS,
        repr(plan),
        numbers(found),
    )


def sentence(found: Climbed) -> str:
    first, last = found.stages[0], found.stages[-1]
    text = (
        f"From {first.layer.name}, where a position sees {sees(first.layer)}, to {last.layer.name}, where it sees "
        f"{sees(last.layer)}."
    )
    if found.probed is None:
        return f"{text} There are too few labels for a linear probe."
    read = {one.name: one.full.value for one in found.probed.layers}
    names = (first.layer.name, last.layer.name, "pixels")
    a, b, c = (f"{100 * read[name]:.1f} % in {name}" for name in names)
    return f"{text} A linear probe is right on {a}, {b} and {c}."


def _overview(found: Climbed) -> Section:
    header = ["layer", "positions", "sees", "95 % of the gradient in", "units", "dead"]
    rows = [_row(one) for one in found.stages]
    if found.probed is not None:
        header += ["linear probe", "random weights"]
        right = {one.name: one for one in found.probed.layers}
        rows = [[*row, *(r.brief for r in (right[row[0]].full, right[row[0]].empty) if r)] for row in rows]
    return Section(
        "From layer to layer",
        "What a position in the middle of each layer can depend on, how much of that it mostly does depend on, in one "
        "image, and how well a linear probe reads the classes, in per cent.",
        [
            Figure(
                "field",
                _fields(found.stages),
                "The side of what a position sees, in pixels of the image.",
                "dashed, the square that holds 95 % of its gradient; dotted, the image",
            )
        ],
        [Grid("", header, rows)],
    )


def _row(stage: Stage) -> list[str]:
    layer = stage.layer
    dead = int(layer.units.dead.sum())
    share = f"{100 * stage.effective:.0f} % of it"
    return [layer.name, times(layer.field.sides), sees(layer), share, str(len(layer.units.low)), str(dead)]


def _fields(stages: Sequence[Stage]) -> str:
    places = list(range(len(stages)))
    sides = [float(one.layer.field.size[-1]) for one in stages]
    dims = len(stages[0].layer.field.size)
    mostly = [side * one.effective ** (1 / dims) for side, one in zip(sides, stages, strict=True)]
    whole = [float(stages[0].layer.field.space[-1])] * len(places)
    series = [
        Series("sees", places, sides),
        Series("mostly sees", places, mostly, style="dashes"),
        Series("the image", places, whole, style="control", colour=6),
    ]
    names = [one.layer.name for one in stages]
    return lines(series, "", "pixels", ticks=places, names=names, width=8.4, height=3.2)


def _stage(stage: Stage) -> Section:
    layer = stage.layer
    text = f"Each position sees {sees(layer)}."
    if not stage.units:
        return Section(layer.name, f"{text} No unit fires for any image.")
    assert stage.control is not None
    rows = [(str(one.channel), _cells(stage, one)) for one in stage.units]
    bent = bool(stage.units[0].deconvnet)
    columns = ["nine strongest", *(["deconvnet", "guided"] if bent else [])]
    rows.append(("random weights", _cells(stage, stage.control, blank=not bent)))
    note = "" if bent else " There are no rectifiers before it that the deconvnet's rule could work with."
    return Section(
        layer.name,
        f"{text} Its {len(stage.units)} most selective units: the nine images that fire each most, as far as the "
        f"position sees them, and what in them fired it by two rules, each on its own scale.{note}",
        [
            Figure(
                f"layer-{layer.name}",
                sheet(columns, rows, SIDE),
                "Under them the largest and the ninth value. Beige is beyond the border of the image.",
                "the last row, the first unit's patches with the projections of the network with weights drawn anew",
            )
        ],
    )


def _cells(stage: Stage, one: Shown, blank: bool = False) -> list[Cell]:
    size = stage.layer.field.size
    values = "" if one is stage.control else f"{one.patches[0].value:.3g} to {one.patches[-1].value:.3g}"
    patches = mosaic([in_frame(p.cut, p.box, size) for p in one.patches], SIDE)
    if blank:
        return [Cell(torch.ones_like(patches), [""], edge=False)]
    made = [_drawn(part, one.patches, size) for part in (one.deconvnet, one.guided) if part]
    return [Cell(patches, [values]), *(Cell(image, [""]) for image in made)]


def _drawn(heats: Sequence[Tensor], patches: Sequence[Patch], size: Sequence[int]) -> Tensor:
    pairs = zip(heats, patches, strict=True)
    return mosaic([in_frame(projected(heat), p.box, size) for heat, p in pairs], SIDE)


def numbers(found: Climbed) -> dict[str, object]:
    right = {} if found.probed is None else {one.name: one for one in found.probed.layers}
    changes = {one.name: one for one in found.changes}
    return {
        "layers": {
            one.layer.name: {
                "positions": list(one.layer.field.sides),
                "receptive_field": list(one.layer.field.size),
                "whole_image": one.layer.field.whole,
                "effective_share": one.effective,
                "units": len(one.layer.units.low),
                "dead": one.layer.units.dead.nonzero()[:, 0].tolist(),
                "shown": {str(unit.channel): [told(p) for p in unit.patches] for unit in one.units},
                "projected": bool(one.units and one.units[0].deconvnet),
                **_read(right, one.layer.name),
                **(
                    {} if one.layer.name not in changes else probe.told(changes[one.layer.name], found.shifts)
                ),
            }
            for one in found.stages
        },
        **{
            name: {**_read(right, name), **probe.told(changes[name], found.shifts)}
            for name in ("pixels", "last")
            if name in changes
        },
    }


def _read(right: "dict[str, probe.Layer]", name: str) -> dict[str, object]:
    """How well a layer is read, where that is known."""
    if name not in right:
        return {}
    one = right[name]
    return {"probe": one.full.as_dict(), "random_weights": one.empty.as_dict() if one.empty else None}
