"""Attacks that walk to the boundary between two classes as if it were a plane."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..loop import iterate
from ..objectives import Between, Goal, Margin, Targeted, Untargeted
from ..query import Query
from ..regions import L0, L1, L2, Ball, Linf, Region
from ..rows import column
from ..scores import mean_scores
from ..spec import Count, Fraction, Natural, Positive
from .base import Attack
from .closing import Nearest, closer
from .planes import crossing


class Planes(NamedTuple):
    """The nearest of a row's boundaries to first order: how far below the score is, and its slope."""

    gap: Tensor
    slope: Tensor
    flipped: Tensor


def rivals(query: Query, x: Tensor, candidates: int) -> Tensor:
    """The classes to flip to, the best first: [B, K]; where there is a target, only itself."""
    if isinstance(query.objective, Targeted):
        return query.y[:, None]
    logits = query.logits(x)
    scores = mean_scores(logits)
    others = scores.scatter(1, query.y[:, None], -torch.inf)
    return others.topk(min(candidates, scores.shape[1] - 1), dim=1).indices


def nearest_plane(query: Query, within: Region, x: Tensor, others: Tensor, ball: Ball) -> Planes:
    """One pass forward, one back for each rival."""
    if isinstance(query.objective, Targeted):
        answer = query.gradient(x)
        return Planes(-answer.score, answer.slope, answer.score > 0)
    pairs = [torch.stack((query.y, rival), 1) for rival in others.T]
    between = query.instead(Untargeted(Between()))
    scores, slopes = between.gradients(x, between.each(pairs))
    gains = torch.stack(
        [_gain(within, x, score, slope, ball) for score, slope in zip(scores, slopes, strict=True)]
    )
    away = torch.where(gains > 0, scores.abs() / gains.clamp_min(torch.finfo(gains.dtype).tiny), torch.inf)
    best, rows = away.argmin(0), torch.arange(len(x), device=x.device)
    return Planes(-scores[best, rows], slopes[best, rows], (scores > 0).any(0))


def _gain(within: Region, x: Tensor, score: Tensor, slope: Tensor, ball: Ball) -> Tensor:
    """How fast a change of size 1 can raise the score, by values that have room."""
    way = slope * column(-score.sign(), x)
    free = torch.where(way > 0, x < 1, x > 0)
    free = free if ball.mask is None else free * ball.mask
    return within.gain(slope * free)


def by_margin(query: Query) -> Query:
    assert isinstance(query.objective, Goal)
    return query.instead(query.objective.by(Margin()))


class Walk(NamedTuple):
    """Where an image is on its way."""

    x: Tensor
    ball: Ball
    others: Tensor


class DeepFool(Attack):
    """Steps to the nearest of the boundaries as if planes, until one is crossed (Moosavi-Dezfooli et al., 2016).

    Unlike there, a step goes to where the plane meets [0, 1], so that values of 0 and 1 do no harm. It is quick, and
    its changes are the largest of those of the attacks that look for small ones.
    """

    norms = (L2, Linf, L1, L0)
    nearest = True

    steps: Count = 50
    candidates: Count = 10
    """How many of the best other classes to consider; a target is considered alone."""
    overshoot: Positive = 0.02
    """How much further than to the plane, as a share of the way."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        def step(query: Query, at: Walk, t: int) -> tuple[Walk, Tensor]:
            plane = nearest_plane(query, within, at.x, at.others, at.ball)
            gap = plane.gap * (1 + self.overshoot)
            change = crossing(within.norm, at.x, plane.slope, gap, at.ball.mask)
            return at._replace(x=within.project(at.x + change, at.ball)), plane.flipped

        query = by_margin(query)
        return iterate(
            step, Walk(ball.center, ball, rivals(query, ball.center, self.candidates)), query, self.steps
        )


class Shuttle(NamedTuple):
    """An image that goes back and forth across a boundary, and the nearest it has been beyond."""

    best: Tensor
    size: Tensor
    x: Tensor
    ball: Ball
    others: Tensor


class FAB(Attack):
    """Steps to the boundary, each drawn towards the image itself (Croce & Hein, 2020, arXiv:1907.02044).

    Beyond the boundary it goes back part of the way and crosses again. Unlike there, one pass serves both to see
    whether the image is beyond and for the next step's plane.
    """

    norms = (Linf, L2, L1)
    nearest = True

    steps: Count = 50
    candidates: Count = 9
    """How many of the best other classes to consider; a target is considered alone."""
    apart: bool = False
    """Walk towards one candidate after the other, each anew with all steps, rather than to the nearest."""
    restarts: Natural = 0
    """How often to walk again, from a random place nearby."""
    pull: Fraction = 0.1
    """The largest weight of the plane's nearest point to the image itself in a step."""
    extrapolation: Positive = 1.05
    """How far to go, in ways to the plane."""
    back: Fraction = 0.9
    """What remains of the change after an image has flipped."""
    halvings: Natural = 3
    """Of the last quarter of the way back to the image, at the end."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        query = by_margin(query)
        others = rivals(query, ball.center, self.candidates)
        runs = others.split(1, 1) if self.apart else [others]
        best, wrong = Nearest.nothing(ball), query.reached(ball.center)
        for again in range(self.restarts + 1):
            for some in runs:
                start = ball.center if again == 0 else self._elsewhere(query, within, ball, best)
                found = self._walk(query, within, ball, some, start)
                size = within.size(found - ball.center)
                best = best.or_nearer(found, size, size > 0)
        found = torch.where(column(wrong, best.x), ball.center, best.x)
        return closer(query, within, ball, found, self.halvings)

    def _elsewhere(self, query: Query, within: Region, ball: Ball, best: Nearest) -> Tensor:
        near = torch.minimum(best.size, ball.eps) / 2
        return within.sample(ball._replace(eps=near), query.rng)

    def _walk(self, query: Query, within: Region, ball: Ball, others: Tensor, start: Tensor) -> Tensor:
        def step(query: Query, at: Shuttle, t: int) -> tuple[Shuttle, Tensor]:
            plane = nearest_plane(query, within, at.x, at.others, at.ball)
            size = within.size(at.x - at.ball.center)
            best = Nearest(at.best, at.size).or_nearer(at.x, size, plane.flipped)
            x = self._step(within, at, plane)
            return at._replace(best=best.x, size=best.size, x=x), plane.flipped & (size == 0)

        nothing = Nearest.nothing(ball)
        return iterate(step, Shuttle(nothing.x, nothing.size, start, ball, others), query, self.steps)

    def _step(self, within: Region, at: Shuttle, plane: Planes) -> Tensor:
        center, mask = at.ball.center, at.ball.mask
        rest = torch.where(plane.flipped, self.back, 1.0).to(at.x)
        x = center + column(rest, at.x) * (at.x - center)
        here = crossing(within.norm, x, plane.slope, plane.gap - _rise(plane.slope, x - at.x), mask)
        there = crossing(
            within.norm, center, plane.slope, plane.gap - _rise(plane.slope, center - at.x), mask
        )
        far, near = within.size(there), within.size(here)
        pull = (near / (near + far).clamp_min(torch.finfo(near.dtype).tiny)).clamp_max(self.pull)
        step = torch.lerp(x + self.extrapolation * here, center + self.extrapolation * there, column(pull, x))
        return within.project(step, at.ball)


def _rise(slope: Tensor, change: Tensor) -> Tensor:
    return (slope * change).flatten(1).sum(1)
