"""What layers see of an image, one box inside the other."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ..views import to_picture
from .image import PALETTE, colour, drawable, enlarged


def nested(image: Tensor, boxes: Sequence[Sequence[slice]], side: int = 320) -> Image.Image:
    """An image with a box per layer, each in its colour."""
    large = enlarged(colour(image), side)
    factor = large.shape[-1] / drawable(image).shape[-1]
    picture = to_picture(large)
    draw = ImageDraw.Draw(picture)
    for k, box in reversed([*enumerate(boxes)]):  # the smallest on top
        rows, columns = box[-2:]
        ends = np.array([columns.start, rows.start, columns.stop, rows.stop]) * factor
        draw.rectangle(
            (ends[0], ends[1], ends[2] - 1, ends[3] - 1), outline=PALETTE[k % len(PALETTE)], width=3
        )
    return picture
