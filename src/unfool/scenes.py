"""Synthetic street scenes, 48x48: octagons, circles and triangles on uneven ground, their boxes known exactly."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .samples import Samples, Split

SIDE = 48
SHAPES = ("background", "octagon", "circle", "triangle")
OCTAGON = 1
COLOURS = {
    1: ((0.75, 0.12, 0.12), (0.65, 0.2, 0.1)),
    2: ((0.15, 0.25, 0.7), (0.7, 0.15, 0.15)),
    3: ((0.85, 0.75, 0.1), (0.7, 0.2, 0.15)),
}
Map = NDArray[np.float64]


class Scenes(NamedTuple):
    """Images uint8 [N, 3, 48, 48]; of each the boxes [K, 4] and labels [K] of its shapes, the octagon's first."""

    x: Tensor
    boxes: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]


@cache
def scenes(split: Split = "test") -> Scenes:
    """Every scene has one octagon and up to two other shapes; colours tell octagons from the rest only in part."""
    n = {"train": 800, "test": 200}[split]
    rng = np.random.default_rng([17, n])
    made = [_scene(rng) for _ in range(n)]
    x = torch.from_numpy(np.stack([scene[0] for scene in made]))
    boxes = tuple(torch.tensor(scene[1], dtype=torch.float32) for scene in made)
    return Scenes(x, boxes, tuple(torch.tensor(scene[2]) for scene in made))


@cache
def scene_samples(split: Split = "test") -> Samples:
    """The scenes as other embedded data are; as a whole, they have no class."""
    found = scenes(split)
    pairs = zip(found.boxes, found.labels, strict=True)
    objects = tuple(torch.cat([boxes, labels[:, None].to(boxes)], 1) for boxes, labels in pairs)
    return Samples(found.x, torch.full((len(found.x),), -1), SHAPES, objects=objects)


def _scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[tuple[float, ...]], list[int]]:
    picture = _ground(rng)
    boxes: list[tuple[float, ...]] = []
    labels: list[int] = []
    for kind in (OCTAGON, *rng.integers(1, 4, rng.integers(0, 3)).clip(2)):
        box = _free(rng, boxes)
        if box is None:
            continue
        inside = _shape(int(kind), box)
        colour = np.array(COLOURS[int(kind)][rng.integers(2)]) + rng.normal(0, 0.05, 3)
        picture = picture * (1 - inside) + colour[:, None, None] * inside
        boxes.append(box)
        labels.append(int(kind))
    picture = picture * rng.uniform(0.75, 1.15) + rng.normal(0, 0.02, picture.shape)
    return (picture.clip(0, 1) * 255).round().astype(np.uint8), boxes, labels


def _ground(rng: np.random.Generator) -> Map:
    coarse = torch.from_numpy(rng.uniform(0.2, 0.8, (1, 3, 4, 4)))
    grey = coarse.mean(1, keepdim=True) * 0.7 + coarse * 0.3
    return F.interpolate(grey, (SIDE, SIDE), mode="bicubic", align_corners=False)[0].numpy()


def _free(rng: np.random.Generator, taken: list[tuple[float, ...]]) -> tuple[float, ...] | None:
    """A square box that overlaps none before it, None where there is hardly room."""
    for _ in range(20):
        size = rng.uniform(13, 21)
        left, top = rng.uniform(1, SIDE - 1 - size, 2)
        box = (left, top, left + size, top + size)
        if all(box[0] > b[2] or box[2] < b[0] or box[1] > b[3] or box[3] < b[1] for b in taken):
            return box
    return None


def _shape(kind: int, box: tuple[float, ...]) -> Map:
    """How much of each pixel a shape covers: [H, W]."""
    down, right = np.mgrid[:SIDE, :SIDE] + 0.5
    half = (box[2] - box[0]) / 2
    x, y = right - (box[0] + box[2]) / 2, down - (box[1] + box[3]) / 2
    if kind == OCTAGON:
        out = np.maximum(np.maximum(abs(x), abs(y)), (abs(x) + abs(y)) / np.sqrt(2))
    elif kind == 2:
        out = np.sqrt(x**2 + y**2)
    else:
        out = np.maximum(y, (2 * abs(x) - y - half) / np.sqrt(5) + half)
    return (half - out + 0.5).clip(0, 1)
