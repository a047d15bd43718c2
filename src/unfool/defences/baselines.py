"""Alarms that were there before: squeezed features, distances in feature space."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor

from ..measures.embed import features_of
from ..method import Columns, Question
from ..model import Model
from ..objectives import label_of
from ..rows import Batch
from ..scores import mean_scores
from ..spec import Count, Fraction
from .alarm import Alarm, Ear, harmless

BANK = 5000
"""How many images neighbours are looked for among, at most."""


class _Seen(NamedTuple):
    number: Tensor


class SqueezeAlarm(Alarm):
    """How much probabilities change when an image is squeezed: fewer grey levels, a median (Xu et al., 2018).

    The larger of the two changes counts (arXiv:1704.01155). It learns nothing.
    """

    harmless_alone: ClassVar[bool] = True
    epochs: Count = 1
    bits: Count = 3
    """How many a pixel keeps."""
    side: Count = 2
    """The median is of so many pixels along each dimension."""

    def start(self, question: Question, batch: Batch) -> _Seen:
        return _Seen(torch.tensor(0))

    def update(self, question: Question, state: _Seen, batch: Batch) -> _Seen:
        return _Seen(state.number + len(batch))

    def finish(self, state: _Seen) -> Columns:
        return {"seen": state.number}

    def listening(self, learned: Columns, model: Model) -> Ear:
        def change(x: Tensor, logits: Tensor) -> Tensor:
            before = logits.softmax(1)
            squeezed = (fewer_levels(x, 2**self.bits - 1), median(x, self.side))
            after = [mean_scores(model.trace(some)["output"]).softmax(1) for some in squeezed]
            return torch.stack([(p - before).abs().sum(1) for p in after]).amax(0)

        return change

    def passage(self, model: Model, x: Tensor) -> str:
        return "by the gradient, past the rounding of grey levels as if it were not there (BPDA)"


def fewer_levels(x: Tensor, levels: int) -> Tensor:
    """Rounded to one of so many steps above 0, with the slope of doing nothing."""
    return x + ((x * levels).round() / levels - x).detach()


def median(x: Tensor, side: int) -> Tensor:
    """Of each pixel and those around it, ``side`` along each dimension of space; borders are repeated.

    Of an even number the larger of the middle two, as is usual.
    """
    for axis in range(2, x.ndim):
        before, after = side // 2, side - 1 - side // 2
        ends = [x.narrow(axis, 0, 1)] * before, [x.narrow(axis, x.shape[axis] - 1, 1)] * after
        x = torch.cat([*ends[0], x, *ends[1]], axis)
    for axis in range(2, x.ndim):
        x = x.unfold(axis, side, 1)
    space = (x.ndim - 2) // 2
    windows = x.flatten(2 + space).sort(-1).values
    return windows[..., side**space // 2]


class FeatureAlarm(Alarm, ABC):
    """How far an image is from harmless ones in the features that the last layer is given."""

    harmless_alone: ClassVar[bool] = True
    epochs: Count = 1

    @abstractmethod
    def far(self, learned: Columns, features: Tensor) -> Tensor:
        """How far features [B, D] in float64 are: [B]."""

    @final
    def listening(self, learned: Columns, model: Model) -> Ear:
        there = {name: t.to(model.device) for name, t in learned.items()}
        return lambda x, logits: self.far(there, features_of(model, x).double()).to(logits.dtype)

    @final
    def passage(self, model: Model, x: Tensor) -> str:
        return "by the gradient"


class _Sums(NamedTuple):
    number: Tensor
    total: Tensor
    square: Tensor


class MahalanobisAlarm(FeatureAlarm):
    """The distance to the nearest class's mean, by one covariance for all (Lee et al., 2018, arXiv:1807.03888).

    In the last features alone and of one network pass; the classes are the predicted ones.
    """

    shrink: Fraction = 0.01
    """How far the covariance is brought towards one without directions, so that it can be inverted."""

    def start(self, question: Question, batch: Batch) -> _Sums:
        with question.model.settled(), torch.no_grad():
            wide = features_of(question.model, batch.x[:1].to(question.model.device)).shape[1]
            classes = mean_scores(question.model(batch.x[:1].to(question.model.device))).shape[1]
        none = torch.zeros(classes, wide, dtype=torch.float64, device=question.model.device)
        return _Sums(none[:, 0].clone(), none, torch.zeros(wide, wide).to(none))

    def update(self, question: Question, state: _Sums, batch: Batch) -> _Sums:
        model, x = question.model, harmless(batch.x, batch.y).to(question.model.device)
        if not len(x):
            return state
        with torch.no_grad():
            features, label = features_of(model, x).double(), label_of(model(x))
        return _Sums(
            state.number.index_add(0, label, torch.ones_like(features[:, 0])),
            state.total.index_add(0, label, features),
            state.square + features.T @ features,
        )

    def finish(self, state: _Sums) -> Columns:
        there = state.number > 0
        n, total = state.number[there, None], state.total[there]
        means = total / n
        covariance = (state.square - means.T @ total) / n.sum()
        plain = covariance.diagonal().mean().clamp_min(1e-12) * torch.eye(len(covariance)).to(covariance)
        return {"means": means, "precision": torch.linalg.inv(torch.lerp(covariance, plain, self.shrink))}

    def far(self, learned: Columns, features: Tensor) -> Tensor:
        apart = features[:, None] - learned["means"]
        return ((apart @ learned["precision"]) * apart).sum(2).amin(1)


class _Bank(NamedTuple):
    bank: Tensor


class NeighbourAlarm(FeatureAlarm):
    """The distance to the k-th nearest harmless image, by direction alone (Sun et al., 2022, arXiv:2204.06507)."""

    neighbours: Count = 10

    def start(self, question: Question, batch: Batch) -> _Bank:
        with question.model.settled(), torch.no_grad():
            one = features_of(question.model, batch.x[:1].to(question.model.device)).double()
        return _Bank(one[:0])

    def update(self, question: Question, state: _Bank, batch: Batch) -> _Bank:
        x = harmless(batch.x, batch.y).to(question.model.device)
        if not len(x) or len(state.bank) >= BANK:
            return state
        with torch.no_grad():
            more = F.normalize(features_of(question.model, x).double(), dim=1)
        return _Bank(torch.cat([state.bank, more])[:BANK])

    def finish(self, state: _Bank) -> Columns:
        return {"bank": state.bank}

    def far(self, learned: Columns, features: Tensor) -> Tensor:
        bank = learned["bank"]
        apart = torch.cdist(F.normalize(features, dim=1), bank)
        return apart.topk(min(self.neighbours, len(bank)), largest=False).values[:, -1]
