"""Pictures in rows and columns with captions of several lines, as one sheet."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..views import to_picture
from .grid import FONT
from .image import colour, enlarged

INK, SOFT, ALARM, EDGE = (40, 40, 40), (120, 120, 120), (178, 58, 0), (200, 200, 200)
GAP, LINE, MARGIN = 14, 17, 10


class Cell(NamedTuple):
    """An image [C, H, W] with lines under it, the first set strong; ``wrong`` sets it in another colour."""

    image: Tensor
    lines: Sequence[str]
    wrong: bool = False
    edge: bool = True
    """Whether a line is drawn around it."""


def sheet(titles: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]], side: int = 132) -> Image.Image:
    """Rows of cells under column titles; each row's name stands at its left."""
    font, strong = ImageFont.truetype(FONT, 11), ImageFont.truetype(FONT, 12)
    pictures = [[to_picture(enlarged(colour(c.image), side)) for c in cells] for _, cells in rows]
    widths = [
        max(max(r[k].width for r in pictures), _room(rows, k, titles[k], strong)) for k in range(len(titles))
    ]
    left = MARGIN + max(round(strong.getlength(name)) for name, _ in rows) + GAP
    tall = [
        max(p.height + len(c.lines) * LINE for p, c in zip(row, cells, strict=True)) + GAP
        for row, (_, cells) in zip(pictures, rows, strict=True)
    ]
    whole = Image.new("RGB", (left + sum(widths) + GAP * len(widths), MARGIN + LINE + sum(tall)), "white")
    draw = ImageDraw.Draw(whole)
    for r, (name, cells) in enumerate(rows):
        top = MARGIN + LINE + 4 + sum(tall[:r])
        draw.text((MARGIN, top), name, fill=INK, font=strong)
        for k, cell in enumerate(cells):
            at = left + sum(widths[:k]) + GAP * k
            if r == 0:
                draw.text((at, MARGIN - 4), titles[k], fill=SOFT, font=strong)
            whole.paste(pictures[r][k], (at, top))
            if cell.edge:
                around = (at - 1, top - 1, at + pictures[r][k].width, top + pictures[r][k].height)
                draw.rectangle(around, outline=EDGE)
            for i, line in enumerate(cell.lines):
                tint = (ALARM if cell.wrong else INK) if i == 0 else SOFT
                place = (at, top + pictures[r][k].height + 2 + i * LINE)
                draw.text(place, line, fill=tint, font=strong if i == 0 else font)
    return whole


def _room(
    rows: Sequence[tuple[str, Sequence[Cell]]],
    k: int,
    title: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> int:
    texts = [title, *(line for _, cells in rows for line in cells[k].lines)]
    return max(round(font.getlength(text)) for text in texts)
