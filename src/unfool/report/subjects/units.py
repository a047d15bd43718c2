"""Pages about units: one of all layers, one of each layer, one of a unit."""

from collections.abc import Sequence

import torch
from PIL import Image

from ...analysis.rates import Mean
from ...analysis.units import Layer, Patch, UnitCard
from ...show.image import fitted
from ...show.sheet import Cell, sheet
from ...show.units import boxed, class_profile, in_frame, projected, value_histogram
from ..page import Figure, Grid, Page, Section, class_name

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
    missing = f" {unreadable} could not be read." if unreadable else ""
    rows = [_row(one) for one in layers]
    header = ["layer", "units", "positions", "each sees", "dead", "images that fire a unit, median"]
    text = (
        "A unit is a channel; an image gives it its largest value at any position. Dead: above 0 in no image."
    )
    return Page(
        title,
        f"Of {total:,} units in {len(layers)} layers {dead:,} fire for none of {count:,} images.{missing}",
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
) -> Page:
    """Patches of many units of one layer."""
    dead = layer.units.dead.tolist()
    rows = [(str(c), [] if dead[c] else _patches(layer, patches)) for c, patches in shown]
    rows.append(("random", _patches(layer, control)))
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
                        _sheet(layer, rows, 64),
                        "Beige is beyond the border of the image. A unit without pictures fires for none.",
                        "the last row, random positions of random images",
                    )
                ],
            )
        ],
        LIMITS,
        recipe,
        {"units": {str(c): [_told(patch) for patch in patches] for c, patches in shown}},
        links,
    )


def _sheet(layer: Layer, rows: Sequence[tuple[str, list[Cell]]], side: int) -> Image.Image:
    """Rows of cells, the short ones filled up with white."""
    most = max(len(cells) for _, cells in rows)
    blank = Cell(torch.ones(3, *layer.field.size[-2:]), [""], edge=False)
    each = [(name, [*cells, *[blank] * (most - len(cells))]) for name, cells in rows]
    filled = [(name, [c._replace(image=fitted(c.image, side)) for c in cells]) for name, cells in each]
    return sheet(["strongest", *[""] * (most - 1)], filled, side)


def _patches(layer: Layer, patches: Sequence[Patch]) -> list[Cell]:
    return [
        Cell(
            in_frame(p.cut, p.box, layer.field.size),
            [f"{p.value:.3g}" if p.value == p.value else "", p.label[:14]],
        )
        for p in patches
    ]


def unit_page(
    layer: Layer,
    card: UnitCard,
    like_it: Sequence[tuple[str, Sequence[Patch]]],
    control: Sequence[Patch],
    classes: Sequence[str],
    links: Sequence[tuple[str, str]],
    recipe: str,
) -> Page:
    """Everything about one unit; ``like_it`` are the patches of other units under their names."""
    units, c = layer.units, card.channel
    share = float(units.live[c] / units.images)
    return Page(
        f"Unit {c} of layer {layer.name}",
        f"It sees {sees(layer)} and fires for {100 * share:.0f} % of {int(units.images):,} images, at most with "
        f"{float(units.value[c, 0]):.3g}; the mean of their largest values is {float(units.mean[c]):.3g}.",
        [
            _fires(layer, card, control),
            _values(layer, c),
            *_profile(layer, c, classes),
            _alike(layer, like_it),
            *_without(card),
        ],
        LIMITS,
        recipe,
        numbers(layer, card),
        links,
    )


def _fires(layer: Layer, card: UnitCard, control: Sequence[Patch]) -> Section:
    whole = [Cell(boxed(p.image, p.box, 96), [p.id[-14:]]) for p in card.patches]
    rows = [("patch", _patches(layer, card.patches)), ("image", whole)]
    if card.projections:
        pairs = zip(card.projections, card.patches, strict=True)
        drawn = [Cell(in_frame(projected(heat), p.box, layer.field.size), [""]) for heat, p in pairs]
        rows.insert(1, ("deconvnet", drawn))
    rows.append(("random", _patches(layer, control)))
    deconvnet = (
        "Second row: what of it made the unit fire, by the deconvnet, each on its own scale. "
        if card.projections
        else "The deconvnet has no rectifier to work with here. "
    )
    return Section(
        "What fires it",
        f"The {len(card.patches)} images with the largest values: the part that the position sees, and where it is.",
        [
            Figure(
                "patches",
                _sheet(layer, rows, 96),
                f"First row: with their values. {deconvnet}Beige is beyond the border of the image.",
                "the last row, random positions of random images",
            )
        ],
    )


def _values(layer: Layer, c: int) -> Section:
    drawn = layer.units.drawn
    return Section(
        "How often",
        f"Its largest value in each of {len(drawn)} images drawn by the seed.",
        [
            Figure(
                "values",
                value_histogram(drawn[:, c], drawn.flatten()),
                "Shares of images; values above the axis are not shown.",
                "grey, all units of the layer",
            )
        ],
    )


def _profile(layer: Layer, c: int, classes: Sequence[str]) -> list[Section]:
    """The ten classes whose images fire it most; nothing where no image has a label."""
    profile, known = layer.units.profile, (layer.units.of_class > 0).nonzero()[:, 0]
    if len(known) < 2:
        return []
    best = known[profile[c, known].argsort(descending=True, stable=True)[:10]].tolist()
    counts = ", ".join(f"{class_name(classes, k)}: {int(layer.units.of_class[k])}" for k in best)
    return [
        Section(
            "Which classes",
            f"The mean of its largest values over each class's images; images: {counts}.",
            [
                Figure(
                    "classes",
                    class_profile(
                        [class_name(classes, k) for k in best],
                        [float(profile[c, k]) for k in best],
                        [float(profile[:, k].mean()) for k in best],
                    ),
                    "The ten classes with the largest means.",
                    "grey, the mean of all units of the layer",
                )
            ],
        )
    ]


def _alike(layer: Layer, like_it: Sequence[tuple[str, Sequence[Patch]]]) -> Section:
    return Section(
        "Units like it",
        f"By the correlation of their largest values over {len(layer.units.drawn)} images.",
        [
            Figure(
                "alike",
                _sheet(layer, [(name, _patches(layer, patches)) for name, patches in like_it], 64),
                "Each with its correlation.",
                "the last row, the unit least like it",
            )
        ],
    )


def _without(card: UnitCard) -> list[Section]:
    """What its images lose without it."""
    if card.without is None:
        return []
    rows = [
        ["this unit", _mean(card.without.own)],
        [f"unit {card.without.rival} (control)", _mean(card.without.other)],
    ]
    return [
        Section(
            "Without it",
            "How much the log-probability of the predicted class falls when the unit is zero everywhere, over the "
            "images above: mean and 95 % interval.",
            tables=[Grid("", ["zero", "falls by"], rows)],
        )
    ]


def _mean(m: Mean) -> str:
    return f"{m.mean:+.3g} [{m.low:.3g}, {m.high:.3g}] (n = {m.n})"


def numbers(layer: Layer, card: UnitCard) -> dict[str, object]:
    units, c = layer.units, card.channel
    return {
        "layer": layer.name,
        "channel": c,
        "images": int(units.images),
        "mean": float(units.mean[c]),
        "deviation": float(units.deviation[c]),
        "least": float(units.low[c]),
        "fires_for": int(units.live[c]),
        "strongest": [_told(patch) for patch in card.patches],
        "by_class": [None if value != value else value for value in units.profile[c].tolist()],
        "alike": {str(k): r for k, r in card.alike},
        "without": None
        if card.without is None
        else {
            "own": card.without.own._asdict(),
            "other": card.without.other._asdict(),
            "rival": card.without.rival,
        },
    }


def _told(patch: Patch) -> dict[str, object]:
    return {"id": patch.id, "value": patch.value, "box": [[one.start, one.stop] for one in patch.box]}
