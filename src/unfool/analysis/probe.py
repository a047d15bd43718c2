"""How well linear models read classes off pixels, a network and one that has learned nothing; layer by layer."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.base import Source
from ..errors import InputError
from ..measures.moving import ANGLES, SCALES, SHIFTS, moved, pixels_of
from ..model import Model
from ..rows import stable_number
from ..runs.neighbours import RANDOM, Space, model_names
from ..runs.probe import LAYER, Embeddings, Probe
from .nearest import nearest
from .rates import Mean, Rate, mean_of, rate

LAST = "last"
"""What the last linear layer is given."""
K = 5
"""How many neighbours vote."""


class Read(NamedTuple):
    """How often probes are right in one space: from few labels over several draws, from all, and by neighbours."""

    wide: int
    few: dict[int, Mean]
    full: Rate
    voted: Rate


class Changes(NamedTuple):
    """How much a layer's output changes when the image is moved, turned and enlarged, a mean for each step."""

    name: str
    shifts: tuple[Mean, ...]
    angles: tuple[Mean, ...]
    scales: tuple[Mean, ...]


class Layer(NamedTuple):
    """One layer: how well a linear probe reads it, and how much it changes with the image."""

    name: str
    wide: int
    full: Rate
    empty: Rate | None
    """The same of the network with weights drawn anew; pixels have none."""
    changes: Changes | None
    """None where the images are no pictures."""


class Probed(NamedTuple):
    """All that the probes say."""

    plan: Probe
    classes: tuple[str, ...]
    spaces: dict[str, Read]
    layers: tuple[Layer, ...]
    n: tuple[int, int]
    """Images to learn from and to judge by."""
    usual: float
    """The share of the largest class: what one is right by without looking."""
    shifts: tuple[int, ...]
    """In pixels."""
    left_out: tuple[int, ...]
    """Numbers of labels that a class has not."""


def study(plan: Probe, found: Embeddings, model: Model, source: Source) -> Probed:
    learn, judge = _sides(found)
    fewest = min(int((learn.y == c).sum()) for c in learn.y.unique())
    shots = tuple(s for s in plan.shots if s <= fewest)
    spaces = {name: read(plan, learn, judge, name, shots) for name in ("pixels", RANDOM, "features")}
    names = ["pixels", *found.layers, LAST]
    x = _images(plan, judge, model, source)
    layers = tuple(_layer(name, learn, judge, spaces, model, x) for name in names)
    width = 32 if x is None else x.shape[-1]
    usual = float(judge.y.bincount().max() / len(judge.y))
    return Probed(
        plan,
        model_names(model, source),
        spaces,
        layers,
        (len(learn.ids), len(judge.ids)),
        usual,
        tuple(pixels_of(s, width) for s in SHIFTS),
        tuple(s for s in plan.shots if s > fewest),
    )


def _sides(found: Embeddings) -> tuple[Space, Space]:
    """What probes learn from and what judges them: labelled images, of classes that both have."""
    learn = found.learn.only(found.learn.y >= 0)
    if found.judge is None:
        first = every_second(learn.y)
        learn, judge = learn.only(first), learn.only(~first)
    else:
        judge = found.judge.only(found.judge.y >= 0)
    judge = judge.only(torch.isin(judge.y, learn.y))
    if len(learn.y.unique()) < 2 or not len(judge.ids):
        classes = len(learn.y.unique())
        few = "the images have no labels" if not classes else "the images have labels of one class only"
        raise InputError(
            "there are no labelled images to judge on"
            if classes > 1
            else f"{few}: nothing is to be told apart",
            "two classes at least, with two images each: more images (--limit), or data with labels",
        )
    return learn, judge


def every_second(y: Tensor) -> Tensor:
    """The first, third, fifth and so on of each class: [N] bool."""
    turn = torch.zeros_like(y)
    for c in y.unique():
        turn[y == c] = torch.arange(int((y == c).sum()))
    return turn % 2 == 0


def read(plan: Probe, learn: Space, judge: Space, name: str, shots: tuple[int, ...]) -> Read:
    """All that probes say of one space."""
    x, other = learn.vectors[name], judge.vectors[name]
    few = {
        s: mean_of([_right(x[rows], learn.y[rows], other, judge.y) for rows in _drawn(plan, learn.y, s)])
        for s in shots
    }
    return Read(x.shape[1], few, full(learn, judge, name), voted(learn, judge, name))


def _drawn(plan: Probe, y: Tensor, shots: int) -> list[Tensor]:
    """Rows with so many of each class, one set for each draw; the same in every space."""

    def draw(k: int) -> Tensor:
        stream = torch.Generator().manual_seed(stable_number(plan.seed, "shots", shots, k))
        order = torch.randperm(len(y), generator=stream)
        return torch.cat([order[y[order] == c][:shots] for c in y.unique()])

    return [draw(k) for k in range(plan.draws)]


def full(learn: Space, judge: Space, name: str) -> Rate:
    said = fitted(learn.vectors[name], learn.y, judge.vectors[name])
    return rate(said == judge.y)


def _right(x: Tensor, y: Tensor, other: Tensor, labels: Tensor) -> float:
    return float((fitted(x, y, other) == labels).double().mean())


def fitted(x: Tensor, y: Tensor, other: Tensor) -> Tensor:
    """What logistic regression, learned from some vectors, says of others: [N].

    Vectors are moved to mean 0 and brought to one scale; the weights' penalty is scikit-learn's own (C = 1).
    """
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

    middle = x.double().mean(0)
    scale = (x.double() - middle).square().mean().sqrt().clamp_min(1e-12)
    seen, asked = (((t.double() - middle) / scale).numpy() for t in (x, other))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stopped short of the last digit is no news
        probe: Any = LogisticRegression(max_iter=300).fit(seen, y.numpy())
    return torch.from_numpy(np.asarray(probe.predict(asked)))


def voted(learn: Space, judge: Space, name: str) -> Rate:
    """The vote of the nearest, of equal votes the class of the nearer one."""
    near = nearest(judge.vectors[name], learn.vectors[name], K)
    labels = learn.y[near.which]
    votes = (labels[:, :, None] == labels[:, None]).sum(2)
    said = labels.gather(1, votes.argmax(1, keepdim=True))[:, 0]
    return rate(said == judge.y)


def _images(plan: Probe, judge: Space, model: Model, source: Source) -> Tensor | None:
    """Some of the images that judge, where they are pictures and more than one."""
    x = source.batch(judge.ids[: plan.moved], model.view, model.classes).readable().x
    return x if x.ndim == 4 and len(x) > 1 else None


def _layer(
    name: str,
    learn: Space,
    judge: Space,
    spaces: Mapping[str, Read],
    model: Model,
    x: Tensor | None,
) -> Layer:
    space = {"pixels": "pixels", LAST: "features"}.get(name, f"layer {name}")
    right = spaces[space].full if space in spaces else full(learn, judge, space)
    empty = spaces[RANDOM].full if name == LAST else None
    if name not in ("pixels", LAST):
        empty = full(learn, judge, f"{LAYER} {name}")
    wide = learn.vectors[space].shape[1]
    if x is None:
        return Layer(name, wide, right, empty, None)
    return Layer(name, wide, right, empty, changes_of(model, x, name))


def changes_of(model: Model, x: Tensor, name: str) -> Changes:
    """Of a layer by its name, pixels or the last."""
    sizes = [pixels_of(s, x.shape[-1]) for s in SHIFTS]
    found = moved(model, x, "" if name == LAST else name, sizes, ANGLES, SCALES)
    shifts, angles, scales = (tuple(mean_of(row.tolist()) for row in rows) for rows in found)
    return Changes(name, shifts, angles, scales)
