"""Projected gradient ascent that finds its own step size."""

from itertools import pairwise
from math import ceil
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..answers import Answer
from ..errors import InputError
from ..loop import iterate
from ..objectives import Between, LogitRatio, Objective, Untargeted, label_of
from ..query import Query
from ..region import only
from ..regions import L1, L2, Ball, Linf, Region
from ..rows import column, take
from ..scores import mean_scores
from ..slopes import Exact, Slope
from ..spec import Count, Fraction
from .base import Attack, once
from .gradient import climbing


class Climb(NamedTuple):
    """Where every row is, the best it has seen, and how it has fared since the last checkpoint."""

    x: Tensor
    ball: Ball
    before: Tensor
    """Where it was a step ago."""
    best: Tensor
    top: Tensor
    """The score at the best."""
    slope: Tensor
    """The slope at the best."""
    last: Tensor
    """The score a step ago."""
    step: Tensor
    rises: Tensor
    """How many steps since the checkpoint raised the score."""
    mark: Tensor
    """The best score at the checkpoint."""
    kept: Tensor
    """Whether the step stayed as it was at the checkpoint."""
    spread: Tensor
    """In L1: how many values a step moves."""
    changed: Tensor
    """In L1: how many values differed at the checkpoint."""


class APGD(Attack):
    """PGD that halves its step where it stalls and goes on from the best point so far (Croce & Hein, 2020).

    In L1 steps move few values and are projected onto the ball and [0, 1] together (Croce & Hein, 2021). For restarts
    there is ``Repeated(APGD())``.
    """

    norms = (Linf, L2, L1)

    steps: Count = 100
    """How many steps to take at most; an image that has flipped takes no more."""
    loss: Objective = LogitRatio()
    """What to climb; the paper's other loss is ``CrossEntropy()``, which minds how large the logits are."""
    random_start: bool = True
    """Start anywhere in the region rather than at the image."""
    momentum: Fraction = 0.25
    """How much of the step before each step takes along, 1 - α of the paper; not in L1."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        sparse = within.norm is L1
        marks = checkpoints(self.steps, sparse)

        def step(query: Query, at: Climb, t: int) -> tuple[Climb, Tensor]:
            answer = query.ask(at.x) if t == self.steps else self.slope(query, at.x)
            at, slope = seen(at, answer, t)
            if t == self.steps:
                return at._replace(x=at.best), answer.reached
            if t in marks:
                at, slope = (checked_l1 if sparse else checked)(at, slope, marks[t])
            momentum = self.momentum if t else 0.0
            x = sparse_step(within, at, slope) if sparse else heavy_step(within, at, slope, momentum)
            return at._replace(x=x, before=at.x), answer.reached

        start = within.sample(ball, query.rng) if self.random_start else ball.center
        return iterate(step, started(start, ball, sparse), climbing(query, self.loss), self.steps + 1)


def started(x: Tensor, ball: Ball, sparse: bool) -> Climb:
    lowest = torch.full_like(ball.eps, -torch.inf)
    zeros, values = torch.zeros_like(ball.eps), torch.full_like(ball.eps, x[0].numel())
    step = ball.eps if sparse else 2 * ball.eps
    spread = (0.2 * values).floor().clamp_min(1)
    kept = torch.zeros_like(ball.eps, dtype=torch.bool)
    return Climb(
        x, ball, x, x, lowest, torch.zeros_like(x), lowest, step, zeros, lowest, kept, spread, values
    )


def checkpoints(steps: int, sparse: bool) -> dict[int, int]:
    """At which steps to look back, and how many steps since the look before."""
    if sparse:
        every = max(1, ceil(0.04 * steps))
        return dict.fromkeys(range(every, steps, every), every)
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {b: b - a for a, b in pairwise(ceil(share * steps - 1e-9) for share in shares) if a < b < steps}


def seen(at: Climb, answer: Answer, t: int) -> tuple[Climb, Tensor]:
    """The state with an answer about where it is taken in, and the slope there."""
    score, slope = answer.score, at.slope if answer.grad is None else answer.grad
    better = score > at.top if t else torch.ones_like(at.kept)
    wide = column(better, slope)
    at = at._replace(
        best=torch.where(wide, at.x, at.best),
        top=torch.where(better, score, at.top),
        slope=torch.where(wide, slope, at.slope),
        rises=at.rises + ((score > at.last) & (t > 0)),
        last=score,
    )
    return at._replace(mark=at.mark if t else score), slope


def checked(at: Climb, slope: Tensor, since: int) -> tuple[Climb, Tensor]:
    """Halve the step where fewer than three in four steps rose, or where a step kept so far found nothing better."""
    stalled = at.kept & (at.top <= at.mark)
    halve = (at.rises < 0.75 * since) | stalled
    at, slope = restarted(at, slope, halve)
    step = torch.where(halve, at.step / 2, at.step)
    return at._replace(step=step, rises=torch.zeros_like(at.rises), mark=at.top, kept=~halve), slope


def checked_l1(at: Climb, slope: Tensor, since: int) -> tuple[Climb, Tensor]:
    """Move fewer values; begin anew with the full step where the change has become sparser, else take a smaller one."""
    del since
    changed = (at.best != at.ball.center).flatten(1).sum(1).to(at.step)
    sparser = changed < 0.95 * at.changed
    at, slope = restarted(at, slope, sparser)
    step = torch.where(sparser, at.ball.eps, torch.maximum(at.step / 1.5, at.ball.eps / 10))
    spread = (changed / 1.5).floor().clamp_min(1)
    return at._replace(step=step, spread=spread, changed=changed), slope


def restarted(at: Climb, slope: Tensor, rows: Tensor) -> tuple[Climb, Tensor]:
    """Some rows back at their best point, at rest."""
    wide = column(rows, slope)
    x, before = (torch.where(wide, at.best, old) for old in (at.x, at.before))
    return at._replace(x=x, before=before), torch.where(wide, at.slope, slope)


def heavy_step(within: Region, at: Climb, slope: Tensor, momentum: float) -> Tensor:
    ahead = within.step(at.x, slope, at.step, at.ball)
    if not momentum:
        return ahead
    return within.project(at.x + (1 - momentum) * (ahead - at.x) + momentum * (at.x - at.before), at.ball)


def sparse_step(within: Region, at: Climb, slope: Tensor) -> Tensor:
    """Equal moves of the values with the steepest slopes."""
    free = torch.where(slope > 0, at.x < 1, at.x > 0)
    steep = only(slope * free, at.ball)
    sizes = steep.flatten(1).abs()
    order = sizes.sort(1, descending=True).values
    least = order.gather(1, at.spread.long()[:, None] - 1)
    way = steep.sign() * column(1 / at.spread, steep) * (sizes >= least).view_as(steep)
    there = only(at.x + column(at.step, way) * way - at.ball.center, at.ball)
    return within.project(at.ball.center + nearest_l1(there, at.ball), at.ball)


def nearest_l1(delta: Tensor, ball: Ball) -> Tensor:
    """The nearest change that is both in the L1 ball and, added to the image, in [0, 1].

    Every size is cut by the same number, then to its room; the sum of what is left falls along straight lines between
    the numbers at which some value leaves its room or vanishes, so the number sought lies on one of them.
    """
    center, flat = ball.center.flatten(1), delta.flatten(1)
    size, room = flat.abs(), torch.where(flat > 0, 1 - center, center)
    zero = torch.zeros_like(size[:, :1])
    bends, order = torch.cat([(size - room).clamp_min(0), size], 1).sort(1)
    slopes = torch.cat([-torch.ones_like(size), torch.ones_like(size)], 1).gather(1, order).cumsum(1)
    falls = (slopes[:, :-1] * bends.diff(dim=1)).cumsum(1)
    sums = size.minimum(room).sum(1, keepdim=True) + torch.cat([zero, falls], 1)  # at each bend
    place = (sums > ball.eps[:, None]).sum(1, keepdim=True).clamp(1, sums.shape[1] - 1) - 1
    above, slope = sums.gather(1, place), slopes.gather(1, place).clamp(max=-1)
    cut = bends.gather(1, place) + ((above - ball.eps[:, None]) / -slope).clamp_min(0)
    return (flat.sign() * (size - cut).clamp_min(0).minimum(room)).view_as(delta)


class TargetedAPGD(Attack):
    """APGD from the label to each of the likeliest other classes in turn (Croce & Hein, 2020).

    Any change of class counts. Each image leaves once it has one.
    """

    norms = (Linf, L2, L1)

    steps: Count = 100
    """How many steps to take at most for each rival class."""
    rivals: Count = 9
    """How many classes to try at most."""
    order: Literal["logits", "reach"] = "logits"
    """Largest logits first, or shortest way first: the gap of the logits by its slope (Melamed et al., 2024)."""
    candidates: Count = 20
    """How many classes, by their logits, are put in order of reach: one backward pass each."""
    random_start: bool = True
    """Start anywhere in the region rather than at the image."""
    slope: Slope = Exact()

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        query = once(query)
        if not isinstance(query.objective, Untargeted) or query.y.ndim > 1:
            raise InputError(
                "TargetedAPGD tries rival classes of its own, it takes no target", "APGD leads to a target"
            )
        logits = query.logits(ball.center)
        found, todo = ball.center.clone(), (label_of(logits) == query.y).nonzero()[:, 0]
        rivals = (
            self._ranked(query[todo], within, take(ball, todo), logits[todo]) if len(todo) else todo[:, None]
        )
        attack = APGD(self.steps, Between(ratio=True), self.random_start, slope=self.slope)
        for k in range(rivals.shape[1] if len(todo) else 0):
            pairs = torch.stack([query.y[todo], rivals[:, k]], 1)
            left = query[todo].instead(query.objective.by(Between()), pairs)
            found[todo] = tried = attack.found(left, within, take(ball, todo))
            if k + 1 < rivals.shape[1]:
                more = ~left.reached(tried)
                todo, rivals = todo[more], rivals[more]
            if not len(todo):
                break
        return found

    def _ranked(self, query: Query, within: Region, ball: Ball, logits: Tensor) -> Tensor:
        """The rivals of each row, the first to try first: [B, rivals]."""
        means = mean_scores(logits)
        others = means.scatter(1, query.y[:, None], -torch.inf)
        most = self.rivals if self.order == "logits" else max(self.candidates, self.rivals)
        likely = others.topk(min(most, means.shape[1] - 1), dim=1).indices
        if self.order == "logits":
            return likely
        pairs = [torch.stack([query.y, rival], 1) for rival in likely.unbind(1)]
        between = query.instead(Between())
        gaps, slopes = between.gradients(ball.center, between.each(pairs))
        gains = torch.stack([within.gain(only(slope, ball)) for slope in slopes])
        reach = -gaps / gains.clamp_min(torch.finfo(gains.dtype).tiny)
        return likely.gather(1, reach.T.argsort(dim=1, stable=True))[:, : self.rivals]
