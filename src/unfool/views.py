"""How a picture becomes what a network was trained on: its size and channels. Colours and scale are Model's."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
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

    def numbers(self, picture: Image.Image) -> Tensor:
        """A picture of whole numbers, such as classes, cut in the same way without mixing them: [1, H, W] int64."""
        if self.resize:
            picture = picture.resize(self._scaled(picture.size), Image.Resampling.NEAREST)
        return torch.from_numpy(np.array(self.cut(picture))).long()[None]

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
        how = Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR
        return picture.resize(self._scaled(picture.size), how)

    def cut(self, picture: Image.Image) -> Image.Image:
        if not self.crop:
            return picture
        left, top = self._corner(picture.size)
        return picture.crop((left, top, left + self.crop, top + self.crop))

    def boxes(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Where boxes [K, 4] of a picture of width and height ``size`` are once it is cut, as far as they are in it."""
        scaled = self._scaled(size)
        left, top = self._corner(scaled)
        ratios = boxes.new_tensor([scaled[0] / size[0], scaled[1] / size[1]] * 2)
        moved = boxes * ratios - boxes.new_tensor([left, top] * 2)
        ends = (self.crop, self.crop) if self.crop else scaled
        return moved.clamp_min(0).minimum(boxes.new_tensor([*ends, *ends]))

    def of(self, x: Tensor) -> Tensor:
        """The same of an image that is numbers in [0, 1] already: volumes and series are cut in their planes alone."""
        x = self._recoloured(x)
        size = (x.shape[-1], x.shape[-2])
        planes = x.flatten(0, -3)[None]  # [1, C * ..., H, W]
        if self.resize:
            how = "bicubic" if self.bicubic else "bilinear"
            planes = F.interpolate(planes, self._scaled(size)[::-1], mode=how, antialias=True).clamp(0, 1)
        if self.crop:
            planes = F.pad(planes, [-n for n in self._margins(size)])
        return planes.view(*x.shape[:-2], *planes.shape[-2:])

    def back(self, heat: Tensor, size: tuple[int, int]) -> Tensor:
        """A map of the cut image on the grid it came from, of width and height ``size``; 0 where nothing was seen."""
        planes = heat.flatten(0, -3)[None]
        if self.crop:
            planes = F.pad(planes, self._margins(size))
        if tuple(planes.shape[-2:]) != self._scaled(size)[::-1]:
            raise InputError(
                f"a map {list(heat.shape[-2:])} is not of a picture of {list(size[::-1])} as {self} cuts it"
            )
        if self.resize:
            planes = F.interpolate(planes, size[::-1], mode="bilinear", align_corners=False)
        return planes.view(*heat.shape[:-2], *planes.shape[-2:])

    def _recoloured(self, x: Tensor) -> Tensor:
        if self.channels in (None, x.shape[0]):
            return x
        if {self.channels, x.shape[0]} != {1, 3}:
            raise InputError(f"the images have {x.shape[0]} channels, the network wants {self.channels}")
        return x.expand(3, *x.shape[1:]) if x.shape[0] == 1 else x.mean(0, keepdim=True)

    def _margins(self, size: tuple[int, int]) -> list[int]:
        """What is cut off at the left, right, top and bottom once the picture is scaled."""
        (width, height), crop = self._scaled(size), self.crop or 0
        left, top = self._corner((width, height))
        return [left, width - left - crop, top, height - top - crop]

    def _scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        if not self.resize:
            return size
        ratio = self.resize / min(size)
        return max(1, int(size[0] * ratio)), max(1, int(size[1] * ratio))

    def _corner(self, size: tuple[int, int]) -> tuple[int, int]:
        """Left and top of what is cut out."""
        crop = self.crop
        return (0, 0) if not crop else (round((size[0] - crop) / 2), round((size[1] - crop) / 2))


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
