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
from ..objectives import label_of
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
        heat, found = _heat(self.inner, question, batch), list[Columns]()
        for k in range(len(steps)):
            first = 0 if self.order == "cascading" else k
            gone = {name for step in steps[first : k + 1] for name in step.weights}
            models = (redrawn(question.model, draw, gone) for draw in range(self.draws))
            found.append(
                _compared(heat, [_heat(self.inner, question._replace(model=m), batch) for m in models])
            )
        return {name: torch.stack([one[name] for one in found], 1) for name in ("rank_correlation", "blank")}


def settled(question: Question, batch: Batch) -> Question:
    """The question about fixed classes: the target, or what the trained network takes the images for."""
    if question.target is not None:
        return question
    return question._replace(target=label_of(question.model(batch.x)).cpu())


def likeness(inner: Method, question: Question, batch: Batch, others: Sequence[Model]) -> Columns:
    """The mean rank correlation of a network's maps with those of other ones, and where its own are blank."""
    heat = _heat(inner, question, batch)
    return _compared(heat, [_heat(inner, question._replace(model=model), batch) for model in others])


def _compared(heat: Tensor, others: Sequence[Tensor]) -> Columns:
    """The mean over the other networks; ``blank`` where the map itself shows nothing, so that there is none to keep.

    A map that goes blank with the weights has changed: its correlation is 0.
    """
    correlation = torch.stack([spearman(heat, other) for other in others]).mean(0)
    return {"rank_correlation": correlation.float(), "blank": (heat.flatten(1) == 0).all(1)}


def _heat(inner: Method, question: Question, batch: Batch) -> Tensor:
    return inner.columns(question, batch)["heat"].abs()


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
