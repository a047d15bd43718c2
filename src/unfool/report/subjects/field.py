"""The page on what each layer sees."""

from collections.abc import Sequence

from torch import Tensor

from ...analysis.fields import Seen
from ...show.fields import nested
from ...show.heat import overlay
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section
from .units import times

LIMITS = (
    "The box is what a position can depend on at all. How much it does depend on the middle far more than on the "
    "edges is what the gradient shows, of this image only.",
    "A position near the border sees less: the border cuts its box off.",
)
COLOURS = ("blue", "orange", "green", "pink", "yellow", "light blue", "grey")


def field_page(model: str, data: str, image: Tensor, found: Sequence[Seen]) -> Page:
    last = found[-1]
    whole = (
        "the whole image"
        if last.field.whole
        else f"{times(last.field.size)} of {times(last.field.space)} pixels"
    )
    cells = [
        Cell(overlay(image.mean(0, keepdim=True), one.gradient[None]), [one.layer, _size(one)])
        for one in found[:8]
    ]
    outside = max(one.outside for one in found)
    return Page(
        f"What the layers of {model} see",
        f"In the middle of layer {last.layer} a unit sees {whole}.",
        [
            Section(
                "Receptive fields",
                "At the middle of each layer, where the border cuts off least. The box holds everything a unit can "
                "depend on; the last column is the share of the box that holds 95 % of its gradient for one image.",
                [
                    Figure(
                        "boxes",
                        nested(image, [one.field.at(one.middle) for one in found]),
                        "From the first layer to the last: "
                        + ", ".join(f"{one.layer} {COLOURS[k % 7]}" for k, one in enumerate(found))
                        + ".",
                        f"of the gradient {100 * outside:.2g} % is outside the boxes",
                    ),
                    Figure(
                        "gradients",
                        sheet([""] * len(cells), [("", cells)], 128),
                        "The mean size of the gradient of up to 32 units at the middle, each on its own scale.",
                        "the boxes beside it, found without a gradient",
                    ),
                ],
                [
                    Grid(
                        "",
                        ["layer", "positions", "sees", "95 % of the gradient in"],
                        [_row(one) for one in found],
                    )
                ],
            )
        ],
        LIMITS,
        f"{model} {data}",
        {
            "layers": {
                one.layer: {
                    "positions": list(one.field.sides),
                    "receptive_field": list(one.field.size),
                    "whole_image": one.field.whole,
                    "box": [[s.start, s.stop] for s in one.field.at(one.middle)],
                    "gradient_outside": one.outside,
                    "effective_share": one.effective,
                }
                for one in found
            }
        },
    )


def _size(one: Seen) -> str:
    return "whole image" if one.field.whole else times(one.field.size)


def _row(one: Seen) -> list[str]:
    return [one.layer, times(one.field.sides), _size(one), f"{100 * one.effective:.0f} % of the box"]
