"""What happens along straight lines and in planes through images, in numbers (Goodfellow et al., 2015).

A row of flipped images along the sign of the gradient is contiguous along that direction in the plotted slice. That is
all two slices can show: not a manifold.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..runs.inspect import Directions, Tables
from ..runs.table import Table
from .rates import Mean, Rate, mean_of, rate


class Lines(NamedTuple):
    """The logits along ±eps times the sign of the gradient (or of noise), of every image and as numbers."""

    amplitudes: Tensor  # [points], negative lowers the loss
    free: Tensor  # [N, points, K]
    clipped: Tensor
    loss: Tensor  # [N, points] cross-entropy of the label, of the unclipped images
    loss_clipped: Tensor
    fit: Tensor  # [N] R² of a straight line through the label's logit
    right_down: Mean  # share of places still right where the line goes down, over images
    right_up: Mean
    right_down_clipped: Mean
    right_up_clipped: Mean


class Plane(NamedTuple):
    """Shares of wrong predictions along the half-axes of planes through right images, at every place but the middle."""

    up: Mean
    down: Mean
    across: Mean  # along the random axis
    control: Mean  # along the first axis of a plane of two random directions


class Along(NamedTuple):
    """First flips along one straight direction of equal L2 length."""

    name: str
    radii: Tensor
    median: float
    never: Rate


class Studied(NamedTuple):
    """Everything about directions."""

    plan: Directions
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    d: int
    n: int
    y: Tensor
    right: Tensor
    lines: Lines
    random: Lines
    """The same along random signs, one pattern an image."""
    planes: Plane
    windows: dict[str, Tensor]  # by run, [images, down, across]
    window_ids: tuple[str, ...]
    along: tuple[Along, ...]
    draws: tuple[Rate, ...]
    """Accuracy under the worst of n draws, for n = 0, 1, 2, …"""

    def row(self, id: str) -> int:
        return self.ids.index(id)

    @property
    def ratio(self) -> float:
        """The median radius along random signs over that along the sign of the gradient."""
        return self.along[1].median / self.along[0].median


def study(plan: Directions, tables: Tables, classes: tuple[str, ...], d: int) -> Studied:
    """All numbers, of the images that are right to begin with where a flip is asked for."""
    predict = tables["predict"]
    y, right = predict["y"], predict["correct"].bool()
    windows = {name: table["plane"] for name, table in tables.items() if name.startswith("plane-")}
    ids = tables["plane-random"].ids
    labels = y[[predict.ids.index(i) for i in ids]]
    first = tables["draws"]["draw"]
    told = {"gradient": "sign of the gradient", "sign": "random signs", "gaussian": "Gaussian noise"}
    return Studied(
        plan,
        classes,
        predict.ids,
        d,
        len(predict),
        y,
        right,
        _lines(plan, tables["logits"], y, right),
        _lines(plan, tables["logits-random"], y, right),
        _plane(windows, labels),
        windows,
        ids,
        tuple(_along(name, tables[f"along-{way}"]["radius"][right]) for way, name in told.items()),
        tuple(rate(first > n) for n in range(plan.draws + 1)),
    )


def _lines(plan: Directions, table: Table, y: Tensor, right: Tensor) -> Lines:
    amplitudes = torch.linspace(-plan.limit, plan.limit, plan.points)
    free, clipped = (table[name].double() for name in ("free", "clipped"))
    own = free[torch.arange(len(y)), :, y.clamp_min(0)]
    correct = {name: (v.argmax(2) == y[:, None])[right] for name, v in (("free", free), ("clipped", clipped))}
    down, up = amplitudes < 0, amplitudes > 0
    sides = [share(correct[name][:, side]) for name in correct for side in (down, up)]
    return Lines(
        amplitudes,
        free,
        clipped,
        cross_entropy(free, y),
        cross_entropy(clipped, y),
        straightness(amplitudes.double(), own)[right],
        *sides,
    )


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Of each point of each line: [N, points, K] -> [N, points]."""
    return -logits.log_softmax(2)[torch.arange(len(y)), :, y.clamp_min(0)]


def straightness(x: Tensor, y: Tensor) -> Tensor:
    """R² of the least-squares line through each row: [points], [N, points] -> [N]. Of a constant row it is 1."""
    x, y = x - x.mean(), y - y.mean(1, keepdim=True)
    slope = (y @ x) / x.square().sum()
    total = y.square().sum(1)
    rest = (y - slope[:, None] * x).square().sum(1)
    return 1 - rest / total.where(total > 0, torch.inf)


def _plane(windows: dict[str, Tensor], y: Tensor) -> Plane:
    side = windows["plane-random"].shape[1]
    middle = side // 2
    own = torch.stack([labels for name, labels in windows.items() if name != "plane-random"])
    wrong = own != y[None, :, None, None]  # [planes, images, down, across]
    control = windows["plane-random"] != y[:, None, None]
    rest = [k for k in range(side) if k != middle]
    return Plane(
        share(wrong[0, :, middle, middle + 1 :]),
        share(wrong[0, :, middle, :middle]),
        share(wrong[:, :, rest, middle].transpose(0, 1)),
        share(control[:, middle, rest]),
    )


def share(flags: Tensor) -> Mean:
    """The share of places, over images: places of one image depend on each other, so it is images that count."""
    found = mean_of(flags.flatten(1).double().mean(1).tolist())
    return found._replace(low=max(0.0, found.low), high=min(1.0, found.high))


def _along(name: str, radii: Tensor) -> Along:
    median = float(radii.double().median()) if len(radii) else math.nan
    return Along(name, radii, median, rate(radii.isinf()))
