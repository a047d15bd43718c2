"""What a detector sees: boxes with their scores over the image."""

from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw, ImageFont
from torch import Tensor

from ..views import as_tensor, to_picture
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
    for box, score, label in zip(boxes.tolist(), scores, labels, strict=True):
        if score < least:
            continue
        left, top, right, bottom = (factor * edge for edge in box)
        shade = PALETTE[(label + 3) % len(PALETTE)]
        draw.rectangle((left, top, right, bottom), outline=shade, width=3)
        told, above = f"{score:.2f}", max(0.0, top - 16)
        draw.rectangle((left, above, left + font.getlength(told) + 4, above + 16), fill=shade)
        draw.text((left + 2, above), told, fill="white", font=font)
    return as_tensor(np.asarray(picture))
