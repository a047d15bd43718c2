"""The page about one unit."""

from collections.abc import Sequence

from ...analysis.drawn import NOISE, Drawn
from ...analysis.rates import Mean
from ...analysis.units import Layer, Patch, UnitCard
from ...show.image import fitted
from ...show.sheet import Cell, sheet
from ...show.units import boxed, class_profile, in_frame, projected, value_histogram
from ..page import Figure, Grid, Page, Section, class_name
from .units import LIMITS, drawn_cell, patch_cells, patch_sheet, sees, told, told_drawn


def unit_page(
    layer: Layer,
    card: UnitCard,
    like_it: Sequence[tuple[str, Sequence[Patch]]],
    control: Sequence[Patch],
    classes: Sequence[str],
    links: Sequence[tuple[str, str]],
    recipe: str,
    drawn: Drawn | None,
) -> Page:
    """Everything about one unit; ``like_it`` are the patches of other units under their names."""
    units, c = layer.units, card.channel
    share = float(units.live[c] / units.images)
    return Page(
        f"Unit {c} of layer {layer.name}",
        f"It sees {sees(layer)} and fires for {100 * share:.0f} % of {int(units.images):,} images, at most with "
        f"{float(units.value[c, 0]):.3g}; the mean of their largest values is {float(units.mean[c]):.3g}.",
        [
            *_drawn(layer, card, drawn),
            _fires(layer, card, control),
            _values(layer, c),
            *_profile(layer, c, classes),
            _alike(layer, like_it),
            *_without(card),
        ],
        LIMITS,
        recipe,
        numbers(layer, card) | ({} if drawn is None else {"drawn": told_drawn(drawn)}),
        links,
    )


def _drawn(layer: Layer, card: UnitCard, drawn: Drawn | None) -> list[Section]:
    """What it would like best, beside what it is to be compared with."""
    if drawn is None:
        return []
    best = card.patches[0]
    cells = [
        drawn_cell(layer, drawn),
        Cell(boxed(drawn.whole, drawn.box, 96), [f"{drawn.label[:18]}", f"p {drawn.sure:.3f}"]),
        Cell(in_frame(best.cut, best.box, layer.field.size), [f"{best.value:.3g}", best.label[:18]]),
        Cell(drawn.near_image, [f"L2 {drawn.distance:.3g}", drawn.near[-18:]]),
    ]
    cells = [cell._replace(image=fitted(cell.image, 120)) for cell in cells]
    titles = ["drawn", "whole", "best real", "nearest real"]
    times = "" if drawn.times is None else f", {drawn.times:.2f} times as much as the best of the data"
    return [
        Section(
            "What it would like best",
            f"Drawn for the middle of the layer: the 8-bit picture gives it {drawn.value:.3g}{times}. The best of "
            f"{NOISE} images of noise gives it {drawn.noise:.3g}. A real image is {drawn.usual:.3g} from the nearest "
            "other (median).",
            [
                Figure(
                    "drawn",
                    sheet(titles, [("", cells)], 120),
                    "The picture as far as the middle sees it, the whole with its likeliest class, the strongest real "
                    "patch, and the real image nearest to the whole.",
                    "the real ones, and noise",
                )
            ],
        )
    ]


def _fires(layer: Layer, card: UnitCard, control: Sequence[Patch]) -> Section:
    whole = [Cell(boxed(p.image, p.box, 96), [p.id[-14:]]) for p in card.patches]
    rows = [("patch", patch_cells(layer, card.patches)), ("image", whole)]
    if card.projections:
        pairs = zip(card.projections, card.patches, strict=True)
        drawn = [Cell(in_frame(projected(heat), p.box, layer.field.size), [""]) for heat, p in pairs]
        rows.insert(1, ("deconvnet", drawn))
    rows.append(("random", patch_cells(layer, control)))
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
                patch_sheet(layer, rows, 96),
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
                patch_sheet(layer, [(name, patch_cells(layer, patches)) for name, patches in like_it], 64),
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
        "strongest": [told(patch) for patch in card.patches],
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
