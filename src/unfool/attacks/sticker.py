"""A printable change of part of an object, the same for all pictures of it."""

from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from ..derivatives import gradient_of
from ..errors import InputError
from ..loop import Adam
from ..method import Columns, Question
from ..objectives import CrossEntropy, Objective
from ..regions import Linf, Mask
from ..rows import Batch, Rng
from ..spec import Bound, Count, Fraction, Positive
from ..transforms import Camera, Transform
from .learned import asked, photographed
from .printing import roughness, unprintable
from .universal import Added

Weight = Annotated[float, Bound(0)]


class _State(NamedTuple):
    change: Tensor
    mean: Tensor
    square: Tensor
    """What Adam remembers."""
    steps: Tensor
    mask: Tensor
    seen: Tensor
    """How many updates there were, those of the search for the mask included."""


class Sticker(Added):
    """A printable change inside a mask that survives other views, RP2 (Eykholt et al., 2018, arXiv:1707.08945).

    Lowered are the loss over camera views plus ``weight * ||M d||_p + rough * TV(d) + ink * NPS(x + M d)``. Without a
    mask (``Mask(box=…)``, or one given with the images) a first run over the whole image with the L1 norm finds where
    the change is largest, and the sticker covers the best ``cover`` of it.
    """

    norm: Literal["L2", "L1"] = "L2"
    """In what the change is kept small once the mask is known."""
    weight: Weight = 0.002
    """Of that norm."""
    rough: Weight = 0.0
    """Of the change's total variation."""
    ink: Weight = 0.0
    """Of its colours' distance from those a printer has (Sharif et al., 2016)."""
    palette: tuple[Fraction, ...] = ()
    """Those colours, channel by channel, one after the other; empty: thirty common ones."""
    find: Count = 100
    """Updates of the run that looks for the mask."""
    cover: Annotated[float, Bound(0.001, 1)] = 0.1
    """Share of the image that a mask found by that run covers."""
    camera: tuple[Transform, ...] = (Camera(),)
    """Views of the changed picture it is learned through."""
    loss: Objective = CrossEntropy()
    """What to climb."""
    rate: Positive = 0.1
    """Adam's, in units of the image."""

    def start(self, question: Question, batch: Batch) -> _State:
        x, mask = batch.x.to(question.model.device), _mask(question, batch)
        whole = torch.ones_like(x[:1, :1]) if mask is None else mask.to(x.device)
        change = Rng.seeded(question.seed, ["sticker"], x.device).normal(x[:1])
        seen = torch.tensor(0 if mask is None else self.find)
        return _State(change, *Adam.fresh(change), torch.tensor(0), whole, seen)

    def update(self, question: Question, state: _State, batch: Batch) -> _State:
        x, finding = batch.x.to(question.model.device), bool(state.seen < self.find)
        if not finding and state.mask.all() and _mask(question, batch) is None:
            state = self._masked(state, question.seed)
        query = asked(question, batch, self.loss, type(self).__name__)
        with query.model.settled():
            changes = state.change.expand(len(x), *state.change.shape[1:])
            put = lambda d, rng: (x + state.mask * d).clamp(0, 1)  # noqa: E731
            slope = photographed(query, question, changes, (put, *self.camera))
            grad = slope.mean(0, keepdim=True)
        less = gradient_of(lambda d: self._cost(d, x, state.mask, finding), state.change)
        adam, way = Adam(state.mean, state.square).step((grad - less) * state.mask, state.steps)
        change = (state.change + self.rate * way).clamp(-1, 1)
        return _State(change, *adam, state.steps + 1, state.mask, state.seen + 1)

    def _masked(self, state: _State, seed: int) -> _State:
        """The end of the first run: the mask is where its change is largest, and all begins anew inside."""
        size = state.change.abs().sum(1, keepdim=True).flatten()
        best = size.topk(max(1, round(self.cover * len(size)))).indices
        mask = torch.zeros_like(size).index_fill(0, best, 1).view_as(state.mask)
        fresh = Rng.seeded(seed, ["inside"], mask.device).normal(state.change)
        return _State(fresh, *Adam.fresh(fresh), torch.tensor(0), mask, state.seen)

    def _cost(self, change: Tensor, x: Tensor, mask: Tensor, finding: bool) -> Tensor:
        inside = (mask * change).flatten(1)
        size = inside.abs().sum(1) if finding or self.norm == "L1" else inside.norm(dim=1)
        cost = self.weight * size + self.rough * roughness(mask * change)
        if self.ink and not finding:
            colours = x + mask * change  # not cut to [0, 1], where the way back would be flat
            cost = cost + self.ink * unprintable(colours, mask, self.palette).mean()
        return cost

    def finish(self, state: _State) -> Columns:
        if state.seen <= self.find:
            raise InputError(
                f"after {int(state.seen)} updates Sticker was still looking for its mask",
                "more epochs, a smaller find=…, or Mask(Linf(1), box=(top, left, bottom, right))",
            )
        return {"change": state.change * state.mask, "mask": state.mask}

    def plain(self, change: Tensor, mask: Tensor) -> Tensor:
        size = change.abs().sum() / (mask.sum() * change.shape[1])
        return (mask * size).expand_as(change)

    def picture(self, learned: Columns) -> Tensor:
        """The change about grey, from black to white; light grey outside the mask."""
        mask = learned["mask"][0]
        return (0.5 + learned["change"][0] / 2) * mask + 0.85 * (1 - mask)


def _mask(question: Question, batch: Batch) -> Tensor | None:
    """Where the sticker may be, where that is known: [1, 1, *]."""
    known = batch.masks if question.within is None else None
    if isinstance(question.within, Mask):
        known = (
            (question.within if question.within.box else Mask(Linf(1.0)))
            .around(batch.x, question.mask(batch))
            .mask
        )
    if known is None:
        return None
    if not (known == known[:1]).all():
        raise InputError("one sticker has one place", "Mask(Linf(1), box=(top, left, bottom, right))")
    return known[:1].to(batch.x)
