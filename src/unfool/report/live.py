"""Maps of a report drawn by the studio's own code, with the numbers inside the page: how they look is chosen there."""

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from torch import Tensor

from ..maps import resize
from ..show.heat import scaled
from ..show.image import data_uri, png

STUDIO = ("dom.js", "paint.js")
"""The studio's modules that draw, in the order of their imports."""
WIDEST = 160
"""Of a map's numbers in a page, in positions: a report is one file that is sent."""


class Numbers(NamedTuple):
    """A map for the page: grey levels of a PNG file, and what they stand for."""

    uri: str
    """128 is 0; each level is a 127th of ``most``."""
    most: float
    top: float
    """What is drawn in full colour."""
    signed: bool = False
    """Whether maps beside it speak against something, so that its colours are those of such maps."""


@cache
def script() -> str:
    """All that draws, as one module that imports nothing."""
    studio = files("unfool.web").joinpath("static")
    parts = [studio.joinpath(name).read_text(encoding="utf-8") for name in STUDIO]
    parts.append(files("unfool.report").joinpath("templates", "live.js").read_text(encoding="utf-8"))
    alone = re.sub(r"^import [^;]*;\n", "", "\n".join(parts), flags=re.M)
    return re.sub(r"^export ", "", alone, flags=re.M)


def numbers(heat: Tensor, top: float = 0.0, signed: bool = False) -> Numbers:
    """A map [*, H, W], of several dimensions its middle, as it is drawn."""
    most = float(heat.abs().max())
    flat = scaled(heat, most).values
    high, wide = flat.shape
    share = min(1.0, WIDEST / max(high, wide))
    small = resize(flat[None, None], (round(high * share), round(wide * share)))[0]
    return Numbers(data_uri(png((128 + 127 * small).round() / 255)), most, scaled(heat, top).scale, signed)
