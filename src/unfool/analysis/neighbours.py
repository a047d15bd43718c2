"""Nearest images in a network's features, beside those in pixels and of random weights; copies between two sets."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.base import Source
from ..model import Model
from ..rows import stable_number
from ..runs.neighbours import Neighbours, Space, model_names
from .nearest import Gallery, Keys, Near, nearest
from .rates import Rate, mean_share, rate

PAIRS = 2000
"""So many random pairs tell how far apart two images usually are."""
LISTED = 60
"""So many pairs suspected of being copies are listed at most."""


class Copy(NamedTuple):
    """Two images suspected of being one; distances are shares of the median of random pairs."""

    id: str
    other: str
    pixels: float
    features: float
    same_bytes: bool
    labels: tuple[str, str]


class Copies(NamedTuple):
    """How many images of the data have a copy: with the same pixels, near in pixels, near in features, in either."""

    among: str
    """Where copies were looked for."""
    counts: dict[str, Rate]
    pairs: tuple[Copy, ...]
    apart: dict[str, Tensor]
    """How far each image is from its nearest other one, by space, as a share of the median: [N]."""


class Shown(NamedTuple):
    """A query, and its nearest by space: (id, label, distance, whether of another class)."""

    id: str
    label: str
    near: dict[str, tuple[tuple[str, str, float, bool], ...]]


class Studied(NamedTuple):
    """All that is known of the neighbours."""

    plan: Neighbours
    classes: tuple[str, ...]
    precision: dict[str, Rate]
    chance: float
    shown: tuple[Shown, ...]
    usual: dict[str, float]
    """The median distance of random pairs by space."""
    copies: tuple[Copies, ...]
    """Among the training data first, where there are some, then within the data."""
    n: tuple[int, int]
    """Queries, and images among which neighbours were looked for."""


def study(plan: Neighbours, own: Space, training: Space | None, model: Model, source: Source) -> Studied:
    """Neighbours of every image, precision of the labels among them, and copies."""
    gallery = own if training is None else training
    near = {
        name: nearest(own.vectors[name], gallery.vectors[name], plan.k, plan.metric, _keys(own, gallery))
        for name in own.vectors
    }
    names = model_names(model, source)
    usual = {name: usual_distance(gallery.vectors[name], plan) for name in own.vectors}
    sets = [("the training data", training), ("the data themselves", own)]
    copies = [copies_of(plan, own, other, usual, among, names) for among, other in sets if other is not None]
    return Studied(
        plan,
        names,
        {name: precision(found, own.y, gallery.y) for name, found in near.items()},
        chance(own.y, gallery.y),
        tuple(_shown(k, own, gallery, near, names) for k in queries(plan, own)),
        usual,
        tuple(copies),
        (len(own.ids), len(gallery.ids)),
    )


def _keys(own: Space, gallery: Space) -> Keys:
    return Keys(own.digest, gallery.digest)


def precision(near: Near, y: Tensor, labels: Tensor) -> Rate:
    """The share of the nearest with the query's label, over queries and neighbours that have one."""
    found = labels[near.which.clamp_min(0)]
    counts = (near.which >= 0) & (found >= 0)
    share = ((found == y[:, None]) & counts).sum(1) / counts.sum(1).clamp_min(1)
    return mean_share(share[(y >= 0) & counts.any(1)])


def chance(y: Tensor, labels: Tensor) -> float:
    """The precision of neighbours drawn at random."""
    known, labels = y[y >= 0], labels[labels >= 0]
    if not len(known) or not len(labels):
        return float("nan")
    return float((known[:, None] == labels[None]).double().mean())


def usual_distance(vectors: Tensor, plan: Neighbours) -> float:
    """The median distance of random pairs."""
    stream = torch.Generator().manual_seed(stable_number(plan.seed, "pairs") % 2**63)
    n = len(vectors)
    first = torch.randint(n, (PAIRS,), generator=stream)
    other = (first + torch.randint(1, max(2, n), (PAIRS,), generator=stream)) % n
    return float(distance(vectors[first], vectors[other], plan.metric).median())


def distance(a: Tensor, b: Tensor, metric: str) -> Tensor:
    """Row by row: [N]."""
    if metric == "cosine":
        return (F.normalize(a.double(), dim=1) - F.normalize(b.double(), dim=1)).square().sum(1) / 2
    return (a.double() - b.double()).norm(dim=1)


def queries(plan: Neighbours, own: Space) -> list[int]:
    """Those named, or the first of each class in turn."""
    if plan.ids:
        return [own.ids.index(i) for i in plan.ids if i in own.ids]
    seen: dict[int, int] = {}
    turn = [_turn(seen, y) for y in own.y.tolist()]
    return sorted(range(len(turn)), key=lambda k: (turn[k], k))[: plan.images]


def _turn(seen: dict[int, int], y: int) -> int:
    seen[y] = seen.get(y, 0) + 1
    return seen[y]


def _shown(k: int, own: Space, gallery: Space, near: Mapping[str, Near], names: tuple[str, ...]) -> Shown:
    def row(found: Near) -> tuple[tuple[str, str, float, bool], ...]:
        pairs = zip(found.which[k].tolist(), found.distance[k].tolist(), strict=True)
        y = int(own.y[k])
        return tuple(
            (
                gallery.ids[i],
                name_of(int(gallery.y[i]), names),
                d,
                y >= 0 and int(gallery.y[i]) not in (y, -1),
            )
            for i, d in pairs
            if i >= 0
        )

    return Shown(
        own.ids[k], name_of(int(own.y[k]), names), {name: row(found) for name, found in near.items()}
    )


def name_of(y: int, names: tuple[str, ...]) -> str:
    return "no label" if y < 0 else names[y] if y < len(names) else str(y)


def copies_of(
    plan: Neighbours,
    own: Space,
    other: Space,
    usual: Mapping[str, float],
    among: str,
    names: tuple[str, ...],
) -> Copies:
    """Pairs that are near in pixels or in features, and how many of the data have one."""
    itself = Keys(torch.arange(len(own.ids)), torch.arange(len(other.ids))) if other is own else None
    spaces = ("pixels", "features")
    nearest_one = {
        name: Gallery(other.vectors[name], plan.metric).nearest(own.vectors[name], 1, itself).which[:, 0]
        for name in spaces
    }
    apart = {
        name: torch.stack([_apart(own, other, index, name, plan, usual) for index in nearest_one.values()])
        for name in spaces
    }  # [2 candidates, N] each
    close = {name: apart[name].amin(0) <= plan.near for name in spaces}
    twins = torch.stack([own.digest == other.digest[index] for index in nearest_one.values()])
    counts = {
        "the same pixels": rate(twins.any(0)),
        "near in pixels": rate(close["pixels"]),
        "near in features": rate(close["features"]),
        "near in both": rate(((apart["pixels"] <= plan.near) & (apart["features"] <= plan.near)).any(0)),
    }
    pairs = _pairs(own, other, list(nearest_one.values()), apart, twins, plan.near, names, other is own)
    return Copies(among, counts, pairs, {name: apart[name].amin(0) for name in spaces})


def _apart(
    own: Space, other: Space, index: Tensor, name: str, plan: Neighbours, usual: Mapping[str, float]
) -> Tensor:
    found = distance(own.vectors[name], other.vectors[name][index], plan.metric)
    return found / max(usual[name], 1e-30)


def _pairs(
    own: Space,
    other: Space,
    indices: list[Tensor],
    apart: Mapping[str, Tensor],
    twins: Tensor,
    near: float,
    names: tuple[str, ...],
    within: bool,
) -> tuple[Copy, ...]:
    """Every pair once, the nearest first."""
    found: dict[tuple[str, str], Copy] = {}
    for c, index in enumerate(indices):
        pixels, features = apart["pixels"][c], apart["features"][c]
        for k in ((pixels <= near) | (features <= near)).nonzero()[:, 0].tolist():
            i = int(index[k])
            pair = (own.ids[k], other.ids[i])
            labels = (name_of(int(own.y[k]), names), name_of(int(other.y[i]), names))
            one = Copy(*pair, float(pixels[k]), float(features[k]), bool(twins[c, k]), labels)
            found.setdefault(tuple(sorted(pair)) if within else pair, one)  # pyright: ignore[reportArgumentType]
    return tuple(sorted(found.values(), key=lambda one: (one.pixels * one.features, one.pixels))[:LISTED])
