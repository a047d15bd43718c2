"""What made images are worth: how near to real ones they are, and how sure a network is of plain noise."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..model import Model
from ..rows import Rng
from ..scores import mean_scores
from .rates import Rate, rate


class Nearest(NamedTuple):
    """For each image the real one nearest to it in L2, and how far that is."""

    which: Tensor
    distance: Tensor


def nearest(x: Tensor, real: Tensor) -> Nearest:
    distance, which = torch.cdist(x.flatten(1), real.flatten(1)).min(1)
    return Nearest(which, distance)


def usual_distance(real: Tensor) -> float:
    """The median distance of a real image to the nearest other one: what a distance is to be compared with."""
    between = torch.cdist(real.flatten(1), real.flatten(1)).fill_diagonal_(torch.inf)
    return float(between.min(1).values.median())


class Sureness(NamedTuple):
    """How often images of uniform noise are taken for some class with at least ``confidence``."""

    confidence: float
    noise: Rate


def noise_control(
    model: Model, like: Tensor, levels: list[float], n: int = 1000, seed: int = 0
) -> list[Sureness]:
    """The share of random-noise images that reach each level of confidence in any class."""
    best: list[Tensor] = []
    for some in torch.arange(n).split(model.capacity):
        rng = Rng.seeded(seed, [f"noise {k}" for k in some.tolist()], like.device)
        logits = model(rng.uniform(like.new_empty(len(some), *like.shape[1:]), 0, 1).to(model.device))
        best.append(mean_scores(logits).softmax(1).amax(1).cpu())
    found = torch.cat(best)
    return [Sureness(level, rate(found >= level)) for level in levels]
