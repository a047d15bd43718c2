"""Certificates of a network itself: by intervals, by planes, and exactly where it is a plane."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor

from ..attacks.planes import crossing
from ..derivatives import each_derivative
from ..errors import InputError
from ..model import Model
from ..objectives import label_of
from ..regions import L0, L1, L2, Linf, Norm, Region
from ..rows import Rng
from ..spec import Count
from .bounds import Area, intervals, margins, planes
from .certificate import Certificate, Certified, largest
from .graph import Step, steps_of

SAFE = 1 - 1e-6
"""A radius is that much less than was proven in double precision, for what rounding in the network's own may do."""


FEW = 500
"""So many rectified values are bounded by planes where nobody says otherwise."""


class Bounded(Certificate, ABC):
    """The largest radius, found by halving, at which a bound leaves the predicted class ahead of all others."""

    norms = (Linf, L2, L1)

    halvings: Count = 10
    """Each halves the interval that the largest radius is known to lie in."""

    @abstractmethod
    def ahead(self, steps: Sequence[Step], area: Area, y: Tensor) -> Tensor:
        """A number below the lead of class ``y`` over each other one: [B, K]."""

    @final
    def certify(self, model: Model, x: Tensor, within: Region, rng: Rng) -> Certified:
        steps, label, exact = steps_of(model), label_of(model(x)), x.double()
        most = largest(within, exact)

        def proven(radius: Tensor) -> Tensor:
            with torch.no_grad():
                return (self.ahead(steps, Area(within.norm, exact, radius), label) > 0).all(1)

        low = torch.where(proven(most), most, torch.zeros_like(most))
        high = most.clone()
        for _ in range(self.halvings):
            middle = (low + high) / 2
            good = proven(middle)
            low, high = torch.where(good, middle, low), torch.where(good, high, middle)
        return Certified(label, SAFE * low)


class IntervalBounds(Bounded):
    """By intervals that every layer hands on (Gowal et al., 2018, arXiv:1810.12715): quick, and loose.

    Of networks of convolutions, linear layers, batch norm, ReLU, pooling, flattening and sums of branches.
    """

    def ahead(self, steps: Sequence[Step], area: Area, y: Tensor) -> Tensor:
        return margins(steps, area, intervals(steps, area), y, linear=False)


class LinearBounds(Bounded):
    """By planes below and above every rectifier, taken back to the image (CROWN, Zhang et al., 2018, arXiv:1811.00866).

    Never looser than intervals; for small networks of the same layers.
    """

    inner: Literal["auto", "planes", "intervals"] = "auto"
    """How rectified values are bounded: by planes, a pass back for each, or by intervals, which is quicker and looser.
    "auto" is planes where there are at most 500."""

    def ahead(self, steps: Sequence[Step], area: Area, y: Tensor) -> Tensor:
        found = intervals(steps, area)
        kinds = {k for step in steps if step.kind == "relu" for k in step.inputs}
        few = sum(found[k].low[0].numel() for k in kinds) <= FEW
        if self.inner == "planes" or (self.inner == "auto" and few):
            found = planes(steps, area)
        return margins(steps, area, found, y, linear=True)


class ExactRadius(Certificate):
    """The distance to the nearest change of class inside [0, 1], of a network whose scores are planes: exactly."""

    norms = (Linf, L2, L1, L0)

    def certify(self, model: Model, x: Tensor, within: Region, rng: Rng) -> Certified:
        slopes, logits = planes_of(model, x)
        label = logits.argmax(1)
        own = slopes[label]
        away = [
            self._away(
                within.norm,
                x.double(),
                slopes[k] - own,
                logits.gather(1, label[:, None])[:, 0] - logits[:, k],
            )
            for k in range(logits.shape[1])
        ]
        radius = torch.stack(away, 1).scatter(1, label[:, None], torch.inf).amin(1)
        return Certified(label, torch.minimum(SAFE * radius, largest(within, x).to(radius)))

    def _away(self, kind: type[Norm], x: Tensor, slope: Tensor, gap: Tensor) -> Tensor:
        """How far the plane where one class draws level is; infinite where no image in [0, 1] is beyond it."""
        change = crossing(kind, x, slope, gap)
        there = (change * slope).flatten(1).sum(1) >= gap * (1 - 1e-9)
        return kind(1.0).size(change).where(there, torch.inf)


def planes_of(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """The slope of every score [K, C, *] and the scores of images [B, K], in double precision.

    A network whose scores are no planes is an error.
    """
    steps = steps_of(model)
    if any(step.kind in ("relu", "max") for step in steps):
        raise InputError(f"{model.name} is not linear: it rectifies", "LinearBounds() bounds it")
    values = [x[:1].double().requires_grad_()]
    with torch.enable_grad():
        for step in steps[1:]:
            values.append(step.make(*(values[k] for k in step.inputs)))
        slopes = each_derivative(values[-1].T, values[0], "ExactRadius")[:, 0]
    at = [x.double()]
    with torch.no_grad():
        for step in steps[1:]:
            at.append(step.make(*(at[k] for k in step.inputs)))
    return slopes, at[-1]
