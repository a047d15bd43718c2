"""Synthetic hearts whose truth is known: a perfusion series with its chambers, and still images with three points."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .samples import Samples, Split

FRAMES, SIDE, STILL = 32, 40, 48
CHAMBERS = ("background", "LV", "RV")
POINTS = ("none", "large ring", "small ring", "apex")
SEEDS: dict[Split, tuple[int, int]] = {"train": (400, 21), "test": (100, 22)}
"""How many hearts a split has, and what they are drawn from."""

Map = NDArray[np.float64]


@cache
def cine(split: Split = "test") -> Samples:
    """First-pass perfusion series: 32 frames of 40x40 in which a bolus fills the right, then the left ventricle.

    ``masks`` are maps of classes, uint8 [N, 1, 40, 40]: 1 where the left, 2 where the right ventricle is. Before the
    bolus both look like what lies around them.
    """
    n, seed = SEEDS[split]
    rng = np.random.default_rng([seed, n])
    x, masks = zip(*(_series(rng) for _ in range(n)), strict=True)
    series, chambers = (torch.from_numpy(np.stack(part))[:, None] for part in (x, masks))
    return Samples(series, torch.full((n,), -1), CHAMBERS, chambers)


def _series(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One series [T, H, W] and the map of its chambers."""
    left, right, muscle, body, lungs = _anatomy(rng)
    t = np.arange(FRAMES)
    arrival, width = rng.uniform(3, 8), rng.uniform(1.2, 1.8)
    delay = rng.uniform(5, 8)
    curves = (
        (right, rng.uniform(0.5, 0.8) * bolus(t, arrival, width)),
        (lungs, rng.uniform(0.06, 0.14) * bolus(t, arrival + 0.6 * delay, 1.7 * width)),
        (left, rng.uniform(0.45, 0.75) * bolus(t, arrival + delay, 1.5 * width)),
        (muscle, rng.uniform(0.12, 0.22) * bolus(t, arrival + delay + 3, 3.5 * width)),
    )
    still = 0.16 * body + 0.05 * muscle - 0.08 * lungs + rng.uniform(0.3, 0.5) * _fat(rng, body)
    series = still + sum(part * curve[:, None, None] for part, curve in curves)
    series = series + rng.normal(0, 0.03, series.shape)
    chambers = np.where(left > 0.5, 1, np.where(right > 0.5, 2, 0)).astype(np.uint8)
    return (series.clip(0, 1) * 255).round().astype(np.uint8), chambers


def bolus(t: NDArray[np.int_], arrival: float, width: float) -> Map:
    """A gamma variate of peak 1 at ``arrival`` + 3 ``width``: how contrast agent passes."""
    s = (t - arrival).clip(0) / (3 * width)
    return s**3 * np.exp(3 * (1 - s))


def _anatomy(rng: np.random.Generator) -> tuple[Map, Map, Map, Map, Map]:
    """Left and right ventricle, the muscle about them, body and lungs: soft maps in [0, 1]."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    y, x = SIDE / 2 + rng.uniform(-4, 4), SIDE / 2 + rng.uniform(0, 5)
    radius, wall, angle = rng.uniform(4, 6), rng.uniform(1.6, 2.4), rng.uniform(-0.5, 0.5)
    far = np.hypot(rows - y, columns - x)
    left = _soft(radius - far)
    away = radius + wall + rng.uniform(1.5, 2.5)
    ry, rx = y - away * np.sin(angle), x - away * np.cos(angle)
    size = rng.uniform(5, 7)
    crescent = np.hypot((rows - ry) * 0.8, columns - rx)
    right = _soft(size - crescent) * _soft(far - radius - wall)
    muscle = _soft(radius + wall - far) * (1 - left)
    body = _soft(SIDE / 2 - 1.5 - np.hypot(rows - SIDE / 2, 0.92 * (columns - SIDE / 2)))
    chest = _soft(SIDE / 2 - 6 - np.hypot(rows - SIDE / 2, columns - SIDE / 2))
    lungs = _soft(np.abs(columns - SIDE / 2) - 4) * chest * (1 - np.maximum(np.maximum(left, right), muscle))
    return left, right, muscle, body, lungs


def _fat(rng: np.random.Generator, body: Map) -> Map:
    """A bright rim that no bolus reaches: brightness alone tells nothing."""
    inner = np.hypot(*np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j])
    return body * _soft((inner - rng.uniform(0.78, 0.84)) * SIDE / 2)


def _soft(distance: Map) -> Map:
    """1 inside, 0 outside, a pixel wide between."""
    return (distance + 0.5).clip(0, 1)


@cache
def landmarks(split: Split = "test") -> Samples:
    """Still images of a heart-like shape, 48x48: a large ring, a small ring, and the apex where two walls meet.

    ``masks`` are maps of classes, uint8 [N, 1, 48, 48]: a small disc about each point, whose centroid is the point.
    """
    n, seed = SEEDS[split]
    rng = np.random.default_rng([seed, STILL, n])
    x, masks = zip(*(heart(rng)[:2] for _ in range(n)), strict=True)
    images, discs = (torch.from_numpy(np.stack(part))[:, None] for part in (x, masks))
    return Samples(images, torch.full((n,), -1), POINTS, discs)


def heart(
    rng: np.random.Generator, shift: tuple[float, float] = (0.0, 0.0)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Map]:
    """One image, its discs and the three points (row, column); ``shift`` moves the apex alone."""
    rows, columns = np.mgrid[:STILL, :STILL].astype(np.float64)
    middle, angle = STILL / 2 + rng.uniform(-2, 2, 2), rng.uniform(-0.5, 0.5)
    long, wide = rng.uniform(26, 30), rng.uniform(18, 22)
    down, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    apex = middle + 0.5 * long * down + np.array(shift)
    base = middle - 0.4 * long * down
    large, small = base - 0.5 * wide * across, base + 0.5 * wide * across
    picture = 0.15 + 0.25 * _soft(
        1.2 - np.minimum(*(_to_line(rows, columns, apex, p) for p in (large, small)))
    )
    for point, radius, wall in ((large, 4.5, 1.6), (small, 2.6, 1.2)):
        far = np.hypot(rows - point[0], columns - point[1])
        ring = _soft(wall / 2 + 0.3 - np.abs(far - radius))
        picture = (
            picture * (1 - _soft(radius - far)) + 0.1 * _soft(radius - far) + rng.uniform(0.4, 0.6) * ring
        )
    picture = picture + rng.uniform(0.2, 0.35) * _soft(2.2 - np.hypot(rows - apex[0], columns - apex[1]))
    picture = picture + 0.06 * _waves(rng, rows, columns) + rng.normal(0, 0.04, picture.shape)
    points = np.stack([large, small, apex])
    discs = np.zeros_like(picture, dtype=np.uint8)
    for k, point in enumerate(points, 1):
        discs[np.hypot(rows - point[0], columns - point[1]) <= 2.2] = k
    return (picture.clip(0, 1) * 255).round().astype(np.uint8), discs, points


def _to_line(rows: Map, columns: Map, a: Map, b: Map) -> Map:
    """How far each pixel is from the straight line between two points."""
    way = b - a
    along = (((rows - a[0]) * way[0] + (columns - a[1]) * way[1]) / (way @ way)).clip(0, 1)
    return np.hypot(rows - a[0] - along * way[0], columns - a[1] - along * way[1])


def _waves(rng: np.random.Generator, rows: Map, columns: Map) -> Map:
    """Slow changes of brightness."""
    across, down, phase = rng.uniform(-0.25, 0.25), rng.uniform(-0.25, 0.25), rng.uniform(0, 2 * np.pi)
    return np.sin(across * columns + down * rows + phase)


def centres(discs: Tensor, points: int) -> Tensor:
    """The centroid of each class of a map of classes, row and column, NaN where there is none: [B, points, 2]."""
    found = discs.new_full((len(discs), points, 2), float("nan"), dtype=torch.float32)
    for b, one in enumerate(discs.flatten(0, 1) if discs.ndim == 4 else discs):
        for k in range(points):
            places = (one == k + 1).nonzero().float()
            if len(places):
                found[b, k] = places.mean(0)
    return found
