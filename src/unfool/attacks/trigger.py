"""The smallest patch of one place and look that turns every image to a class: a backdoor's trigger, or none."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from ..loop import Adam
from ..method import Columns, Question
from ..objectives import CrossEntropy, Objective
from ..rows import Batch, Rng
from ..spec import Bound, Count, Fraction, Positive
from .learned import Control, LearnedAttack, Pose, asked, looked_at
from .universal import fitting


class _State(NamedTuple):
    raw: Tensor
    """Mask and pattern before they are brought to [0, 1]: [1, 1 + C, *]."""
    mean: Tensor
    square: Tensor
    """What Adam remembers."""
    steps: Tensor
    price: Tensor
    hits: Tensor
    """The share of images that were turned of late."""
    best: Tensor
    size: Tensor
    """Of the smallest mask that turned enough; infinite where none did."""
    best_hits: Tensor


class Trigger(LearnedAttack):
    """Mask and pattern that turn all images to the target, with as little mask as can be (Wang et al., 2019).

    Neural Cleanse's trigger inversion: the mask's size has a price, which rises while the trigger works and falls while
    it does not. One class whose trigger is much smaller than those of all others may have a backdoor.
    """

    epochs: Count = 40
    """How often every image is seen; it takes some 200 updates until a mask is small."""
    rows: Count = 64
    loss: Objective = CrossEntropy()
    """What is lowered at the target."""
    aim: Fraction = 0.99
    """The share of images that the trigger has to turn."""
    rate: Positive = 0.1
    """Adam's."""
    price: Positive = 0.01
    """What a pixel of mask costs at first, in units of the loss."""
    step: Annotated[float, Bound(1.0)] = 1.1
    """By how much the price rises with an update; it falls by this and half as much again."""

    def start(self, question: Question, batch: Batch) -> _State:
        x = batch.x[:1].to(question.model.device)
        raw = Rng.seeded(question.seed, ["trigger"], x.device).normal(torch.cat([x[:, :1], x], 1))
        one = raw.new_ones(())
        price, never = self.price * one, torch.inf * one
        return _State(raw, *Adam.fresh(raw), torch.tensor(0), price, 0 * one, raw.clone(), never, 0 * one)

    def update(self, question: Question, state: _State, batch: Batch) -> _State:
        others = batch.y != question.target if question.target is not None else batch.y == batch.y
        batch = batch[others] if others.any() else batch
        query = asked(question, batch, self.loss, type(self).__name__)
        x = batch.x.to(question.model.device)
        with query.model.settled():
            raws = state.raw.expand(len(x), *state.raw.shape[1:])
            answer = query.gradient(raws, (lambda raw, rng: stamped(x, raw),))
        mask = state.raw[:, :1].sigmoid()
        dear = torch.zeros_like(state.raw)
        dear[:, :1] = state.price * mask * (1 - mask)  # the slope of the mask's sum
        adam, way = Adam(state.mean, state.square).step(
            dear - answer.slope.mean(0, keepdim=True), state.steps
        )
        hits = 0.8 * state.hits + 0.2 * answer.reached.double().mean().to(state.hits)
        good, size = hits >= self.aim, mask.sum()
        better = good & (size < state.size)
        return _State(
            state.raw - self.rate * way,
            *adam,
            state.steps + 1,
            state.price * torch.where(good, self.step, self.step**-1.5),
            hits,
            torch.where(better, state.raw, state.best),
            torch.where(better, size, state.size),
            torch.where(better, hits, state.best_hits),
        )

    def finish(self, state: _State) -> Columns:
        works = state.size.isfinite()
        raw, hits = (state.best, state.best_hits) if works else (state.raw, state.hits)
        cover, pattern = raw.sigmoid().split([1, raw.shape[1] - 1], 1)
        return {"cover": cover, "pattern": pattern, "hits": hits}

    def put(
        self, learned: Columns, x: Tensor, rng: Rng, pose: Pose | None = None, on: Tensor | None = None
    ) -> Tensor:
        del rng, on
        cover = learned["cover"]
        return looked_at(x + cover * (fitting(learned["pattern"], x) - x), pose)

    def control(self, learned: Columns, kind: Control, rng: Rng) -> Columns:
        """Random: noise in the same mask. Plain: grey in it."""
        pattern = learned["pattern"]
        other = rng.uniform(pattern, 0, 1) if kind == "random" else torch.full_like(pattern, 0.5)
        return learned | {"pattern": other}

    def picture(self, learned: Columns) -> Tensor:
        """The trigger on grey."""
        return (0.5 + learned["cover"] * (learned["pattern"] - 0.5))[0]


def stamped(x: Tensor, raw: Tensor) -> Tensor:
    cover, pattern = raw.sigmoid().split([1, raw.shape[1] - 1], 1)
    return x + cover * (pattern - x)
