"""How sure a network may be: a temperature that makes its probabilities hold on average."""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

from ..model import Model
from ..rows import Batch
from ..scores import mean_scores
from .rates import Rate, rate


class Calibrated(NamedTuple):
    """A temperature found on one half of the cases, judged on the other."""

    temperature: float
    n: int
    loss_before: float
    loss_after: float
    right: Rate


def logits_of(model: Model, x: Tensor) -> Tensor:
    """[B, K], of a map of logits their means."""
    found = torch.cat([model(part).cpu() for part in x.split(model.capacity)])
    return mean_scores(found)


def halves(n: int) -> tuple[slice, slice]:
    """To calibrate and to judge."""
    return slice(0, n // 2), slice(n // 2, n)


def calibrate(model: Model, held: Batch) -> Calibrated:
    """The temperature of the least loss on the first half (Guo et al., 2017), and the loss on the second."""
    logits, y = logits_of(model, held.x).double(), held.y
    learn, judge = halves(len(y))

    def loss(log_t: float, part: slice) -> float:
        return float(F.cross_entropy(logits[part] / math.exp(log_t), y[part]))

    found: Any = minimize_scalar(lambda t: loss(t, learn), bounds=(-3, 3), method="bounded")
    log_t = float(found.x)
    right = rate(logits[judge].argmax(1) == y[judge])
    return Calibrated(math.exp(log_t), len(y[learn]), loss(0.0, judge), loss(log_t, judge), right)
