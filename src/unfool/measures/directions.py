"""What happens along straight lines and in planes through an image (Goodfellow et al., 2015, fig. 4; R9, R10)."""

import math
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..method import Columns, Method, Question
from ..objectives import CrossEntropy, Untargeted, label_of
from ..query import Query
from ..rows import Batch, column
from ..scores import mean_scores
from ..spec import Bound, Count, Positive

Direction = Literal["gradient", "sign", "gaussian"]


class FlipAlong(Method):
    """The first radius at which the label flips along one straight direction, of equal L2 length for every direction.

    The direction has the length of ``eps`` times a sign pattern: "gradient" is the sign of the loss's gradient, "sign"
    random signs, "gaussian" normal noise scaled to the same L2 norm. Infinite where it never flips up to ``limit``.
    """

    direction: Direction = "gradient"
    limit: Positive = 1.0
    steps: Count = 40
    """Radii tried, in equal ratios from ``limit / 500`` to ``limit``."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        query = question.query(batch, Untargeted(), type(self).__name__)
        x = batch.x.to(question.model.device)
        with question.model.settled():
            way = unit_direction(query.instead(CrossEntropy()), x, self.direction)
            radius = torch.zeros(len(x), device=x.device)
            held = (~query.reached(x)).nonzero()[:, 0]
            for eps in torch.logspace(-math.log10(500), 0, self.steps).mul(self.limit).tolist():
                if not len(held):
                    break
                flips = query[held].reached((x[held] + eps * way[held]).clamp(0, 1))
                radius[held[flips]], held = eps, held[~flips]
            radius[held] = torch.inf
        return {"radius": radius.cpu()}


def unit_direction(query: Query, x: Tensor, kind: Direction) -> Tensor:
    """A direction whose L2 norm is that of a pattern of ±1."""
    if kind == "gradient":
        return query.gradient(x).slope.sign()
    if kind == "sign":
        return query.rng.sign(x)
    noise = query.rng.normal(x)
    return noise * column(x[0].numel() ** 0.5 / noise.flatten(1).norm(dim=1), x)


class LogitsAlong(Method):
    """All logits along ±eps times the sign of the gradient, as such and clipped to [0, 1] (R9)."""

    limit: Positive = 0.3
    points: Annotated[int, Bound(3)] = 61
    direction: Direction = "gradient"
    """Another one is the control."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        query = question.query(batch, CrossEntropy(), type(self).__name__)
        x = batch.x.to(question.model.device)
        with question.model.settled():
            way = unit_direction(query, x, self.direction)
            ways = torch.linspace(-self.limit, self.limit, self.points).tolist()
            seen = lambda images: query.packed(lambda q, v: mean_scores(q.logits(v)), images)  # noqa: E731
            found = {
                "free": seen(x + eps * way for eps in ways),
                "clipped": seen((x + eps * way).clamp(0, 1) for eps in ways),
            }
            return {
                name: torch.stack(list(logits), 1).cpu() for name, logits in found.items()
            }  # [B, points, K]


class ChurchWindow(Method):
    """The predicted class over a plane through the image (Warde-Farley & Goodfellow, 2016).

    Across, the normalised gradient of the loss (or, as a control, a random direction); down, a random direction at
    right angles to it. Both axes reach ``limit`` in L2.
    """

    limit: Positive = 2.0
    points: Annotated[int, Bound(3)] = 41
    across: Direction = "gradient"
    draw: Count = 1
    """Another number is another random direction."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        seeded = question._replace(seed=question.seed + 7919 * self.draw)
        query = seeded.query(batch, CrossEntropy(), type(self).__name__)
        x = batch.x.to(question.model.device)
        with question.model.settled():
            u, v = self._axes(query, x)
            steps = torch.linspace(-self.limit, self.limit, self.points).tolist()
            plane = ((x + a * u + b * v).clamp(0, 1) for b in steps for a in steps)
            labels = torch.stack(list(query.packed(lambda q, w: label_of(q.logits(w)), plane)), 1)
        return {"plane": labels.view(len(x), self.points, self.points).cpu()}  # [B, down, across]

    def _axes(self, query: Query, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two directions of L2 length 1 at right angles (Gram and Schmidt)."""
        u = query.gradient(x).slope if self.across == "gradient" else query.rng.normal(x)
        v = query.rng.normal(x)
        u = _unit(u)
        return u, _unit(v - column((u * v).flatten(1).sum(1), v) * u)


def _unit(t: Tensor) -> Tensor:
    return t / column(t.flatten(1).norm(dim=1).clamp_min(1e-20), t)
