"""Where a region of an image is: tinted, with its edge drawn."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .image import PALETTE, colour


def outlined(image: Tensor, here: Tensor, shade: int = 0) -> Tensor:
    """A region [h, w] over its greyed image: tinted, its edge in full colour [3, H, W]."""
    grey = colour(image).mean(0, keepdim=True).expand(3, -1, -1)
    mask = F.interpolate(here[None, None].float(), grey.shape[1:], mode="nearest")[0, 0]
    inside = -F.max_pool2d(-mask[None, None], 3, 1, 1)[0, 0]
    tint = torch.tensor(PALETTE[shade % len(PALETTE)], dtype=torch.float32)[:, None, None] / 255
    strength = 0.35 * inside + 0.95 * (mask - inside)
    return grey * (1 - strength) + tint * strength
