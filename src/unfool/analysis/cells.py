"""Activations laid out in two dimensions and cut into cells; what is told of a cell, beside what shuffled ones give."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import InputError
from ..rows import stable_number
from ..runs.atlas import Atlas
from ..runs.work import atomically
from .layouts import Quality, components, quality, scattered
from .nearest import nearest
from .pacmaps import pacmap_of
from .rates import Mean, mean_of
from .tsne import tsne

K = 10
"""Of how many nearest activations it is counted how many stay so in a layout."""
EDGE = 0.01
"""This share of the activations at either end of an axis goes into its last cells."""
RARE = 0.05
"""How often what chance gives may be above a bar."""
PUSH, MOST = 0.5, 2.0
"""How far a layer is moved along a cell, in median distances of activations from their mean; how much of it at most."""


class Group(NamedTuple):
    """The activations of one cell, by their numbers; cells are counted row by row from the bottom left."""

    name: str
    number: int
    members: Tensor


class Effect(NamedTuple):
    """What moving the layer along a cell does to the classes, in several images: [images, classes]."""

    each: Tensor
    best: int
    """The class it raises most."""
    sure: bool
    """Whether that is above what shuffled cells reach."""

    @property
    def mean(self) -> Tensor:
        return self.each.mean(0)

    def of(self, label: int) -> Mean:
        """On one class, with its interval over images."""
        return mean_of(self.each[:, label].tolist())


class Argued(NamedTuple):
    """What cells argue for, and what cells of shuffled activations do, moved along as far and at the same places.

    ``most`` is what 1 of 20 of these is above for the class it raises most, ``each`` the same for every class.
    ``largest`` are the median effects on that class, of cells and of shuffled ones; ``ranks`` the share of classes that
    rank below the labels of the nearest real positions, None where those are unknown.
    """

    effects: list[Effect]
    most: float
    each: Tensor
    largest: tuple[float, float]
    ranks: tuple[Mean, Mean] | None


def laid_out(plan: Atlas, x: Tensor, folder: Path) -> tuple[Tensor, dict[str, Quality]]:
    """Where activations [N, K] lie, and what that keeps of the neighbourhoods, beside a plane and random places.

    Only their directions count. Those that are the same lie in the same place.
    """
    if plan.method == "tsne" and plan.perplexity > len(x) / 3:
        raise InputError(
            f"perplexity {plan.perplexity:g} is more than a third of {len(x)} activations",
            f"more of them, or --perplexity {max(1, len(x) // 10)}",
        )
    x = F.normalize(x, dim=1)
    view = _kept(plan, x, folder)
    several = {plan.method: view, "pca": components(x, 2), "random places": scattered(len(x), plan.seed)}
    return view, {name: quality(x, made, K, None, plan.seed) for name, made in several.items()}


def _kept(plan: Atlas, x: Tensor, folder: Path) -> Tensor:
    path = folder / "parts" / "layout.safetensors"
    if path.exists():
        return load_file(path)["view"]
    different, back = x.unique(dim=0, return_inverse=True)
    view = _made(plan, different)[back].contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomically(path, lambda draft: save_file({"view": view}, draft))
    return view


def _made(plan: Atlas, x: Tensor) -> Tensor:
    if plan.method == "pca" or len(x) < 3 * K:  # the others need neighbours
        return F.pad(components(x, 2), (0, max(0, 2 - min(x.shape))))
    if plan.method == "tsne":
        return tsne(components(x), min(plan.perplexity, len(x) / 3), plan.seed)
    return pacmap_of(components(x), plan.seed)


def cells_of(view: Tensor, grid: int) -> Tensor:
    """The number of the cell of each place [N, 2]: the grid spans all but the outermost, which its edges take in."""
    low, high = (torch.quantile(view.double(), q, dim=0) for q in (EDGE, 1 - EDGE))
    at = ((view - low) / (high - low).clamp_min(1e-12) * grid).long().clamp(0, grid - 1)
    return at[:, 1] * grid + at[:, 0]


def groups_of(cell: Tensor, least: int) -> list[Group]:
    """The cells that hold so many at least."""
    count = cell.bincount()
    return [
        Group(f"cell {number}", number, (cell == number).nonzero()[:, 0])
        for number in (count >= least).nonzero()[:, 0].tolist()
    ]


def shuffled(own: list[Group], n: int, seed: int) -> list[Group]:
    """For each cell one of as many of all ``n`` activations, no two of the same: the control."""
    stream = torch.Generator().manual_seed(stable_number(seed, "shuffled cells"))
    order = torch.randperm(n, generator=stream)[: sum(len(one.members) for one in own)]
    parts = order.split([len(one.members) for one in own])
    return [Group(f"shuffled {one.number}", one.number, part) for one, part in zip(own, parts, strict=True)]


def means_of(x: Tensor, groups: list[Group]) -> Tensor:
    """Each cell's mean activation: [n, K]."""
    return torch.stack([x[group.members].mean(0) for group in groups])


def weights_of(spot: Tensor, groups: list[Group], positions: int) -> Tensor:
    """How many of each cell's activations each position gives, in units of an even spread, at most 2: [n, positions].

    A layer is moved along a cell where that comes from, and no single position out of all proportion.
    """
    share = [spot[group.members].bincount(minlength=positions) / len(group.members) for group in groups]
    return (torch.stack(share) * positions).clamp_max(MOST)


def moves_of(ways: Tensor, weights: Tensor, far: float) -> Tensor:
    """How a layer is moved so far along each direction [n, K], at positions by their weights: [n, K, positions]."""
    return far * F.normalize(ways, dim=1)[:, :, None] * weights[:, None]


def argued(own: Tensor, control: Tensor) -> tuple[list[Effect], float, Tensor]:
    """What each cell argues for, of effects [n, images, classes]; the bars that 1 of 20 of the control is above."""
    chance = control.mean(1).double()
    most = float(chance.amax(1).quantile(1 - RARE))
    top = own.mean(1).max(1)
    found = [
        Effect(each, best, value > most)
        for each, best, value in zip(own, top.indices.tolist(), top.values.tolist(), strict=True)
    ]
    return found, most, torch.quantile(chance, 1 - RARE, dim=0)


def ranked(effect: Tensor, ways: Tensor, apart: Tensor, y: Tensor, near: int) -> Mean | None:
    """Which share of the classes each cell raises less than the labels of the activations nearest to it.

    Of effects [n, classes], directions [n, K], all activations less their mean [N, K], and labels [N], -1 where
    unknown. The mean over cells, with its interval.
    """
    which = nearest(ways, apart, min(near, len(apart)), "cosine").which
    found = list[float]()
    for on, labels in zip(effect, y[which], strict=True):
        known = labels[(labels >= 0) & (labels < len(on))]
        if len(known):
            found.append(float((on[:, None] < on[known]).double().sum(0).mean()) / max(1, len(on) - 1))
    return mean_of(found) if found else None
