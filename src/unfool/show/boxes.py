"""What detectors see: boxes with their scores over the image, and how often."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from PIL import ImageDraw, ImageFont
from torch import Tensor

from ..views import as_tensor, to_picture
from .chart import Interval, colours, drawn
from .image import PALETTE, colour, enlarged


def boxes_over(
    image: Tensor,
    boxes: Tensor,
    scores: Sequence[float],
    labels: Sequence[int],
    side: int = 192,
    least: float = 0.5,
) -> Tensor:
    """An image with each box of at least a score, in its class's colour with its score: [3, H, W]."""
    large = enlarged(colour(image), side)
    factor = large.shape[-1] / image.shape[-1]
    picture, font = to_picture(large), ImageFont.load_default(size=13)
    draw = ImageDraw.Draw(picture)
    found = sorted(zip(scores, labels, boxes.tolist(), strict=True), key=lambda one: one[0])
    for score, label, box in found:  # the surest last: on top
        if score < least:
            continue
        left, top, right, bottom = (factor * edge for edge in box)
        shade = PALETTE[(label + 3) % len(PALETTE)]
        draw.rectangle((left, top, right, bottom), outline=shade, width=3)
        told, above = f"{score:.2f}", max(0.0, top - 16)
        wide = font.getlength(told) + 4
        left = min(max(0.0, left), picture.width - wide)
        draw.rectangle((left, above, left + wide, above + 16), fill=shade)
        draw.text((left + 2, above), told, fill="white", font=font)
    return as_tensor(np.asarray(picture))


TINTS, MARKS = (0, 6, 4, 1, 3), "osDo^"
"""Of the image as it is, both controls, stickers of one scene, the learned sticker."""


def detection_rates(names: Sequence[str], rates: Mapping[str, Sequence[Interval]]) -> str:
    """How often each detector finds the object, by what lies on it, with 95 % intervals: one line a detector."""

    def draw(axes: Axes) -> None:
        for k, (told, cells) in enumerate(rates.items()):
            values, lows, highs = (list(part) for part in zip(*cells, strict=True))
            spans = [
                [max(0.0, v - low) for v, low in zip(values, lows, strict=True)],
                [max(0.0, high - v) for v, high in zip(values, highs, strict=True)],
            ]
            shift = 0.14 * ((len(rates) - 1) / 2 - k)
            places = [len(names) - 1 - i + shift for i in range(len(names))]
            tint, mark = colours(TINTS[k % len(TINTS)]), MARKS[k % len(MARKS)]
            axes.errorbar(
                values, places, xerr=spans, fmt=mark, markersize=4, linewidth=1, color=tint, label=told
            )
        axes.set_yticks(range(len(names)), [name[:28] for name in reversed(names)])
        axes.set(xlabel="share of objects found", xlim=(-0.02, 1.02))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)

    return drawn(draw, height=1.3 + 0.16 * len(rates) * len(names))
