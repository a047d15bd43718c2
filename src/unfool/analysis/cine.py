"""What a map says of a series: its profile over time, and what is left of the answer once frames go."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..measures.frames import FrameDeletion, profile_of, truth_of
from ..method import Method, Question
from ..model import Model
from ..rows import Batch
from ..runs.table import Table
from ..targets import Segment
from .rates import Mean, mean_of
from .sanity import Badge, badges

ORDERS = ("salient", "random", "least")


class Deleted(NamedTuple):
    """One method: what is left by number of frames replaced, by order; and how much more random frames leave."""

    method: Method
    frames: tuple[int, ...]
    whole: Mean
    left: dict[str, list[Mean]]
    gain: list[Mean]  # what random frames leave less what salient ones leave, of each series
    profile: Tensor  # the mean over series [T]
    n: int


class Series(NamedTuple):
    """One series as it is shown: maps by method, profiles by method, and the signal of every region over time."""

    id: str
    x: Tensor  # [C, T, H, W]
    target: int
    here: Tensor | None  # where the network finds the target [H, W]
    maps: list[Tensor]  # [C, T, H, W] each
    profiles: list[Tensor]  # [T] each
    signals: dict[str, Tensor]  # [T] each


def deleted(plan: FrameDeletion, table: Table) -> Deleted:
    fine = table.readable
    left = {order: table[order][fine].double() for order in ORDERS}
    means = {order: [_share(column) for column in values.unbind(1)] for order, values in left.items()}
    gain = [_mean(column) for column in (left["random"] - left["salient"]).unbind(1)]
    whole, profile = _share(table["whole"][fine].double()), table["profile"][fine].mean(0)
    return Deleted(plan.inner, plan.frames, whole, means, gain, profile, int(fine.sum()))


def _share(values: Tensor) -> Mean:
    """The mean of shares; its interval stays within [0, 1]."""
    found = _mean(values)
    return found._replace(low=max(0.0, found.low), high=min(1.0, found.high))


def _mean(values: Tensor) -> Mean:
    return mean_of(values.tolist())


def shown_series(methods: Sequence[Method], question: Question, batch: Batch) -> list[Series]:
    """The maps of a few series."""
    columns = [method.columns(question, batch) for method in methods]
    targets, scores = columns[0]["target"], question.model(batch.x).cpu()
    here = truth_of(None, scores, targets)
    signals = signals_of(question.model, batch.x, scores)
    return [
        Series(
            id,
            batch.x[k],
            int(targets[k]),
            None if here is None else here[k],
            [one["heat"][k] for one in columns],
            [profile_of(one["heat"][k : k + 1])[0] for one in columns],
            {name: curve[k] for name, curve in signals.items()},
        )
        for k, id in enumerate(batch.ids)
    ]


def series_badges(
    methods: Sequence[Method], question: Question, batch: Batch, shown: list[Series]
) -> list[Badge]:
    """A badge for each method from the series shown; a network drawn anew is asked about the trained one's region."""
    question = question._replace(target=torch.tensor([one.target for one in shown]))
    if isinstance(question.objective, Segment) and question.objective.where == "predicted":
        here = [one.here for one in shown if one.here is not None]
        batch = replace(batch, masks=torch.stack(here)[:, None])
        question = question._replace(objective=replace(question.objective, where="mask", at=()))
    return badges(methods, question, batch)


def signals_of(model: Model, x: Tensor, scores: Tensor) -> Mapping[str, Tensor]:
    """The mean brightness over time where a network finds each class but the first, or of the whole image: [B, T]."""
    bright = x.mean(1)
    if scores.ndim != 4:
        return {"whole image": bright.flatten(2).mean(2)}
    found = scores.argmax(1)
    curves = dict[str, Tensor]()
    for label in range(1, min(scores.shape[1], 4)):
        here = (found == label)[:, None].to(bright)
        size = here.flatten(2).sum(2)
        mean = (bright * here).flatten(2).sum(2) / size.clamp_min(1)
        curves[model.label_name(label)] = torch.where(size > 0, mean, torch.nan)
    return curves
