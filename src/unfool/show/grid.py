"""Panels side by side with their captions, as PNG."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import DataError
from ..views import to_picture
from .image import drawable, enlarged

Panel = tuple[str, Tensor]
GAP, LINE = 12, 22
FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""It has arrows and the letters of many languages, and comes with matplotlib."""


def panel_row(panels: Sequence[Panel], side: int = 224) -> Image.Image:
    """Captioned images [C, H, W] in one row on white."""
    pictures = [(text, to_picture(enlarged(drawable(image), side)).convert("RGB")) for text, image in panels]
    width = sum(p.width for _, p in pictures) + GAP * (len(pictures) + 1)
    row = Image.new("RGB", (width, max(p.height for _, p in pictures) + LINE + 2 * GAP), "white")
    draw, font, left = ImageDraw.Draw(row), caption_font(), GAP
    for text, picture in pictures:
        draw.text((left, GAP // 2), _fitting(text, picture.width, font), fill=(40, 40, 40), font=font)
        row.paste(picture, (left, LINE + GAP // 2))
        left += picture.width + GAP
    return row


@cache
def caption_font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, 12)


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of a caption as fits over its picture."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def save_panels(path: Path, rows: Sequence[Sequence[Panel]], side: int = 224) -> None:
    """Rows of panels, one under the other, as one PNG."""
    pictures = [panel_row(row, side) for row in rows]
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}", "is the disk full?") from None
