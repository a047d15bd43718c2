"""A map over its series as a film: GIF by itself, MP4 by the extra ``video``; one scale of colours for all frames."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from ..errors import DataError
from ..maps import strongest_channel
from ..views import to_picture
from .grades import badged
from .grid import LEADING, caption_font, wrapped
from .heat import overlay
from .image import PALETTE, colour, enlarged

GAP, LINE, CHART = 8, 18, 44
INK, SOFT = (40, 40, 40), (150, 150, 150)


def top_of(heat: Tensor) -> float:
    """What full colour stands for in every frame: the 99th percentile of the whole film, or its largest value."""
    sizes = heat.abs().flatten()
    place = max(1, round(0.99 * len(sizes)))
    return float(sizes.kthvalue(place).values) or float(sizes.max())


def frames_of(series: Tensor, heat: Tensor) -> list[Tensor]:
    """Each frame with its map over it: series [C, T, H, W] and heat [C', T, H, W] -> T x [3, H, W]."""
    heat = strongest_channel(heat[None])[0]
    top, signed = top_of(heat), bool((heat < 0).any())
    return [overlay(series[:, t], heat[:, t], top, signed) for t in range(series.shape[1])]


def film_of(
    series: Tensor,
    heat: Tensor,
    share: Sequence[float],
    told: str,
    verdict: str = "",
    badge: str = "",
    side: int = 240,
) -> list[Image.Image]:
    """The series, the map over it, and under both the profile over time with where one is: a picture a frame.

    Under the map stands its badge where there is one.
    """
    seen = frames_of(series, heat)
    seen = [badged(one, verdict, badge, side) if badge else enlarged(one, side) for one in seen]
    return [_frame(colour(series[:, t]), seen[t], share, t, told, side) for t in range(len(seen))]


def _frame(plain: Tensor, seen: Tensor, share: Sequence[float], t: int, told: str, side: int) -> Image.Image:
    left, right = (to_picture(one).convert("RGB") for one in (enlarged(plain, side), seen))
    wide = left.width + right.width + 3 * GAP
    lines, font = wrapped(told, right.width, caption_font()), caption_font()
    high, over = max(left.height, right.height), LINE + LEADING * (len(lines) - 1)
    tall = over + high + CHART + 3 * GAP
    picture = Image.new("RGB", (wide + wide % 2, tall + tall % 2), "white")  # films want even sides
    draw = ImageDraw.Draw(picture)
    draw.text((GAP, GAP // 2), f"frame {t + 1} of {len(share)}", fill=INK, font=font)
    for k, line in enumerate(lines):
        draw.text((left.width + 2 * GAP, GAP // 2 + LEADING * k), line, fill=INK, font=font)
    picture.paste(left, (GAP, over + GAP // 2))
    picture.paste(right, (left.width + 2 * GAP, over + GAP // 2))
    _bars(draw, share, t, (GAP, over + high + GAP, wide - GAP, tall - GAP))
    return picture


def _bars(draw: ImageDraw.ImageDraw, share: Sequence[float], t: int, box: tuple[int, int, int, int]) -> None:
    """A bar for each frame's share of the map; this frame's in colour."""
    left, top, right, bottom = box
    step, most = (right - left) / len(share), max(share) or 1.0
    for k, value in enumerate(share):
        ends = (
            left + k * step + 1,
            bottom - (bottom - top) * value / most,
            left + (k + 1) * step - 1,
            bottom,
        )
        draw.rectangle(ends, fill=PALETTE[1] if k == t else SOFT)


def write_film(frames: Sequence[Image.Image], path: Path, rate: int = 8) -> None:
    """A .gif or .mp4 file, by the name's ending, of ``rate`` frames a second."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_gif(frames, rate) if path.suffix == ".gif" else _mp4(frames, rate))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}", "is the disk full?") from None


def _gif(frames: Sequence[Image.Image], rate: int) -> bytes:
    """Each frame with the 256 colours that fit it best, undithered: a colour means the same throughout."""
    how = Image.Quantize.MAXCOVERAGE
    first, *rest = (frame.quantize(256, how, kmeans=1, dither=Image.Dither.NONE) for frame in frames)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=1000 // rate, loop=0, disposal=1)
    return buffer.getvalue()


def _mp4(frames: Sequence[Image.Image], rate: int) -> bytes:
    from .mp4 import encode

    return encode(frames, rate)
