"""Images as vectors: what a layer gives for them, or their own pixels."""

from hashlib import blake2b
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..grids import grid_of
from ..hooks import hooked
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..rows import Batch
from ..spec import Count
from ..views import to_uint8

HEADS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Embed(Method):
    """What a layer gives for each image, as one vector: its mean over positions where it has them.

    Without a name it is the penultimate representation: what the last linear layer, or convolution, is given.
    """

    layer: str = ""

    def columns(self, question: Question, batch: Batch) -> Columns:
        model = question.model
        looked_into(model)
        found = activation(model, batch.x, self.layer)
        return {"embedding": pooled(found, batch.x).float().cpu()}


class EmbedPixels(Method):
    """The image itself as one vector, brought to at most ``side`` positions a dimension by averaging.

    ``digest`` is a number that two images share where their 8-bit pixels are the same throughout.
    """

    side: Count = 32

    def columns(self, question: Question, batch: Batch) -> Columns:
        del question
        small = coarse(batch.x, self.side)
        return {"embedding": small.flatten(1).float(), "digest": digests(batch.x)}


def looked_into(model: Model) -> None:
    """Raise where a model has no layers, or tells boxes."""
    checked_model(model)
    if model.access != "gradients":
        raise InputError(
            f"{model.name} answers and shows no layers",
            "features need the network itself, such as file.py:net",
        )


def activation(model: Model, x: Tensor, layer: str = "") -> Tensor:
    """What a layer gives for images, or the last linear layer is given: [B, ...]."""
    if layer:
        with torch.no_grad():
            return model.trace(x, (layer,))[layer].detach()
    return penultimate(model, x)[1]


def penultimate(model: Model, x: Tensor) -> tuple[str, Tensor]:
    """The linear layer, or convolution, that the network uses last, and what that is given: [B, ...]."""
    last = list[tuple[str, Tensor]]()

    def watch(name: str) -> Any:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            if args and isinstance(args[0], Tensor) and args[0].ndim > 1 and len(args[0]) == len(x):
                last[:] = [(name, args[0])]

        return hook

    heads = [(module, watch(name)) for name, module in model.layers.items() if isinstance(module, HEADS)]
    with model.settled(), hooked(heads):
        model(x)
    if not last:
        raise InputError(
            f"{model.name} ends in no linear layer that could be found", "name a layer with --layer"
        )
    return last[0][0], last[0][1].detach().clone()


def pooled(t: Tensor, x: Tensor) -> Tensor:
    """The mean over a layer's positions, tokens without a place left out; what has none as it is: [B, D]."""
    grid = grid_of(tuple(t.shape), tuple(x.shape[2:])) if t.ndim > 2 else None
    return t.flatten(1) if grid is None else grid.maps(t).flatten(2).mean(2)


def coarse(x: Tensor, side: int) -> Tensor:
    """Images [B, C, *space] with no more than ``side`` positions a dimension."""
    space = [min(side, n) for n in x.shape[2:]]
    pools: Any = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
    if space == list(x.shape[2:]) or len(space) not in pools:
        return x
    return pools[len(space)](x, space)


def digests(x: Tensor) -> Tensor:
    """A 63-bit number for each image: that of its 8-bit pixels."""
    rows = to_uint8(x).cpu().contiguous().flatten(1).numpy()
    found = [int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest()) >> 1 for row in rows]
    return torch.tensor(found, dtype=torch.int64)
