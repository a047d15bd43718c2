"""An alarm that looks at the image, at where the network looks in it, or at both."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..attacks.substitute import seeded_net
from ..attributions.base import Attribution
from ..attributions.gradient import Gradient, GradientTimesInput
from ..derivatives import derivatives, recorded
from ..errors import UnfoolError
from ..loop import Adam
from ..maps import resize, strongest_channel
from ..method import Columns, Question
from ..model import Model
from ..objectives import Logit, label_of
from ..query import Query
from ..rows import Batch, Rng, column
from ..spec import Count, Natural, Positive
from ..straight import rounded
from .alarm import Alarm, Ear

STAND_IN = GradientTimesInput()
"""Whose slope a map is given that has none of its own."""


class _State(NamedTuple):
    weights: Tensor
    mean: Tensor
    square: Tensor
    """What Adam remembers."""
    steps: Tensor
    like: Tensor
    """An image of zeros [1, C, *] that says what all are like."""


class SaliencyAlarm(Alarm):
    """A small network that tells images made to fool from harmless ones (Zhang et al., 2018, arXiv:1803.08773).

    It is shown the image, the size of the map of the predicted class's logit with its largest value at 1, or both. An
    attack goes through the map by second-order gradients, past rectifiers as if they were softened.
    """

    epochs: Count = 10
    rows: Count = 64
    sees: Literal["image", "saliency", "both"] = "both"
    attribution: Attribution = Gradient()
    """What makes the map."""
    rate: Positive = 2e-3
    """Learning rate of Adam."""
    initial: Natural = 0
    """Which weights it begins with."""

    def start(self, question: Question, batch: Batch) -> _State:
        like = torch.zeros_like(batch.x[:1], device=question.model.device)
        weights = parameters_to_vector(self._net(like).parameters()).detach()
        return _State(weights, *Adam.fresh(weights), torch.tensor(0), like)

    def update(self, question: Question, state: _State, batch: Batch) -> _State:
        net, model = self._net(state.like, state.weights), question.model
        x, y = batch.x.to(model.device), batch.y.to(model.device)
        with torch.no_grad():
            label = None if self.sees == "image" else label_of(model(x))
            seen = self._seen(model, x, label, Maps(self.attribution, model))
        with torch.enable_grad():
            _balanced(net(seen.detach())[:, 0], y.to(seen)).backward()
        grad = parameters_to_vector([p.grad for p in net.parameters() if p.grad is not None])
        adam, way = Adam(state.mean, state.square).step(grad, state.steps)
        return _State(state.weights - self.rate * way, *adam, state.steps + 1, state.like)

    def finish(self, state: _State) -> Columns:
        return {"weights": state.weights, "like": state.like}

    def listening(self, learned: Columns, model: Model) -> Ear:
        there = {name: t.to(model.device) for name, t in learned.items()}
        net = self._net(there["like"], there["weights"]).requires_grad_(False).eval()
        maps = Maps(self.attribution, model)
        return lambda x, logits: net(self._seen(model, x, label_of(logits), maps))[:, 0]

    def passage(self, model: Model, x: Tensor) -> str:
        if self.sees == "image":
            return "by the gradient"
        with model.settled():
            if Maps(self.attribution, model).twice(x[:2].to(model.device)):
                return "by second-order gradients, rectifiers softened"
        return f"past the map (BPDA): its slope is taken to be that of {STAND_IN!r}"

    def _seen(self, model: Model, x: Tensor, y: Tensor | None, maps: "Maps") -> Tensor:
        if y is None or self.sees == "image":
            return x
        heat = maps(x, y)
        return heat if self.sees == "saliency" else torch.cat([x, heat], 1)

    def _net(self, like: Tensor, weights: Tensor | None = None) -> nn.Module:
        shown = {"image": like, "saliency": like[:, :1], "both": torch.cat([like, like[:, :1]], 1)}[self.sees]
        net = seeded_net("conv", shown, 1, self.initial)
        if weights is not None:
            vector_to_parameters(weights, net.parameters())
        return net


def _balanced(suspicion: Tensor, y: Tensor) -> Tensor:
    """The surprise at ``y``; the two kinds count alike, however many there are of each."""
    surprise = F.binary_cross_entropy_with_logits(suspicion, y, reduction="none")
    kinds = [surprise[y == kind] for kind in (0, 1)]
    return torch.stack([kind.mean() for kind in kinds if len(kind)]).mean()


class Maps:
    """Maps of one attribution and network as an alarm sees them, which have slopes of their own or borrowed ones."""

    def __init__(self, attribution: Attribution, model: Model):
        self.attribution, self.model = attribution, model
        self.source: Attribution | None = None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Sizes with the largest at 1: [B, 1, *space]; nothing is random but what is the same for every image."""
        heat = self._shown(self.attribution, x.detach(), y).detach()
        if not (x.requires_grad and torch.is_grad_enabled()):
            return heat
        if self.source is None:
            self.source = self.attribution if self.twice(x[:2].detach()) else STAND_IN
        soft = self._soft(self.source, x, y)
        return heat + (soft - soft.detach())

    def twice(self, x: Tensor) -> bool:
        """Whether the attribution's maps of such images have slopes that are not zero."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            try:
                y = label_of(self.model.trace(x)["output"])
                soft = self._soft(self.attribution, leaf, y)
                (slope,) = derivatives(soft.square().flatten(1).sum(1), [leaf], "the map")
            except (UnfoolError, RuntimeError):  # whatever cannot be differentiated twice
                return False
        return slope is not None and bool(slope.isfinite().all() and slope.any())

    def _soft(self, attribution: Attribution, x: Tensor, y: Tensor) -> Tensor:
        with recorded(), rounded():
            return self._shown(attribution, x, y)

    def _shown(self, attribution: Attribution, x: Tensor, y: Tensor) -> Tensor:
        same = Rng([0] * len(x), x.device)
        query = Query(self.model, Logit(), y, same, images=x, who=type(attribution).__name__)
        heat = strongest_channel(attribution.explain(query, x)).abs()
        heat = resize(heat, tuple(x.shape[2:])).to(x.dtype)
        return heat / column(heat.flatten(1).amax(1).clamp_min(1e-12), heat)
