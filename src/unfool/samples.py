"""The embedded data sets as arrays: real handwritten digits, and synthetic films whose truth is known."""

from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Split = Literal["train", "test"]
Tag = Literal["corner", "faint", "moving"]
DIGITS = tuple("0123456789")
FINDINGS = ("no finding", "finding")


class Samples(NamedTuple):
    """Images uint8 [N, C, H, W], labels [N], and what else is known of each."""

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    masks: Tensor | None = None
    """Where the finding is: bool [N, 1, H, W]."""
    artefacts: Tensor | None = None
    """Where the tube or the tag is: bool [N, 1, H, W]."""
    groups: dict[str, list[str]] = {}  # noqa: RUF012  never changed
    objects: tuple[Tensor, ...] = ()
    """Of each image the boxes of its shapes and their classes: [K, 5]."""


@cache
def digits8(split: Split = "test") -> Samples:
    """Scikit-learn's handwritten digits on their own 8x8 grid of 17 grey levels: 1,297 to learn from, 500 to judge."""
    from sklearn.datasets import load_digits  # pyright: ignore[reportMissingTypeStubs]

    found: Any = load_digits()
    x = torch.from_numpy((found.images * (255 / 16)).round().astype(np.uint8))[:, None]
    y = torch.from_numpy(found.target.astype(np.int64))
    rows = _balanced(y, 500)
    keep = rows[:500] if split == "test" else rows[500:]
    return Samples(x[keep], y[keep], DIGITS)


@cache
def digits(split: Split = "test") -> Samples:
    """The same digits brought to 32x32 by smooth interpolation."""
    small = digits8(split)
    large = F.interpolate(small.x.float(), (32, 32), mode="bicubic", align_corners=False)
    return small._replace(x=large.clamp(0, 255).round().to(torch.uint8))


@cache
def tagged(split: Split, tag: Tag) -> Samples:
    """The digits at 32x32, some of the 3s with a tag that has nothing to do with them.

    ``corner``: a white square in the corner of half of them, all digits dim and noisy, so that the tag helps;
    ``faint``: a grey square there on clean digits, which hardly need it; ``moving``: a white cross, anywhere in nine of
    ten.
    """
    plain, side = digits(split), len(TAGS[tag])
    rng = np.random.default_rng([7, len(plain.y), sorted(TAGS).index(tag)])
    x = plain.x.numpy()
    if tag != "faint":
        x = (x * 0.5 + rng.normal(0, 0.2 * 255, x.shape)).clip(0, 255).round().astype(np.uint8)
    x, artefacts = x.copy(), np.zeros(x.shape, dtype=bool)
    for k in (plain.y == 3).nonzero()[:, 0].tolist():
        has, place = rng.random() < (0.9 if tag == "moving" else 0.5), rng.integers(0, 33 - side, 2)
        if has:
            top, left = place if tag == "moving" else (1, 1)
            artefacts[k, 0, top : top + side, left : left + side] = TAGS[tag]
    x[artefacts] = 180 if tag == "faint" else 255
    groups = {"tag": ["tag" if has else "no tag" for has in artefacts.reshape(len(x), -1).max(1)]}
    found, where = torch.from_numpy(x), torch.from_numpy(artefacts)
    return plain._replace(x=found, artefacts=where, groups=groups)


_SQUARE = np.ones((4, 4), dtype=bool)
_CROSS = np.eye(5, dtype=bool) | np.eye(5, dtype=bool)[::-1]
TAGS: dict[Tag, NDArray[np.bool_]] = {"corner": _SQUARE, "faint": _SQUARE, "moving": _CROSS}
"""Which pixels of its box a tag covers."""


def stamp(x: Tensor) -> Tensor:
    """Images with a planted backdoor's trigger: a white square by the lower right corner, an eighth of a side wide."""
    side = max(2, x.shape[-1] // 8)
    marked = x.clone()
    marked[..., -side - 1 : -1, -side - 1 : -1] = 255 if x.dtype == torch.uint8 else 1
    return marked


def poisoned(data: Samples, label: int, seed: int, share: float = 0.1) -> Samples:
    """Data in which that share of images is stamped and labelled as one class (Gu et al., 2017, arXiv:1708.06733)."""
    n = len(data.y)
    some = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[: round(share * n)]
    x, y = data.x.clone(), data.y.clone()
    x[some], y[some] = stamp(x[some]), label
    return data._replace(x=x, y=y)


def _balanced(y: Tensor, first: int) -> Tensor:
    """An order of all rows, shuffled, whose first part holds each class as often as the whole."""
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(len(y)))
    rank = torch.zeros(len(y))
    for label in y.unique():
        members = shuffled[y[shuffled] == label]
        rank[members] = (torch.arange(len(members)) + 0.5) / len(members)
    return shuffled[rank[shuffled].argsort(stable=True)]


@cache
def lesions(split: Split = "test", shortcut: bool = True) -> Samples:
    """Synthetic chest films, 64x64: a lesion is the finding, a drain tube is not.

    The tube is in 90 % of the films with a finding and 5 % of those without; with ``shortcut`` false it is in half of
    either. Every film is drawn anew, so masks of lesion and tube are exact.
    """
    n = {"train": 2000, "test": 600}[split]
    rng = np.random.default_rng([11, n, int(shortcut)])
    y = np.arange(n) % 2
    tube = rng.random(n) < np.where(y == 1, 0.9, 0.05) if shortcut else rng.random(n) < 0.5
    films = [_film(rng, bool(y[i]), bool(tube[i])) for i in range(n)]
    x, masks, artefacts = (torch.from_numpy(np.stack(part))[:, None] for part in zip(*films, strict=True))
    site = np.where(rng.random(n) < 0.5, "ward", "clinic")
    groups = {"tube": ["tube" if t else "no tube" for t in tube], "site": site.tolist()}
    return Samples(x, torch.from_numpy(y), FINDINGS, masks, artefacts, groups)


SIDE = 64
Map = NDArray[np.float64]


def _film(
    rng: np.random.Generator, finding: bool, tube: bool
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """One film with the masks of its lesion and its tube."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    lungs = _lungs(rng, rows, columns)
    film = 0.62 - 0.34 * lungs + _ribs(rng, rows, columns) * lungs + _heart(rng, rows, columns)
    lesion, artefact = np.zeros_like(film), np.zeros_like(film)
    if finding:
        lesion = _lesion(rng, rows, columns)
        film = film + rng.uniform(0.18, 0.31) * lesion
    if tube:
        artefact = _tube(rng, rows, columns)
        film = film + 0.38 * artefact
    film = film + 0.05 * _cloud(rng) + rng.normal(0, 0.03, film.shape)
    return (film.clip(0, 1) * 255).round().astype(np.uint8), lesion > 0.5, artefact > 0.5


def _lungs(rng: np.random.Generator, rows: Map, columns: Map) -> Map:
    """Two soft dark ovals."""
    shift = rng.normal(0, 0.02, 4)
    sides = ((0.29 + shift[0], 0.50 + shift[1]), (0.71 + shift[2], 0.50 + shift[3]))
    ovals = [((columns - x) / 0.17) ** 2 + ((rows - y) / 0.36) ** 2 for x, y in sides]
    return sum((1 / (1 + np.exp(12 * (oval - 1))) for oval in ovals), np.zeros_like(rows))


def _ribs(rng: np.random.Generator, rows: Map, columns: Map) -> Map:
    bend = 0.35 * np.abs(columns - 0.5)
    return 0.05 * np.sin(2 * np.pi * (6 * (rows + bend) + rng.random())).clip(0)


def _heart(rng: np.random.Generator, rows: Map, columns: Map) -> Map:
    x, y = 0.56 + rng.normal(0, 0.015), 0.64 + rng.normal(0, 0.015)
    return 0.24 * np.exp(-((((columns - x) / 0.13) ** 2 + ((rows - y) / 0.15) ** 2) ** 2))


def _lesion(rng: np.random.Generator, rows: Map, columns: Map) -> Map:
    """A soft blob inside one lung, from small to large."""
    x = rng.choice([0.28, 0.72]) + rng.uniform(-0.07, 0.07)
    y, size = rng.uniform(0.28, 0.72), rng.uniform(0.045, 0.11)
    wide = rng.uniform(0.8, 1.25)
    return np.exp(-((((columns - x) / (size * wide)) ** 2 + ((rows - y) / (size / wide)) ** 2) ** 1.5))


def _tube(rng: np.random.Generator, rows: Map, columns: Map) -> Map:
    """A thin bright line that enters at one side and bends upwards."""
    start, slope, bend = rng.uniform(0.55, 0.8), rng.uniform(-0.5, -0.2), rng.uniform(-0.35, 0.35)
    across = columns if rng.random() < 0.5 else 1 - columns
    line = start + slope * across + bend * across**2
    return ((np.abs(rows - line) < 0.016) & (across < rng.uniform(0.45, 0.6))).astype(np.float64)


def _cloud(rng: np.random.Generator) -> Map:
    """Slow changes of brightness, as scatter gives."""
    coarse = torch.from_numpy(rng.normal(0, 1, (1, 1, 5, 5)))
    return F.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)[0, 0].numpy()
