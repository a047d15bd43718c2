"""Whether a map depends on what the network has learned (Adebayo et al., 2018)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..borrow import copied
from ..errors import InputError
from ..hooks import observed_calls
from ..maps import spearman
from ..method import Columns, Method, Question
from ..model import Model
from ..rows import Batch, stable_number
from ..spec import Count, Natural


class Randomised(Method):
    """Rank correlation between a method's maps of the network and of the same network with its weights drawn anew.

    A map that hardly changes when everything learned is gone does not show what was learned. The target class is
    that of the trained network in both. A map that goes blank in the random network has changed: its correlation counts
    as 0. One that is blank in the trained network has nothing to keep, and does not count.
    """

    inner: Method
    """An attribution."""
    draws: Count = 1
    """How many random networks; their correlations are averaged."""
    draw: Natural = 0
    """The first one's seed."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        empty = [redrawn(question.model, self.draw + k) for k in range(self.draws)]
        return likeness(self.inner, settled(question, batch), batch, empty)


class LayersRandomised(Method):
    """The same layer by layer, from the output down, in the order in which the network runs (Adebayo et al., 2018).

    ``rank_correlation`` [B, layers] is in the order of :func:`steps_down`; the untouched network is not among them.
    """

    inner: Method
    """An attribution."""
    order: Literal["cascading", "independent"] = "cascading"
    """Each layer on top of all before it, or each alone."""
    draws: Count = 3
    """How many random networks of each kind, with other weights each."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        question = settled(question, batch)
        steps = steps_down(question.model, batch.x)
        heat, found = _map(self.inner, question, batch), list[Columns]()
        for k in range(len(steps)):
            first = 0 if self.order == "cascading" else k
            gone = {name for step in steps[first : k + 1] for name in step.weights}
            models = (redrawn(question.model, draw, gone) for draw in range(self.draws))
            found.append(
                _compared(heat, [_map(self.inner, question._replace(model=m), batch) for m in models])
            )
        return {name: torch.stack([one[name] for one in found], 1) for name in ("rank_correlation", "blank")}


def settled(question: Question, batch: Batch) -> Question:
    """The question about what the trained network finds: the target or predicted classes, their regions or boxes."""
    query = question.about(batch).explaining(batch.x, batch.ids, "Randomised")
    if question.target is not None and not query.objective.fixes:
        return question
    assert query.images is not None
    with question.model.settled():
        query.ask(query.images)
    given = {name: t.cpu() for name, t in query.fixed.items()}
    return question._replace(objective=query.objective, target=query.y.cpu(), given=given)


def likeness(inner: Method, question: Question, batch: Batch, others: Sequence[Model]) -> Columns:
    """The mean rank correlation of a network's maps with those of other ones, and where its own are blank."""
    heat = _map(inner, question, batch)
    return _compared(heat, [_map(inner, question._replace(model=model), batch) for model in others])


class _Map(NamedTuple):
    """The absolute values of a map."""

    heat: Tensor
    fixed: bool
    """Whether it is about a region, a landmark or a box that was settled beforehand."""
    gone: Tensor
    """Images in which this network has nothing there, such as a random detector no box: nothing to compare."""


def _map(inner: Method, question: Question, batch: Batch) -> _Map:
    found = inner.columns(question, batch)
    heat = found["heat"].abs()
    fixed = question.objective is not None and bool(question.objective.fixes)
    gone = (found["score"] == 0) & (heat.flatten(1) == 0).all(1)
    return _Map(heat, fixed, gone & fixed)


def _compared(one: _Map, others: Sequence[_Map]) -> Columns:
    """The mean over the other networks; ``blank`` where the map itself shows nothing, so that there is none to keep.

    A map that goes blank with the weights has changed: its correlation is 0. Where all other networks have nothing to
    compare with, the image does not count either.
    """
    each = torch.stack([_alike(one, other).masked_fill(other.gone, torch.nan) for other in others])
    correlation = each.nanmean(0)
    blank = (one.heat.flatten(1) == 0).all(1) | correlation.isnan()
    return {"rank_correlation": correlation.nan_to_num(0.0).float(), "blank": blank}


def _alike(one: _Map, other: _Map) -> Tensor:
    """The rank correlation of maps: [B].

    Of a region or a box that is the same for both, over the positions where either map is not zero: what the score
    cannot depend on is zero in any network, and alike for no merit.
    """
    if not one.fixed:
        return spearman(one.heat, other.heat)
    either = ((one.heat != 0) | (other.heat != 0)).flatten(1)
    pairs = zip(one.heat.flatten(1), other.heat.flatten(1), either, strict=True)
    return torch.cat([spearman(a[None, here], b[None, here]) for a, b, here in pairs])


class Part(NamedTuple):
    """A part of the network that runs at one moment, and the modules whose weights it holds."""

    name: str
    weights: tuple[str, ...]


def steps_down(model: Model, x: Tensor) -> list[Part]:
    """The parts with weights as they are used for images like ``x``, the last to be used first.

    Observed, not read off the names. Weights of a module that is never called, as inside attention, belong to what is
    called around it.
    """
    names = {module: name for name, module in model.layers.items()}
    with model.settled():
        seen = observed_calls(lambda: model(x[:1]), names)
    calls = {names[call.module]: k for k, call in enumerate(seen)}  # its last use, where there are several
    parts: dict[str, list[str]] = {}
    for name, module in model.net.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            parts.setdefault(_called(name, calls), []).append(name)
    if not parts:
        raise InputError(f"{model.name} has no weights that could be drawn anew")
    down = sorted(parts, key=lambda name: (_began(name, calls), -len(name)), reverse=True)
    return [Part(name, tuple(parts[name])) for name in down]


def _called(name: str, calls: Mapping[str, int]) -> str:
    """The module itself where it is called, or the nearest one around it that is; "" is the network."""
    while name and name not in calls:
        name = name.rpartition(".")[0]
    return name


def _began(name: str, calls: Mapping[str, int]) -> int:
    """When a module's own weights are used: after the first of its parts that is called, or when it is itself."""
    inside = [when for other, when in calls.items() if name == "" or other.startswith(f"{name}.")]
    return min(inside, default=calls.get(name, 0))


def redrawn(model: Model, seed: int, weights: Collection[str] | None = None) -> Model:
    """The same model with the weights of all modules, or of some, drawn anew; batch norms are as before training."""
    empty = model.around(copied(model.net))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stable_number(seed, "redrawn") % 2**31)
        for name, module in empty.net.named_modules():
            if weights is None or name in weights:
                _redraw(module)
    return empty


def _redraw(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    with torch.no_grad():  # a layer of the user's own: as wide as it was, in another order
        for p in module.parameters(recurse=False):
            p.copy_(p.flatten()[torch.randperm(p.numel())].view_as(p))
