"""Maps of labels, with a legend."""

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..views import as_tensor, to_picture
from .grid import caption_font
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
    """Squares of each colour with their texts, in two columns below a picture."""
    high = -(-len(lines) // 2) * LINE + 6
    sheet = Image.new("RGB", (picture.width, picture.height + high), "white")
    sheet.paste(picture)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=(170, 170, 170))
    for k, (shade, text) in enumerate(lines):
        left, top = k % 2 * picture.width // 2, picture.height + 6 + k // 2 * LINE
        draw.rectangle((left, top, left + SQUARE, top + SQUARE), fill=shade, outline=(120, 120, 120))
        draw.text((left + SQUARE + 5, top - 1), text, fill=(40, 40, 40), font=caption_font())
    return sheet
