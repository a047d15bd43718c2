"""Panels side by side with their captions, as PNG."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import DataError
from ..views import to_picture
from .heat import Laid
from .image import drawable, enlarged

Panel = tuple[str, Tensor] | Laid
GAP, LINE, LEADING = 12, 22, 15
FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""It has arrows and the letters of many languages, and comes with matplotlib."""


def panel_row(panels: Sequence[Panel], side: int = 224) -> Image.Image:
    """Captioned images [C, H, W] in one row on white."""
    pictures = [
        (text, to_picture(enlarged(drawable(image), side)).convert("RGB")) for text, image, *_ in panels
    ]
    font = caption_font()
    told = [wrapped(text, picture.width, font) for text, picture in pictures]
    over = LINE + LEADING * (max(map(len, told)) - 1)
    width = sum(p.width for _, p in pictures) + GAP * (len(pictures) + 1)
    row = Image.new("RGB", (width, max(p.height for _, p in pictures) + over + 2 * GAP), "white")
    draw, left = ImageDraw.Draw(row), GAP
    for lines, (_, picture) in zip(told, pictures, strict=True):
        first = over - LINE - LEADING * (len(lines) - 1)  # captions stand on their pictures
        for k, line in enumerate(lines):
            draw.text((left, GAP // 2 + first + LEADING * k), line, fill=(40, 40, 40), font=font)
        row.paste(picture, (left, over + GAP // 2))
        left += picture.width + GAP
    return row


@cache
def caption_font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, 12)


def wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """A caption in lines that fit over its picture, broken between words, and within those that are too long."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures one under the other."""
    sheet = Image.new(
        "RGB", (max((p.width for p in pictures), default=1), sum(p.height for p in pictures) or 1), "white"
    )
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def save_panels(path: Path, rows: Sequence[Sequence[Panel]], side: int = 224) -> None:
    """Rows of panels, one under the other, as one PNG."""
    sheet = stacked([panel_row(row, side) for row in rows])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}", "is the disk full?") from None
