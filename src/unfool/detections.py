"""Detectors: models that tell boxes instead of one label."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .errors import InputError
from .model import Model

BOX, SCORE, LABEL = slice(0, 4), 4, 5


class Detections(nn.Module):
    """A detector's lists of boxes as one tensor: left, top, right, bottom, score and label of each, [B, 6, N].

    ``net`` is anything that answers as torchvision's detectors do in evaluation mode. Rows with fewer boxes than the
    fullest are filled with boxes of score 0 and label -1.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        images = list(x)
        told = self.net(images)
        most = max([1, *(len(row["scores"]) for row in told)])
        return torch.stack([self._filled(row, image, most) for row, image in zip(told, images, strict=True)])

    def _filled(self, row: dict[str, Tensor], image: Tensor, most: int) -> Tensor:
        parts = (row["boxes"].T, row["scores"][None], row["labels"].to(image)[None])
        found = torch.cat([part.to(image) for part in parts])
        blank = found.new_zeros(6, most - found.shape[1])
        blank[LABEL] = -1
        # where there is no box there still is a gradient: zero
        return torch.cat([found, blank], 1) + 0 * image.sum()


def detector(net: nn.Module, classes: Sequence[str] = (), **how: Any) -> Model:
    """A :class:`Model` of anything that answers as torchvision's detectors do in evaluation mode.

    ``classes`` are the names of its labels, the background's first, as torchvision numbers them.
    """
    if not isinstance(net, nn.Module):
        raise InputError(f"a detector is a torch module, not {type(net).__name__}")
    how.setdefault("name", type(net).__name__)
    model = Model(Detections(net), outputs="logits", **how)
    model.classes = tuple(map(str, classes))
    return model


def finds_boxes(model: Model) -> bool:
    """Whether a model is a detector."""
    return isinstance(model.net, Detections)


def labels_of(model: Model) -> int | None:
    """How many labels a model tells apart, where that is known."""
    return len(model.classes) or None if finds_boxes(model) else model.width


def checked_detector(model: Model) -> None:
    """Raise unless a model tells boxes."""
    if not finds_boxes(model):
        raise InputError(
            f"{model.name} gives scores of classes: it is no detector",
            "unfool:scenes, a torchvision detector, or file.py:function that gives unfool.detector(net)",
        )


def told(model: Model, x: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of every image the boxes [K, 4], scores and labels that a detector finds in it, best first."""
    checked_detector(model)
    rows = [row[:, row[LABEL] >= 0].cpu() for row in model(x)]
    rows = [row[:, row[SCORE].argsort(descending=True, stable=True)] for row in rows]
    return [(row[BOX].T, row[SCORE], row[LABEL].long()) for row in rows]
