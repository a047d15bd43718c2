"""An atlas as one picture: a small one in each cell, as large as the cell is full."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..receptive import Field
from ..views import as_tensor, to_picture
from .grid import caption_font
from .image import colour, fitted
from .units import in_frame

GAP, LINE = 8, 15
INK, SOFT, PALE = (40, 40, 40), (120, 120, 120), (165, 165, 165)
SMALLEST = 0.4
"""No picture is smaller than this share of its cell."""
WHOLE = 2 / 3
"""Of a position that sees more than this share of the image, the whole image is shown."""
MUCH = 2.5
"""A position's own share is outlined where it sees so many times as much a side."""
FAINT = 0.12
"""How much of a cell's picture is left that has nothing to do with what is shown."""


class Tile(NamedTuple):
    """A picture [C, H, W] in a cell: how large, how much of it is seen, and a line under it, grey or not."""

    row: int
    column: int
    image: Tensor
    size: float = 1.0
    seen: float = 1.0
    line: str = ""
    strong: bool = True


def sizes(counts: Sequence[int]) -> list[float]:
    """How large cells are drawn: areas go with counts, up to that which 1 of 10 has more than."""
    full = float(torch.tensor(counts).double().quantile(0.9))
    return [max(SMALLEST, min(1.0, math.sqrt(n / full))) for n in counts]


def atlas_picture(
    tiles: Sequence[Tile],
    grid: int,
    controls: Sequence[Tensor],
    told: str,
    side: int = 76,
    lines: bool = False,
) -> Image.Image:
    """Tiles on white, and under them in a row what they are to be compared with."""
    high, font = side + LINE * lines, caption_font().font_variant(size=9)
    wide = max(grid * side, len(controls) * side)
    under = LINE + GAP * 2 + side if controls else 0
    whole = Image.new("RGB", (wide + 2 * GAP, grid * high + under + 2 * GAP), "white")
    draw = ImageDraw.Draw(whole)
    for tile in tiles:
        left, top = GAP + tile.column * side, GAP + tile.row * high
        _put(whole, tile, left, top, side)
        text = _cut(tile.line, side - 2, font)
        draw.text(
            (left + (side - font.getlength(text)) / 2, top + side),
            text,
            fill=INK if tile.strong else PALE,
            font=font,
        )
    if controls:
        top = GAP + grid * high + GAP
        draw.line((GAP, top, GAP + wide, top), fill=(200, 200, 200))
        draw.text((GAP, top + 3), told, fill=SOFT, font=caption_font().font_variant(size=11))
        for k, image in enumerate(controls):
            _put(whole, Tile(0, k, image), GAP + k * side, top + GAP + LINE, side)
    return whole


def _put(whole: Image.Image, tile: Tile, left: int, top: int, side: int) -> None:
    """A tile in the middle of its cell, with a little room around it."""
    image = fitted(colour(tile.image), max(8, round(tile.size * (side - 4))))
    picture = to_picture((1 - tile.seen) + tile.seen * image)
    whole.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))


def _cut(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    """A text that fits, with an ellipsis where it was longer."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def at_place(image: Tensor, box: Sequence[slice], place: Sequence[int], field: Field) -> Tensor:
    """What a position sees of an image [C, *]: [3, H, W]. Its own share is outlined where that is much less.

    Where it sees most of the image, the whole is shown; else what it sees, in a frame as large as all see.
    """
    (high, wide), own = field.space[-2:], _share(place, field)
    size = field.size[-2:]
    whole = size[0] > WHOLE * high or size[1] > WHOLE * wide
    shown = colour(image) if whole else in_frame(image[(slice(None), *box)], box, field.size)
    if (own[2] - own[0]) * MUCH > (high if whole else size[0]):
        return shown
    left, top = (0, 0) if whole else (_start(box[-1], size[1]), _start(box[-2], size[0]))
    large = fitted(shown, max(192, *shown.shape[-2:]))
    scale, picture = large.shape[-1] / shown.shape[-1], to_picture(large)
    corners = [scale * end for end in (own[1] - left, own[0] - top, own[3] - left, own[2] - top)]
    ImageDraw.Draw(picture).rectangle(corners, outline=(213, 94, 0), width=max(2, picture.width // 48))
    return as_tensor(np.asarray(picture))


def _share(place: Sequence[int], field: Field) -> tuple[float, float, float, float]:
    """Which part of the image is a position's own: top, left, bottom, right."""
    sides = zip(place[-2:], field.space[-2:], field.sides[-2:], strict=True)
    (top, bottom), (left, right) = ((p * n / s, (p + 1) * n / s) for p, n, s in sides)
    return top, left, bottom, right


def _start(seen: slice, size: int) -> int:
    """Where in the image a frame begins; before it, where the border cuts something off at that side."""
    return seen.stop - size if seen.start == 0 else seen.start
