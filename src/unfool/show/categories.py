"""Maps of labels, with a legend."""

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..views import as_tensor, to_picture
from .grid import caption_font, wrapped
from .image import PALETTE, enlarged

OWN, OTHERS = (235, 235, 230), (60, 60, 60)
"""The label of the whole image, and all labels that are left when the colours are used up."""
LINE, SQUARE = 18, 12


def label_map(labels: Tensor, own: int, names: dict[int, str], side: int = 224) -> Tensor:
    """A map of labels [*, H, W] in colours, the commonest first, and which is which below: [3, h, w].

    ``own`` is the label of the whole image, nearly white; ``names`` are those of all labels.
    """
    flat = _middle(labels)
    found, counts = flat.unique(return_counts=True)
    order = [int(k) for k in found[counts.argsort(descending=True, stable=True)] if int(k) != own]
    shades = {own: OWN} | dict(zip(order, PALETTE, strict=False))
    table = torch.tensor([shades.get(int(k), OTHERS) for k in flat.flatten()], dtype=torch.float32) / 255
    picture = to_picture(enlarged(table.T.view(3, *flat.shape), side))
    share = {int(k): float(n) / flat.numel() for k, n in zip(found, counts, strict=True)}
    lines = [(shades[k], f"{names[k]}: {100 * share.get(k, 0):.0f} %") for k in [own, *order] if k in shades]
    rest = sum(n for k, n in share.items() if k not in shades)
    lines += [(OTHERS, f"others: {100 * rest:.0f} %")] if rest else []
    return as_tensor(np.asarray(_with_legend(picture, lines)))


def _middle(labels: Tensor) -> Tensor:
    """Of a volume or series its middle: [*, H, W] -> [H, W]."""
    while labels.ndim > 2:
        labels = labels[len(labels) // 2]
    return labels


def _with_legend(picture: Image.Image, lines: list[tuple[tuple[int, int, int], str]]) -> Image.Image:
    """Squares of each colour with their texts below a picture, in two columns where all of them fit."""
    font, indent = caption_font(), SQUARE + 5
    columns = 2 if all(font.getlength(text) <= picture.width // 2 - indent for _, text in lines) else 1
    told = [wrapped(text, picture.width // columns - indent, font) for _, text in lines]
    tops = [sum(map(len, told[k % columns : k : columns])) * LINE for k in range(len(lines))]
    high = 6 + max(top + len(text) * LINE for top, text in zip(tops, told, strict=True))
    sheet = Image.new("RGB", (picture.width, picture.height + high), "white")
    sheet.paste(picture)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=(170, 170, 170))
    for k, (shade, _) in enumerate(lines):
        left, top = k % columns * picture.width // columns, picture.height + 6 + tops[k]
        draw.rectangle((left, top, left + SQUARE, top + SQUARE), fill=shade, outline=(120, 120, 120))
        for i, line in enumerate(told[k]):
            draw.text((left + indent, top - 1 + i * LINE), line, fill=(40, 40, 40), font=font)
    return sheet
