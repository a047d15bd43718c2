"""The page about one unit."""

from collections.abc import Sequence

from ...analysis.rates import Mean
from ...analysis.units import Layer, Patch, UnitCard
from ...show.sheet import Cell
from ...show.units import boxed, class_profile, in_frame, projected, value_histogram
from ..page import Figure, Grid, Page, Section, class_name
from .units import LIMITS, patch_cells, patch_sheet, sees, told


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
