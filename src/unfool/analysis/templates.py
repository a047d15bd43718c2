"""What a linear classifier of pixels looks for: a template a class, for several strengths of regularisation (R22)."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.base import Source
from ..errors import InputError
from ..rows import Batch, stable_number
from ..runs.begin import chosen
from ..views import View
from .rates import Rate, rate


class Linear(NamedTuple):
    """One fit z = W x + b, for one strength of regularisation."""

    strength: float
    """How freely weights may grow: scikit-learn's C."""
    weight: Tensor
    """[K, C, *]"""
    bias: Tensor
    train: Rate
    test: Rate
    like_mean: Tensor
    """The correlation of each template with the mean image of its class: [K]."""
    own_first: int
    """For how many classes that mean is the one the template is most like."""


class Plane(NamedTuple):
    """The plane of the images' two main directions, cut into the regions of a fit: [side, side] classes."""

    points: Tensor
    labels: Tensor
    regions: Tensor
    low: Tensor
    high: Tensor
    inside: float
    """The share of the images' variance that lies in the plane."""


class Templates(NamedTuple):
    """Fits over a range of strengths, the best on held-out images, and one on shuffled labels: the control."""

    classes: tuple[str, ...]
    means: Tensor
    fits: tuple[Linear, ...]
    best: int
    shuffled: Linear
    plane: Plane


def templates(
    source: Source,
    view: View | None,
    classes: Sequence[str],
    strengths: Sequence[float],
    limit: int,
    seed: int,
) -> Templates:
    """Logistic regressions on pixels of a random four fifths of the images, judged on the rest."""
    batch = labelled(source, view, classes, limit, seed)
    held = torch.tensor([stable_number(seed, "held", i) % 5 == 0 for i in batch.ids])
    names = tuple(classes) or source.label_names() or tuple(map(str, range(int(batch.y.max()) + 1)))
    known = batch.y.unique().tolist()
    if len(known) < 2:
        raise InputError(
            f"all images are of class {names[known[0]]}", "a classifier needs two classes at least"
        )
    missing = [
        names[k] for k in known if not (~held & (batch.y == k)).any() or not (held & (batch.y == k)).any()
    ]
    if missing:
        raise InputError(
            f"there are too few images of class {missing[0]} to learn from and to judge on",
            "more images (--limit)",
        )
    own = tuple(names[k] for k in known)
    y = torch.tensor([known.index(int(k)) for k in batch.y])
    means = torch.stack([batch.x[~held & (y == k)].mean(0) for k in range(len(own))])
    fits = tuple(_fit(c, batch.x, y, held, means) for c in strengths)
    best = max(range(len(fits)), key=lambda k: fits[k].test.value)
    order = torch.tensor(sorted(range(len(y)), key=lambda k: stable_number(seed, "shuffled", batch.ids[k])))
    shuffled = _fit(fits[best].strength, batch.x, y[order], held, means)
    return Templates(own, means, fits, best, shuffled, _plane(batch.x, y, fits[best]))


def labelled(source: Source, view: View | None, classes: Sequence[str], limit: int, seed: int) -> Batch:
    """Images with a label, all of one size."""
    ids = chosen(source.ids(), limit, seed)
    batch = source.batch(ids, view, classes).readable()
    some = batch[batch.y >= 0] if len(batch) else batch
    if not len(some):
        raise InputError("none of the images has a label", "templates are learned from labelled images")
    return some


def _fit(strength: float, x: Tensor, y: Tensor, held: Tensor, means: Tensor) -> Linear:
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

    flat = x.flatten(1).numpy()
    known: Any = LogisticRegression(C=strength, max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stops before it is done, of weak regularisation
        known.fit(flat[~held], y[~held].numpy())
    right = torch.from_numpy(known.predict(flat) == y.numpy())
    weight, bias = (torch.from_numpy(np.asarray(part)).float() for part in (known.coef_, known.intercept_))
    if len(weight) == 1:  # of two classes scikit-learn keeps the second's
        weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
    like = _correlation(weight, means.flatten(1))
    return Linear(
        strength,
        weight.view(-1, *x.shape[1:]),
        bias,
        rate(right[~held]),
        rate(right[held]),
        like.diagonal(),
        int((like.argmax(1) == torch.arange(len(like))).sum()),
    )


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Of each row of one with each row of the other: [K, L]."""
    left, right = (t - t.mean(1, keepdim=True) for t in (a.double(), b.double()))
    left, right = (t / t.norm(dim=1, keepdim=True).clamp_min(1e-30) for t in (left, right))
    return left @ right.T


def _plane(x: Tensor, y: Tensor, fit: Linear, side: int = 160) -> Plane:
    """Regions are those of images on the plane through the mean of all images."""
    flat = x.flatten(1).double()
    mean = flat.mean(0)
    _, values, axes = torch.linalg.svd(flat - mean, full_matrices=False)
    axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(1, keepdim=True)).sign()
    points = (flat - mean) @ axes.T
    low, high = points.amin(0), points.amax(0)
    room = 0.05 * (high - low)
    low, high = low - room, high + room
    lines = [
        torch.linspace(float(a), float(b), side, dtype=torch.float64) for a, b in zip(low, high, strict=True)
    ]
    up, along = torch.meshgrid(lines[1], lines[0], indexing="ij")
    there = mean + along.reshape(-1, 1) * axes[0] + up.reshape(-1, 1) * axes[1]
    scores = there @ fit.weight.flatten(1).double().T + fit.bias
    inside = float(values[:2].square().sum() / values.square().sum())
    return Plane(points, y, scores.argmax(1).view(side, side), low, high, inside)
