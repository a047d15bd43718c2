"""Any image as a picture people can look at."""

import base64
import io

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..views import to_picture


def drawable(image: Tensor) -> Tensor:
    """One or three channels in two dimensions: of a volume or series its middle, of many channels their mean."""
    while image.ndim > 3:
        image = image[:, image.shape[1] // 2]
    return image if image.shape[0] in (1, 3) else image.mean(0, keepdim=True)


def colour(image: Tensor) -> Tensor:
    """The same with three channels: [3, H, W] in [0, 1]."""
    return drawable(image).clamp(0, 1).expand(3, -1, -1)


def enlarged(image: Tensor, side: int = 224) -> Tensor:
    """Small images with their pixels as squares, up to about ``side``; large ones as they are."""
    factor = max(1, side // max(image.shape[-2:]))
    return F.interpolate(image[None], scale_factor=factor, mode="nearest")[0] if factor > 1 else image


def fitted(image: Tensor, side: int) -> Tensor:
    """The same with its longer side exactly that long: pixels as squares where it is much smaller, else smooth."""
    long = max(image.shape[-2:])
    size = [max(1, round(s * side / long)) for s in image.shape[-2:]]
    if side >= 3 * long:
        return F.interpolate(image[None], size, mode="nearest")[0]
    return F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0].clamp(
        0, 1
    )


def png(image: Tensor) -> bytes:
    """An 8-bit PNG file of [1 or 3, H, W] in [0, 1]."""
    return encoded(to_picture(image))


def encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A file inside a page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def class_colours(labels: Tensor, right: int) -> Tensor:
    """A map of classes as colours, white where it is the right one: [H, W] -> [3, H, W]."""
    palette = torch.tensor(PALETTE, dtype=torch.float32) / 255
    picture = palette[labels % len(palette)].permute(2, 0, 1)
    return torch.where(labels == right, torch.ones(()), picture)


PALETTE = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (110, 110, 110),
)
"""Colours that the colour-blind can tell apart (Okabe and Ito, 2008)."""
