"""Six tiny single-shot detectors of the embedded scenes; ``python -m unfool.zoo.detectors`` trains them again.

They answer as torchvision's do in evaluation mode: for a list of images a list of dicts of boxes, labels and scores.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..boxes import without_doubles
from ..errors import SpecError, UnknownName
from ..scenes import SHAPES, SIDE, Scenes, scenes
from ..views import View, from_uint8
from .found import Found

WEIGHTS = Path(__file__).parent / "weights"
TYPICAL = 16.0
"""The side of a usual box, in pixels; widths and heights are told as multiples of it."""
LEAST = 0.05
"""Boxes of lower scores are not told."""


class SingleShot(nn.Module):
    """Convolutions on a coarse grid; each cell says which shape has its middle there, and its box."""

    def __init__(self, wide: int, stride: int):
        super().__init__()
        self.stride, twice = stride, 2 * wide
        steps = [(3, wide, 2), (wide, twice, 2), *[(twice, twice, 2)] * (stride == 8)]
        steps += [(twice, twice, 1)] * (2 if stride == 4 else 1)
        layers = [(nn.Conv2d(i, o, 3, s, 1), nn.ReLU()) for i, o, s in steps]
        self.body = nn.Sequential(*(layer for pair in layers for layer in pair))
        self.head = nn.Conv2d(twice, len(SHAPES) - 1 + 4, 1)

    def forward(self, images: Sequence[Tensor] | Tensor) -> list[dict[str, Tensor]]:
        logits, boxes = self.cells(torch.stack(list(images)))
        return [self._told(*row) for row in zip(logits.sigmoid(), boxes, strict=True)]

    def cells(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of every cell the logit of each shape and the box: [B, cells, 3] and [B, cells, 4]."""
        out = self.head(self.body(x))
        down, right = torch.meshgrid(
            *(torch.arange(n, device=x.device) for n in out.shape[2:]), indexing="ij"
        )
        cell = torch.stack([right, down], -1).flatten(0, 1).to(x)
        logits, shift, size = out.flatten(2).mT.split((len(SHAPES) - 1, 2, 2), 2)
        middle, half = (cell + 0.5 + shift) * self.stride, size.clamp(-3, 3).exp() * TYPICAL / 2
        return logits, torch.cat([middle - half, middle + half], 2)

    def _told(self, scores: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        best, label = scores.max(1)
        sure = (best > LEAST).nonzero()[:, 0]
        apart = boxes[sure] + 2 * SIDE * label[sure, None]  # boxes of different shapes are never doubles
        kept = sure[without_doubles(apart.detach(), best[sure].detach())]
        return {"boxes": boxes[kept], "labels": label[kept] + 1, "scores": best[kept]}


class Kind(NamedTuple):
    """A detector's channels, the pixels of its grid's cells, and the seed of its first weights."""

    width: int
    stride: int
    seed: int = 0


DETECTORS = {
    "scenes_small": Kind(8, 4),
    "scenes_twin": Kind(8, 4, seed=1),
    "scenes_wide": Kind(16, 4),
    "scenes_narrow": Kind(5, 8),
    "scenes_coarse": Kind(12, 8),
    "scenes_broad": Kind(24, 8),
}
"""The embedded detectors; the twin is the small one from another seed."""


def build_detector(name: str) -> nn.Module:
    """An embedded detector with its weights, in evaluation mode: ``small``, ``wide``, ``coarse`` and three others."""
    known = [key.partition("_")[2] for key in DETECTORS]
    if name not in known:
        raise UnknownName("embedded detector", name, known)
    kind = DETECTORS[f"scenes_{name}"]
    net = SingleShot(kind.width, kind.stride)
    held = load_file(WEIGHTS / f"scenes_{name}.safetensors")
    net.load_state_dict({key: value.float() for key, value in held.items()})
    return net.eval()


def embedded_detector(options: dict[str, str]) -> Found:
    """By ``net``; with ``width``, ``stride`` or ``seed``, one trained now."""
    own = {key: options.pop(key) for key in Kind._fields if key in options}
    if not own:
        return Found(
            build_detector(options.pop("net", "wide")), classes=SHAPES, view=View(channels=3), boxes=True
        )
    if not all(value.isdecimal() for value in own.values()):
        raise SpecError(f"{own} are no whole numbers", "unfool:scenes?width=12&stride=4&seed=1")
    kind = Kind(**{"width": 12, "stride": 4, **{key: int(value) for key, value in own.items()}})
    if kind.stride not in (4, 8) or not 1 <= kind.width <= 64:
        raise SpecError(
            f"width={kind.width}, stride={kind.stride} cannot be", "width is 1 to 64, stride 4 or 8"
        )
    return Found(trained_detector(kind), classes=SHAPES, view=View(channels=3), boxes=True)


def train(net: SingleShot, data: Scenes, epochs: int = 60) -> None:
    """Adam down a cosine on scenes whose shapes may be partly covered, so that not any sticker hides them."""
    x = from_uint8(data.x)
    wanted = [targets(net, boxes, labels) for boxes, labels in zip(data.boxes, data.labels, strict=True)]
    classes, boxes = (torch.stack(part) for part in zip(*wanted, strict=True))
    adam = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs * -(-len(x) // 50))
    for epoch in range(epochs):
        for rows in torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch)).split(50):
            seen = torch.stack([covered(x[k], data.boxes[k]) for k in rows.tolist()])
            adam.zero_grad()
            loss_of(net, seen, classes[rows], boxes[rows]).backward()
            adam.step()
            schedule.step()


def covered(image: Tensor, boxes: Tensor) -> Tensor:
    """Half of the shapes with a square of noise or of one colour in their middle, up to half as wide as they are."""
    image = image.clone()
    for left, top, right, bottom in boxes.tolist():
        share, plain, there = torch.rand(3).tolist()
        if there < 0.5:
            gap = (right - left) * (0.5 - share / 4)
            here = image[:, round(top + gap) : round(bottom - gap), round(left + gap) : round(right - gap)]
            here.copy_(torch.rand(3, 1, 1).expand_as(here) if plain < 0.5 else torch.rand_like(here))
    return image


def targets(net: SingleShot, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which shape each cell should tell (one-hot) and where: its middle lies in the box's inner third."""
    n = SIDE // net.stride
    down, right = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    at = (torch.stack([right, down], -1).flatten(0, 1) + 0.5) * net.stride
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    far = (at[:, None] - middle).abs().amax(2)  # [cells, shapes]
    near, which = far.min(1)
    hit = near <= torch.maximum(size[which].amin(1) / 6, torch.tensor(net.stride / 2))
    one_hot = F.one_hot(labels[which] - 1, len(SHAPES) - 1).float() * hit[:, None]
    return one_hot, boxes[which]


def loss_of(net: SingleShot, x: Tensor, classes: Tensor, boxes: Tensor) -> Tensor:
    logits, told = net.cells(x)
    hit = classes.sum(2)
    error = F.binary_cross_entropy_with_logits(logits, classes, reduction="none")
    hard = (logits.sigmoid() - classes).abs().square()  # easy cells are many and should not count
    place = ((told - boxes).abs().mean(2) / TYPICAL * hit).sum()
    return (4 * (error * hard * (1 + 3 * classes)).sum() + 2 * place) / hit.sum()


@cache
def trained_detector(kind: Kind) -> nn.Module:
    """A detector trained now, in a minute or less: always the same from the same kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(kind.seed)
        net = SingleShot(kind.width, kind.stride)
        train(net, scenes("train"))
    return net.eval()


def retrain(name: str) -> None:
    """Train one embedded detector and write its weights in half precision."""
    held = {key: value.half() for key, value in trained_detector(DETECTORS[name]).state_dict().items()}
    save_file(held, WEIGHTS / f"{name}.safetensors")


if __name__ == "__main__":
    for name in DETECTORS:
        retrain(name)
