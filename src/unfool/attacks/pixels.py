"""One pixel, or a few: found by differential evolution, or by trying every one."""

from collections.abc import Iterator
from math import ceil
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..loop import iterate
from ..method import Columns, Method, Question
from ..objectives import CrossEntropy, Margin, Objective, Targeted, Untargeted
from ..query import Query
from ..regions import L0, Ball, Region
from ..rows import Batch, Rng
from ..spec import Bound, Natural, Positive
from .base import Attack
from .gradient import climbing
from .search import Boxes, choose

Levels = Annotated[int, Bound(2)]
STRIP = 50
"""Members of a population asked about at once: then rows that are done leave, whatever the model holds."""


class Population(NamedTuple):
    """The best image so far; members [B, P, pixels, dimensions + channels] in [0, 1], their scores, their children."""

    x: Tensor
    best: Tensor
    members: Tensor
    scores: Tensor
    children: Tensor
    ball: Ball


class OnePixel(Attack):
    """The pixels that fool, by differential evolution of their places and values (Su et al., 2019).

    ``within=L0(3)`` allows three. Members of a population are pixels; a child is one member plus ``weight`` times the
    difference of two others, without crossover, and takes its parent's place where it scores higher. Images and
    members go through the network together; an image leaves as soon as one of its members flips it.
    """

    norms = (L0,)
    asks = "scores"

    population: Annotated[int, Bound(4)] = 400
    """How many candidates live at once."""
    generations: Natural = 100
    """How often they have children, at most: an image is asked about ``population * (generations + 1)`` times."""
    weight: Positive = 0.5
    """How far a child goes along the difference of two others."""
    levels: Levels = 256
    """How many values a channel can have; with 256 a saved file holds what was found."""
    sure: bool = False
    """Go on until the label has less than 5 %, or the target more than 90 %, as published."""
    loss: Objective = Margin()
    """What to climb; the paper's is ``CrossEntropy()``, which cannot rank candidates once the network is certain."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        query, strips = climbing(query, self.loss), ceil(self.population / STRIP)

        def step(query: Query, at: Population, t: int) -> tuple[Population, Tensor]:
            if t and t % strips == 0:
                at = at._replace(children=self._children(at.members, query.rng, at.ball))
            first = t % strips * STRIP
            return self._judged(query, at, slice(first, first + STRIP))

        first = self._first(ball, query.rng)
        none = first.new_full(first.shape[:2], -torch.inf)
        start = Population(ball.center, none[:, 0], first.clone(), none, first, ball)
        return iterate(step, start, query, strips * (self.generations + 1), after=True)

    def _first(self, ball: Ball, rng: Rng) -> Tensor:
        """Places anywhere, values about the middle grey: N(0.5, 0.5)."""
        x, pixels = ball.center, int(ball.eps.max().clamp_min(1))
        like = x.new_empty(len(x), self.population, pixels, 1)
        places = rng.uniform(like.expand(-1, -1, -1, x.ndim - 2), 0, 1)
        values = 0.5 + 0.5 * rng.normal(like.expand(-1, -1, -1, x.shape[1]))
        return torch.cat([places, values.clamp(0, 1)], -1)

    def _children(self, members: Tensor, rng: Rng, ball: Ball) -> Tensor:
        """Each member's child, of three others; places outside the image are drawn anew, values kept in [0, 1]."""
        a, b, c = (torch.gather(members, 1, k.expand_as(members)) for k in _others(members, rng))
        children, places = a + self.weight * (b - c), ball.center.ndim - 2
        where, values = children[..., :places], children[..., places:].clamp(0, 1)
        fresh = rng.uniform(where, 0, 1)
        return torch.cat([torch.where((where < 0) | (where > 1), fresh, where), values], -1)

    def _judged(self, query: Query, at: Population, some: slice) -> tuple[Population, Tensor]:
        """Some of the children tried: those that score higher take their parents' places."""
        children = at.children[:, some]
        x = painted(children, at.ball, self.levels)
        score, done = self._answers(query, x)
        better = score > at.scores[:, some]
        at.scores[:, some] = torch.where(better, score, at.scores[:, some])
        at.members[:, some] = torch.where(better[..., None, None], children, at.members[:, some])
        ahead = torch.where(done, torch.inf, score)
        top = ahead.argmax(1)
        value = ahead.gather(1, top[:, None])[:, 0]
        chosen = x[top, torch.arange(len(top), device=top.device)]
        best, found = choose(value > at.best, (value, chosen), (at.best, at.x))
        return at._replace(x=found, best=best), done.any(1)

    def _answers(self, query: Query, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the candidates [k, B, C, *] and which of them will do: [B, k]."""

        def ask(query: Query, x: Tensor) -> Tensor:
            answer = query.ask(x) if not self.sure else None
            if answer is not None:
                return torch.stack([answer.score, answer.reached.to(answer.score.dtype)], 1)
            query.model.need("scores", query.who)
            trace = {"input": x, "output": query.logits(x)}
            score = query.objective.score(trace, query.y)
            return torch.stack([score, certain(query, trace).to(score.dtype)], 1)

        answers = torch.stack(list(query.packed(ask, x)), 1)
        return answers[..., 0].to(x.dtype), answers[..., 1] > 0


def certain(query: Query, trace: dict[str, Tensor]) -> Tensor:
    """Whether the goal is reached and the label's probability below 5 %, or the target's above 90 %."""
    y = query.y if query.y.ndim == 1 else query.y[:, 0]
    probability = CrossEntropy().score(trace, y).neg().exp()
    enough = probability > 0.9 if isinstance(query.objective, Targeted) else probability < 0.05
    return enough & query.objective.reached(trace, query.y)


def _others(members: Tensor, rng: Rng) -> list[Tensor]:
    """For each member three others, all different: indices [B, P, 1, 1]."""
    n = members.shape[1]
    lots = rng.uniform(members.new_empty(len(members), n, 3, dtype=torch.float64), 0, 1)
    chosen: list[Tensor] = [
        torch.zeros_like(lots[..., 0], dtype=torch.long)
    ]  # itself, as a distance round the circle
    for k in range(3):
        free = (lots[..., k] * (n - 1 - k)).long().clamp_max(n - 2 - k)
        for taken in torch.stack(chosen).sort(0).values:
            free = free + (free >= taken)
        chosen.append(free)
    own = torch.arange(n, device=members.device)
    return [((own + distance) % n)[..., None, None] for distance in chosen[1:]]


def positions(places: Tensor, ball: Ball) -> Tensor:
    """Flat positions of places in [0, 1], where 1 is the last: [B, k, pixels, dimensions] -> [B, k, pixels]."""
    boxes, space = Boxes.around(ball), ball.center.shape[2:]
    sides, corner = boxes.sides[:, None, None], boxes.corner[:, None, None]
    at = torch.minimum((places * sides).floor().long(), sides - 1) + corner
    flat = torch.zeros_like(at[..., 0])
    for d, side in enumerate(space):
        flat = flat * side + at[..., d]
    return flat


def painted(members: Tensor, ball: Ball, levels: int) -> Tensor:
    """The image of every member: [B, k, pixels, dimensions + channels] -> [k, B, C, *]."""
    dims = ball.center.ndim - 2
    values = (members[..., dims:] * (levels - 1)).round() / (levels - 1)
    return written(positions(members[..., :dims], ball), values, ball)


def written(flat: Tensor, values: Tensor, ball: Ball) -> Tensor:
    """Images with values [B, k, pixels, C] at flat positions [B, k, pixels], one pixel after the other."""
    n, k, pixels = flat.shape
    channels = ball.center.shape[1]
    x = ball.center.flatten(2).repeat(k, 1, 1)  # [k * B, C, positions]
    allowed = torch.arange(pixels, device=x.device) + 1 <= ball.eps[:, None]
    if ball.mask is not None:
        free = ball.mask[:, 0].flatten(1) > 0
        allowed = allowed[:, None] & free.gather(1, flat.flatten(1)).view_as(flat)
    allowed = allowed.view(n, -1, pixels).expand(-1, k, -1)
    for j in range(pixels):
        at = flat[:, :, j].T.reshape(-1, 1, 1).expand(-1, channels, 1)
        old, original = x.gather(2, at), ball.center.flatten(2).repeat(k, 1, 1).gather(2, at)
        new = values[:, :, j].transpose(0, 1).reshape(-1, channels, 1)
        new = original + (new - original)  # as a projection onto the region would have it
        x.scatter_(2, at, torch.where(allowed[:, :, j].T.reshape(-1, 1, 1), new.clamp(0, 1), old))
    return x.view(k, *ball.center.shape)


class Tried(NamedTuple):
    """The best image so far and its score."""

    x: Tensor
    best: Tensor
    ball: Ball


class Exhaustive(Attack):
    """Every pixel with every value tried in turn: the truth about one pixel in a small image (Su et al., 2019).

    Of all changes of one pixel to one of the ``levels`` in each channel it returns the one that scores highest, so no
    attack on one pixel with these values does better. It asks ``positions * levels ** channels`` times.
    """

    norms = (L0,)
    asks = "scores"

    levels: Levels = 2
    """How many values a channel can have, evenly from 0 to 1: with 2, black or white."""
    loss: Objective = Margin()
    """What to climb."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        total = candidates(ball.center, self.levels)

        def step(query: Query, at: Tried, t: int) -> tuple[Tried, Tensor]:
            x = every_pixel(at.ball, self.levels, slice(t * STRIP, min(total, (t + 1) * STRIP)))
            scores = torch.stack(list(query.packed(lambda q, v: q.ask(v).score, x)))
            value, top = scores.max(0)
            chosen = x[top, torch.arange(len(top), device=top.device)]
            best, found = choose(value > at.best, (value, chosen), (at.best, at.x))
            return Tried(found, best, at.ball), torch.zeros_like(value, dtype=torch.bool)

        query, none = climbing(query, self.loss), torch.full_like(ball.eps, -torch.inf)
        return iterate(step, Tried(ball.center, none, ball), query, ceil(total / STRIP))


class WorkingPixels(Method):
    """At which positions one pixel is enough, and with how many of all values (Su et al., 2019).

    Column ``works`` [B, 1, *space] is the share of the ``levels ** channels`` values that flip the image there.
    """

    levels: Levels = 2
    """How many values a channel can have, evenly from 0 to 1."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        goal = Untargeted() if question.target is None else Targeted()
        query = question.query(batch, goal, type(self).__name__)
        x = batch.x.to(question.model.device)
        ball = L0(1).around(x, question.mask(batch))
        with question.model.settled():
            flips = torch.cat(list(self._flips(query, ball)))  # [positions * values, B]
        share = flips.double().unflatten(0, (x[0, 0].numel(), -1)).mean(1).T
        return {"works": share.reshape(len(x), 1, *x.shape[2:]).float().cpu(), "queries": query.queries.cpu()}

    def _flips(self, query: Query, ball: Ball) -> Iterator[Tensor]:
        total = candidates(ball.center, self.levels)
        for first in range(0, total, STRIP):
            x = every_pixel(ball, self.levels, slice(first, min(total, first + STRIP)))
            yield torch.stack(list(query.packed(lambda q, v: q.reached(v), x)))


def candidates(x: Tensor, levels: int) -> int:
    """How many changes of one pixel there are."""
    total = x[0, 0].numel() * levels ** x.shape[1]
    if total > 10_000_000:
        raise InputError(
            f"there are {total:,} ways to change one pixel of {list(x.shape[1:])} to {levels} levels",
            "take fewer levels, or OnePixel()",
        )
    return total


def every_pixel(ball: Ball, levels: int, some: slice) -> Tensor:
    """Some of all images that differ in one pixel, position by position: [k, B, C, *]."""
    n, channels = ball.center.shape[:2]
    k = torch.arange(some.start, some.stop, device=ball.center.device)
    values = levels**channels
    digits = [k % values // levels**c % levels for c in range(channels)]
    colours = torch.stack(digits, 1).to(ball.center.dtype) / (levels - 1)
    at = (k // values)[None, :, None].expand(n, -1, 1)
    return written(at, colours[None, :, None].expand(n, -1, 1, -1), ball)
