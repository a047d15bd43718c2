"""How well a substitute stands for an oracle, and how often what fools it fools the oracle."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..attacks.gradient import FGSM, PGD
from ..attacks.noise import RandomNoise
from ..attacks.substitute import Substitute
from ..data.base import Source
from ..errors import InputError
from ..model import Model
from ..objectives import Onwards, label_of
from ..query import Query
from ..regions import Linf
from ..rows import Batch, Rng
from ..runs.begin import chosen
from ..views import from_uint8, to_uint8
from .rates import Rate, rate


class AfterRound(NamedTuple):
    """One point of the curves: labels asked so far, agreement on held-out images, and transfer at the main size."""

    asked: int
    agreement: Rate
    transfer: Rate
    control: Rate


class AtSize(NamedTuple):
    """How many of the oracle's right answers each change of one size undoes."""

    eps: float
    fgsm: Rate
    pgd: Rate
    control: Rate


class Evasions(NamedTuple):
    """Changed images, as 8-bit files hold them, that the oracle itself was shown and got wrong."""

    ids: tuple[str, ...]
    x: Tensor
    y: Tensor
    label: Tensor


class Transfer(NamedTuple):
    """A whole study of one substitute."""

    rounds: list[AfterRound]
    sizes: list[AtSize]
    evasions: Evasions
    eps: float
    asked: int
    """Labels that the substitute cost."""
    scored: int
    """Images on which it is scored: not seeds, and right at the oracle. Scoring asks on top."""


def study(
    how: Substitute,
    oracle: Model,
    seeds: Batch,
    scored: Batch,
    eps: float,
    seed: int = 0,
    done: Callable[[int], None] = lambda n: None,
) -> Transfer:
    """Teach a substitute on ``seeds`` and try it on the images of ``scored`` that the oracle gets right.

    Every image shown to the oracle is what an 8-bit file holds. A batch without labels is judged by whether the
    oracle's own label changes.
    """
    told = _told(oracle, scored.x)
    right = scored[(told == scored.y) | (scored.y < 0)]
    if not len(right):
        raise InputError(f"the oracle is right on none of the {len(scored)} images it is judged by")
    y = _told(oracle, right.x)
    judge = _Judge(oracle, right, y, seed)
    points, substitute = list[AfterRound](), oracle
    for last in how.learned(oracle, seeds.x, seed):
        substitute = last.substitute
        agreement = rate(_told(substitute, scored.x) == told)
        transfer = rate(judge.shown(substitute, FGSM(), eps).fooled)
        control = points[0].control if points else rate(judge.shown(substitute, RandomNoise(), eps).fooled)
        points.append(AfterRound(last.asked, agreement, transfer, control))
        done(last.asked)
    sizes, best = judge.sizes(substitute, how, eps)
    return Transfer(points, sizes, judge.evasions(best), eps, points[-1].asked, len(right))


def disjoint(source: Source, model: Model, n: int, limit: int | None, seed: int) -> tuple[Batch, Batch]:
    """The seeds, each class as often as it goes, and what is left to score on."""
    ids, turns = chosen(source.ids(), None, seed), dict[object, int]()
    order: list[tuple[int, str]] = []
    for i in ids:
        label = source.label(i)
        turns[label] = turns.get(label, -1) + 1
        order.append((turns[label], i))
    ranked = [i for _, i in sorted(order, key=lambda pair: pair[0])]
    if len(ranked) <= n:
        raise InputError(
            f"{n} seeds of {len(ranked)} images leave none to score on", "Substitute(seeds=…) of fewer"
        )
    rest = ranked[n:] if limit is None else ranked[n : n + limit]
    first, second = (source.batch(some, model.view, model.classes).readable() for some in (ranked[:n], rest))
    return first, second


class _Shown(NamedTuple):
    saved: Tensor
    label: Tensor
    fooled: Tensor


class _Judge(NamedTuple):
    """The images an oracle gets right, and what it says to changed ones."""

    oracle: Model
    batch: Batch
    y: Tensor
    seed: int

    def shown(self, model: Model, attack: Attack, eps: float) -> _Shown:
        """The images attacked at ``model``, saved, and the oracle's labels of them."""
        saved = to_uint8(torch.cat([self._changed(model, attack, eps, *part) for part in self._parts()]))
        label = _told(self.oracle, from_uint8(saved))
        return _Shown(saved, label, label != self.y)

    def _changed(self, model: Model, attack: Attack, eps: float, some: Batch, y: Tensor) -> Tensor:
        x, within = some.x.to(model.device), Linf(eps)
        rng = Rng.seeded(self.seed, some.ids, model.device)
        query = Query(model, Onwards(), y.to(model.device), rng, who=type(attack).__name__)
        with model.settled():
            return attack.found(query, within, within.around(x)).cpu()

    def _parts(self) -> list[tuple[Batch, Tensor]]:
        rows = torch.arange(len(self.batch)).split(64)
        return [(self.batch[some], self.y[some]) for some in rows]

    def sizes(self, substitute: Model, how: Substitute, main: float) -> tuple[list[AtSize], list[_Shown]]:
        """One line for each size of change, and what was shown at the main one."""
        lines, kept = list[AtSize](), list[_Shown]()
        for eps in sorted({*how.eps, main}):
            attacks = (FGSM(), PGD(steps=how.steps))
            fgsm, pgd = (self.shown(substitute, attack, eps) for attack in attacks)
            control = self.shown(substitute, RandomNoise(), eps)
            lines.append(AtSize(eps, *(rate(shown.fooled) for shown in (fgsm, pgd, control))))
            kept = [fgsm, pgd] if eps == main else kept
        return lines, kept

    def evasions(self, shown: list[_Shown]) -> Evasions:
        """Of each image the first change that fooled the oracle."""
        first, second = shown
        saved = torch.where(first.fooled.view(-1, *[1] * (first.saved.ndim - 1)), first.saved, second.saved)
        label = torch.where(first.fooled, first.label, second.label)
        keep = (first.fooled | second.fooled).nonzero()[:, 0]
        ids = tuple(self.batch.ids[k] for k in keep.tolist())
        return Evasions(ids, saved[keep], self.y[keep], label[keep])


def _told(model: Model, x: Tensor) -> Tensor:
    """A model's labels of images, on the processor."""
    return torch.cat([label_of(model(some)) for some in x.split(model.capacity)]).cpu()
