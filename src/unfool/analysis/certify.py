"""How many images are right for sure within each radius, and how many are until an attack is found."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..defences.smoothing import Smoothing
from ..runs.certify import Certify, Proven, radii
from .rates import Rate, Spread, rate, spread

GRID = 61
"""Radii of a curve."""


class Proof(NamedTuple):
    """What one certificate proves of the network itself."""

    name: str
    curve: tuple[Rate, ...]
    """The share right for sure at each radius of the grid."""
    radius: Spread
    """Of the images that are right."""
    share: Spread
    """The radius as a share of the distance that attacks need; infinite where none was found."""
    above: int
    """How many radii are larger than the distance that an attack needed: it must be none."""


class Smoothed(NamedTuple):
    """What a certificate proves of the smoothed network, and what an attack on that network finds."""

    name: str
    sigma: float
    clean: Rate
    """How often the smoothed network is right, where an abstention is not."""
    abstains: Rate
    curve: tuple[Rate, ...]
    attacked: dict[float, Rate]
    """By radius, how many the most votes have right."""
    broken: int
    """How many images an attack within their certified radius turned; of all, a share of alpha may be."""
    certified: int


class Told(NamedTuple):
    """Everything about the certificates of one network."""

    plan: Certify
    n: int
    clean: Rate
    grid: tuple[float, ...]
    proofs: tuple[Proof, ...]
    smoothed: tuple[Smoothed, ...]
    attack: tuple[Rate, ...]
    """The share right that no attack turned at each radius of the grid."""
    distance: Spread
    random: tuple[Rate, ...]
    """The same along one random direction an image."""


def told(found: Proven) -> Told:
    plan, tables = found.plan, found.tables
    first = tables["predict"]
    readable, ids = first.readable, first.ids
    eps = plan.within.radius
    assert isinstance(eps, float)
    grid = tuple(eps * k / (GRID - 1) for k in range(GRID))
    right = first["correct"].bool()
    best = _spread_out(nearest(found), found, ids)
    along = _spread_out(tables["random"]["radius"].double() * found.unit, found, ids)
    proofs, smoothed = list[Proof](), list[Smoothed]()
    for k, certificate in enumerate(plan.certificates):
        table = tables[f"proof-{k}"]
        sure = torch.where(table["correct"].bool(), table["radius"], -1.0)[readable]
        if isinstance(certificate, Smoothing):
            smoothed.append(_smoothed(found, k, certificate, sure, grid))
        else:
            proofs.append(_proof(repr(certificate), sure, best[readable], right[readable], grid))
    return Told(
        plan,
        int(readable.sum()),
        rate(right[readable]),
        grid,
        tuple(proofs),
        tuple(smoothed),
        _held(best[readable], grid),
        spread(best[right & readable]),
        _held(along[readable], grid),
    )


def nearest(found: Proven) -> Tensor:
    """How far the nearest image is that any attack has turned each image to that was right; infinite: none."""
    name = found.plan.within.norm.__name__.lower()
    sizes = [
        table[name].double().where(table["success"].bool(), torch.inf)
        for table in (found.tables[f"attack-{k}"] for k in range(len(found.plan.attacks)))
    ]
    return torch.stack(sizes).amin(0)


def _spread_out(values: Tensor, found: Proven, ids: tuple[str, ...]) -> Tensor:
    """Values of the images that are right, 0 for all others."""
    known = dict(zip(found.right, values.tolist(), strict=True))
    return torch.tensor([known.get(i, 0.0) for i in ids], dtype=torch.float64)


def _held(distance: Tensor, grid: tuple[float, ...]) -> tuple[Rate, ...]:
    return tuple(rate(distance > r) for r in grid)


def _proof(name: str, sure: Tensor, best: Tensor, right: Tensor, grid: tuple[float, ...]) -> Proof:
    return Proof(
        name,
        tuple(rate(sure >= r) for r in grid),
        spread(sure[right]),
        spread((sure / best.clamp_min(1e-300))[right & best.isfinite()]),
        int((sure > best)[right].sum()),
    )


def _smoothed(found: Proven, k: int, how: Smoothing, sure: Tensor, grid: tuple[float, ...]) -> Smoothed:
    elect, readable = found.tables[f"elect-{k}"], found.tables["predict"].readable
    attacked = {0.0: rate((elect["best"] == elect["y"])[readable])}
    broken = torch.zeros_like(sure, dtype=torch.bool)
    for j, radius in enumerate(radii(found.plan)):
        table = found.tables[f"elect-{k}-{j}"]
        wrong = (table["best"] != table["y"])[readable]
        attacked[radius] = rate(~wrong)
        broken |= wrong & (sure > radius)
    return Smoothed(
        repr(how),
        how.sigma,
        rate(elect["correct"].bool()[readable]),
        rate((elect["label"] < 0)[readable]),
        tuple(rate(sure >= r) if r else rate(sure > 0) for r in grid),
        attacked,
        int(broken.sum()),
        int((sure > 0).sum()),
    )
