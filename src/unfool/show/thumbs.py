"""Many small pictures on one large one: where a map has them, or in a grid, with their true distances between them."""

import colorsys
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from ..views import to_picture
from .chart import colours
from .grid import caption_font
from .image import PALETTE, colour

Colour = tuple[int, int, int]
INK, SOFT, LINE = (40, 40, 40), (120, 120, 120), 26
UNKNOWN: Colour = (150, 150, 150)


def class_tint(k: int, n: int) -> Colour:
    """A class's colour: one that the colour-blind can tell apart, of more than there are of those one by hue."""
    if k < 0:
        return UNKNOWN
    if n <= len(PALETTE):
        return PALETTE[k % len(PALETTE)]
    red, green, blue = colorsys.hls_to_rgb((k / n) % 1, (0.42, 0.58)[k % 2], 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


def thumbnails(x: Sequence[Tensor], side: int) -> list[Image.Image]:
    """Images [C, *space] as squares of ``side`` pixels."""
    return [to_picture(_square(colour(one), side)) for one in x]


def _square(x: Tensor, side: int) -> Tensor:
    smaller = max(x.shape[-2:]) > side
    how = {"mode": "bilinear", "antialias": True} if smaller else {"mode": "nearest"}
    return F.interpolate(x[None].float(), (side, side), **how)[0]  # pyright: ignore[reportArgumentType]


def thumb_side(n: int, wide: int) -> int:
    """How large the pictures of a scatter may be."""
    return max(14, min(96, round(0.75 * wide / math.sqrt(n))))


def poster(
    x: Sequence[Tensor], view: Tensor, tints: Sequence[Colour], title: str, wide: int = 1800
) -> Image.Image:
    """Pictures where the map has them, framed in their class's colour."""
    side = thumb_side(len(x), wide)
    low, high = view.amin(0), view.amax(0)
    room = wide - side - 2 * LINE
    at = ((view - low) / (high - low).clamp_min(1e-12) * room + LINE).round().int()
    whole = Image.new("RGB", (wide, wide + LINE), "white")
    draw = ImageDraw.Draw(whole)
    draw.text((LINE, 8), title, fill=INK, font=caption_font().font_variant(size=20))
    for k, thumb in enumerate(thumbnails(x, side)):
        left, top = int(at[k, 0]), LINE + wide - side - LINE - int(at[k, 1])
        whole.paste(thumb, (left, top))
        draw.rectangle(
            (left, top, left + side - 1, top + side - 1), outline=tints[k], width=max(1, side // 18)
        )
    return whole


def tile_side(columns: int, wide: int = 1800) -> int:
    return max(12, min(96, wide // columns))


def tiled(x: Sequence[Tensor], cells: NDArray[np.int64], size: tuple[int, int]) -> Image.Image:
    """One picture in each cell of a grid of rows and columns."""
    rows, columns = size
    side = tile_side(columns)
    whole = Image.new("RGB", (columns * side, rows * side), "white")
    for thumb, (row, column) in zip(thumbnails(x, side), cells.tolist(), strict=True):
        whole.paste(thumb, (column * side, row * side))
    return whole


def seamed(
    grid: Image.Image,
    cells: NDArray[np.int64],
    columns: int,
    seams: Sequence[tuple[int, int, float]],
    title: str,
) -> Image.Image:
    """The grid made pale, and between two pictures a line that is darker and wider the further they are apart."""
    side = tile_side(columns)
    whole = Image.new("RGB", (grid.width, grid.height + LINE + 14), "white")
    whole.paste(Image.blend(grid, Image.new("RGB", grid.size, "white"), 0.45), (0, 0))
    draw = ImageDraw.Draw(whole)
    far = torch.tensor([s[2] for s in seams]).double()
    low, high = (float(far.quantile(q)) for q in (0.05, 0.95)) if len(seams) else (0.0, 1.0)
    for i, _, apart in [s for s in seams if s[2] > low]:
        share = min(1.0, (apart - low) / max(high - low, 1e-12))
        _seam(draw, cells[i], cells[_], side, share)
    _scale(draw, grid.height, low, high, title)
    return whole


def _seam(
    draw: ImageDraw.ImageDraw, a: NDArray[np.int64], b: NDArray[np.int64], side: int, share: float
) -> None:
    top, left = (int(v) * side for v in b)
    ends = (left, top, left, top + side) if a[0] == b[0] else (left, top, left + side, top)
    draw.line(ends, fill=seam_tint(share), width=max(1, round(share * side / 6)))


def seam_tint(share: float) -> Colour:
    """From white over orange to dark red."""
    red, green, blue = colours(1)
    pale, full = np.array([1.0, 0.93, 0.85]), np.array([red, green, blue])
    dark = np.array([0.35, 0.0, 0.05])
    mixed = pale + (full - pale) * min(1, 2 * share) + (dark - full) * max(0.0, 2 * share - 1)
    return tuple((255 * mixed).round().astype(int).tolist())  # pyright: ignore[reportReturnType]


def _scale(draw: ImageDraw.ImageDraw, top: int, low: float, high: float, title: str) -> None:
    font = caption_font().font_variant(size=14)
    for k in range(120):
        draw.rectangle((8 + k, top + 12, 9 + k, top + 26), fill=seam_tint(k / 119))
    draw.text((140, top + 11), f"{low:.2f} to {high:.2f}: {title}", fill=SOFT, font=font)


def dotted(view: Tensor, tints: Sequence[Colour], side: int = 210) -> Tensor:
    """A small picture of a map, a dot for each image: [3, side, side]."""
    low, high = view.amin(0), view.amax(0)
    at = ((view - low) / (high - low).clamp_min(1e-12) * (2 * side - 16) + 8).round().int().tolist()
    whole = Image.new("RGB", (2 * side, 2 * side), "white")
    draw = ImageDraw.Draw(whole)
    for (right, up), tint in zip(at, tints, strict=True):
        draw.ellipse((right - 4, 2 * side - up - 4, right + 4, 2 * side - up + 4), fill=tint)
    small = np.asarray(whole.resize((side, side), Image.Resampling.LANCZOS))
    return torch.from_numpy(small.copy()).permute(2, 0, 1).float() / 255
