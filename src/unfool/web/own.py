"""Pictures that are dropped on the page: kept as files, and shown to each model as its own pre-processing would."""

import io
from typing import NamedTuple

from PIL import Image, ImageOps
from torch import Tensor

from ..data.folder import decoded
from ..errors import InputError
from ..model import Model
from ..views import View

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is decoded of what comes over the network: formats that hold pixels, no programs."""
MOST = 8
"""How many are kept, the latest."""


class Own(NamedTuple):
    """A picture's name and its file."""

    name: str
    content: bytes

    def picture(self) -> Image.Image:
        return decoded(io.BytesIO(self.content), self.name, FORMATS)


class Fitted(NamedTuple):
    """A picture as a model sees it [C, H, W], the view that makes it so, and what was done to it in words."""

    x: Tensor
    view: View | None
    told: str


def fitted(own: Own, model: Model, like: Tensor) -> Fitted:
    """A picture cut by the model's own view; where that leaves its size open, to the size of its images."""
    if like.ndim != 3:
        raise InputError(
            f"{own.name} is one picture, {model.name} is shown images {list(like.shape)}",
            "give series and volumes as DATA",
        )
    picture, (channels, height, width) = own.picture(), like.shape
    view = model.view or View()
    if not view.crop:
        view = View(height if height == width else None, height if height == width else None, channels)
    size, mode = picture.size, picture.mode
    if height != width and not view.crop:
        x = view(ImageOps.fit(picture, (width, height)))
        return Fitted(x, None, told(size, mode, f"scaled and cut to {width}x{height}", x))
    x = view(picture)
    if x.shape[-2:] == (size[1], size[0]):
        return Fitted(x, view, told(size, mode, "", x))
    scaled = f"shorter side scaled to {view.resize}" if view.resize else ""
    return Fitted(
        x,
        view,
        told(size, mode, ", ".join(filter(None, (scaled, f"middle {view.crop}x{view.crop} kept"))), x),
    )


def told(size: tuple[int, int], mode: str, how: str, x: Tensor) -> str:
    """What was done to a picture, in a sentence."""
    grey = mode in ("1", "L", "I", "F", "LA") or mode.startswith("I;16")
    colours = (
        "made grey" if x.shape[0] == 1 and not grey else "grey as colour" if x.shape[0] == 3 and grey else ""
    )
    done = ", ".join(filter(None, (colours, how)))
    return f"{size[0]}x{size[1]} {'in grey' if grey else 'in colour'}: {done or 'taken as it is'}."
