"""Images as vectors: what a layer gives for them, or their own pixels."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..grids import grid_of
from ..hooks import hooked
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..rows import Batch
from ..scores import mean_scores
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
        if self.layer:
            found = pooled(activation(model, batch.x, self.layer), batch.x)
        else:
            found = penultimate(model, batch.x).features
        return {"embedding": found.float().cpu()}


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
    return penultimate(model, x).given


class Head(NamedTuple):
    """What one pass tells of a network's end: its last linear layer, what that is given, the logits."""

    module: nn.Module
    name: str
    given: Tensor
    """[B, ...]"""
    logits: Tensor
    """[B, K]; of maps of scores their mean."""

    @property
    def features(self) -> Tensor:
        """The mean of what it is given over positions or tokens: [B, D]."""
        t = self.given.float()
        if t.ndim == 2:
            return t
        return t.flatten(1, -2).mean(1) if isinstance(self.module, nn.Linear) else t.flatten(2).mean(2)


def head_of(model: Model, x: Tensor) -> Head | None:
    """The linear layer, or convolution, that the network uses last for each image; None where there is none."""
    with model.settled():
        last, out = _used_last(model, len(x), lambda: model(x))
    return last and Head(*last[:2], last[2].detach().clone(), mean_scores(out))


def features_of(model: Model, x: Tensor) -> Tensor:
    """The features alone [B, D], where the model is, with their way back to the images."""
    last, _ = _used_last(model, len(x), lambda: model.trace(x))
    if last is None:
        raise InputError(
            f"{model.name} has no linear layer to take features from", "an alarm that sees images"
        )
    return Head(*last, last[2]).features


def _used_last(
    model: Model, n: int, run: Callable[[], Any]
) -> tuple[tuple[nn.Module, str, Tensor] | None, Any]:
    """The head that ``run`` uses last for ``n`` images, with what it is given; and what ``run`` returns."""
    last = list[tuple[nn.Module, str, Tensor]]()

    def watch(name: str) -> Any:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            if args and isinstance(args[0], Tensor) and args[0].ndim > 1 and len(args[0]) == n:
                last[:] = [(module, name, args[0])]

        return hook

    heads = [(module, watch(name)) for name, module in model.net.named_modules() if isinstance(module, HEADS)]
    with hooked(heads):
        out = run()
    return last[0] if last else None, out


def penultimate(model: Model, x: Tensor) -> Head:
    """The same, which must be there."""
    head = head_of(model, x)
    if head is None:
        raise InputError(
            f"{model.name} ends in no linear layer that could be found", "name a layer with --layer"
        )
    return head


def features_and_logits(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the last linear layer is given, [B, D], and the logits [B, K], of one pass, on the CPU.

    The features of a black box, and of a network without such a layer, are its logits.
    """
    features, logits = zip(*(_both(model, part) for part in x.split(model.capacity)), strict=True)
    return torch.cat(features).cpu(), torch.cat(logits).cpu()


def _both(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    head = head_of(model, x) if model.access == "gradients" else None
    if head is None:
        logits = mean_scores(model(x))
        return logits, logits
    return head.features, head.logits


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
