"""The control of a change: the same change with its pixels elsewhere, as large in every norm."""

import torch
from torch import Tensor

from ..rows import stable_number
from ..views import from_uint8, to_uint8


def shuffled(image: Tensor, changed: Tensor, seed: int, id: str) -> Tensor:
    """An image [C, *space] with the change of another, its positions permuted, cut to [0, 1] as a file holds it.

    The order belongs to the image's ``id``. Where the image has no room for a value it loses some of its size.
    """
    change = (changed - image).flatten(1)
    stream = torch.Generator().manual_seed(stable_number(seed, "shuffled", id))
    moved = change[:, torch.randperm(change.shape[1], generator=stream)].view_as(image)
    return from_uint8(to_uint8((image + moved).clamp(0, 1)))
