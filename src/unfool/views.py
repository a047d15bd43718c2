"""How a picture becomes what a network was trained on: its size and channels. Colours and scale are Model's."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .errors import InputError
from .spec import Count, Spec


class View(Spec):
    """Shrink the shorter side to ``resize``, cut the middle ``crop`` square, keep ``channels``."""

    resize: Count | None = None
    """Shorter side in pixels after scaling; None keeps the picture's own size."""
    crop: Count | None = None
    """Side of the middle square that is kept; None keeps all."""
    channels: Count | None = None
    """1 turns colour into grey, 3 grey into colour; None keeps what is there."""
    bicubic: bool = False
    """Scale by bicubic instead of bilinear interpolation."""

    def __call__(self, picture: Image.Image) -> Tensor:
        """The picture as floats in [0, 1]: [C, H, W]."""
        return as_tensor(np.asarray(self.cut(self.scale(self.recolour(picture)))))

    def recolour(self, picture: Image.Image) -> Image.Image:
        grey = picture.mode in ("1", "L", "I", "F", "LA") or picture.mode.startswith("I;16")
        channels = self.channels or (1 if grey else 3)
        if channels not in (1, 3):
            raise InputError(
                f"a picture has 1 or 3 channels, the network wants {channels}", "give the data as .npz"
            )
        if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
            picture = eight_bits(picture)
        return picture.convert("L" if channels == 1 else "RGB")

    def scale(self, picture: Image.Image) -> Image.Image:
        if not self.resize:
            return picture
        ratio = self.resize / min(picture.size)
        width, height = (max(1, int(side * ratio)) for side in picture.size)
        return picture.resize(
            (width, height), Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR
        )

    def cut(self, picture: Image.Image) -> Image.Image:
        if not self.crop:
            return picture
        left, top = (round((side - self.crop) / 2) for side in picture.size)
        return picture.crop((left, top, left + self.crop, top + self.crop))


def eight_bits(picture: Image.Image) -> Image.Image:
    """A 16-bit or float picture spread over its own range."""
    values = np.asarray(picture, dtype=np.float64)
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) / max(high - low, 1e-12) * 255).round().astype(np.uint8))


def as_tensor(values: Any) -> Tensor:
    """Pixels of one picture as floats in [0, 1], channels first: [H, W] or [H, W, C] -> [C, H, W]."""
    t = torch.from_numpy(np.array(values, dtype=np.float32)) / 255
    return t[None] if t.ndim == 2 else t.permute(2, 0, 1).contiguous()


def to_uint8(x: Tensor) -> Tensor:
    """Images in [0, 1] as the 8-bit file would hold them, rounded rather than truncated."""
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def from_uint8(x: Tensor) -> Tensor:
    return x.float() / 255


def to_picture(image: Tensor) -> Image.Image:
    """One image in [0, 1] as an 8-bit picture: [C, H, W]; one channel is grey, three are colour."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise InputError(f"a picture is [1 or 3, H, W], not {list(image.shape)}", "save it as .npz instead")
    pixels = to_uint8(image).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
