"""Backward rules: how an activation passes gradients back, whatever form it comes in, while a query looks."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, final

import torch
from torch import Tensor

from ..answers import AtLayer
from ..derivatives import derivatives, exact, there
from ..maps import resize
from ..query import Query
from .activations import SMOOTH, Called, activation_of, followed, passing
from .base import Attribution
from .cam import GradCAM, place_of, share_positive
from .gradient import Gradient
from .layers import connected_layer, laid_out
from .modes import Clock, Mode, Rule, following


class Bending(Rule, ABC):
    """How an activation passes a gradient back.

    With ``extend`` GELU, SiLU and other activations that are not zero below zero follow the rule too: their own
    derivative stands where a ReLU has 1 above zero and 0 below. Without, they pass gradients as ever.
    """

    extend: bool = False
    """Whether activations that are not zero below zero follow the rule too."""

    @abstractmethod
    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        """What goes down where ``grad`` arrives; ``slope`` is the activation's own, of a ReLU where that is one."""

    @final
    def mode(self, clock: Clock) -> "_Bending":
        return _Bending(self, clock)


class Guided(Bending):
    """Positive signals only, and only through units that were on (Springenberg et al., 2015)."""

    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        return grad.relu() * (slope if slope.dtype == torch.bool else slope.relu())


class Deconv(Bending):
    """Positive signals only, through units on or off (Zeiler & Fergus, 2014).

    Max pooling sends each signal back to where its maximum was: the paper's switches are what a gradient does anyway.
    """

    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        return grad.relu()


class _Bending(Mode):
    """Activations under a rule, or with ``bent`` off as they are."""

    def __init__(self, rule: Bending, clock: Clock):
        super().__init__(clock)
        self.rule, self.bent = rule, True

    def called(self, called: Called) -> Any:
        kind = activation_of(called) if followed(called.lead) else None
        if kind is None:
            return called()
        follows = self.rule.extend or called.name not in SMOOTH
        self.count(kind, follows)
        return passing(called, kind, self.back) if follows else called()

    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        return self.rule.back(grad, slope) if self.bent else grad * slope

    @contextmanager
    def bending(self) -> Generator[None]:
        self.bent = True
        yield


class Bent(Attribution):
    """Any attribution with the network's activations under another backward rule (Springenberg et al., 2015).

    Scores stay what they were. Module, function, method and in-place ReLUs are one to it; how many followed the rule
    is in the result's notes (``ReLU_met``). A rule that meets none is an error.
    """

    inner: Attribution = Gradient()
    """What is asked of the network meanwhile."""
    rule: Rule = Guided()
    """How its activations pass gradients back: Guided() or Deconv()."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        with following(self.rule.mode, query, repr(self.rule)):
            return self.inner.explain(query, x)


class Product(Attribution):
    """Two maps multiplied, the smaller one brought to the larger one's size first."""

    left: Attribution = Bent()
    """One of them."""
    right: Attribution = GradCAM()
    """The other."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return multiplied(self.left.explain(query, x), self.right.explain(query, x))


def multiplied(a: Tensor, b: Tensor) -> Tensor:
    size = tuple(max(sides) for sides in zip(a.shape[2:], b.shape[2:], strict=True))
    return resize(a, size) * resize(b, size)


class GuidedGradCAM(Attribution):
    """Guided backpropagation where Grad-CAM looks: their product (Selvaraju et al., 2017).

    What Product(Bent(), GradCAM()) gives, from one pass forward instead of two.
    """

    layer: str = "auto"
    """Grad-CAM's layer; "auto" is the last one whose output still has positions."""
    rule: Bending = Guided()
    """How activations pass gradients back on the way to the image."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        query.model.need("gradients", query.who)
        layer = connected_layer(query, x) if self.layer == "auto" else self.layer
        with following(self.rule.mode, query, repr(self.rule)) as mode:
            mode.bent = False
            at, slope = at_and_below(query, layer, x, mode.bending())
        at = laid_out(query, layer, at, x)
        weights, maps = at.grad.mean(tuple(range(2, x.ndim)), keepdim=True), at.activation
        query.notes["positive"] = share_positive(weights)
        query.notes["layer"] = torch.full((len(x),), place_of(query, layer), device=x.device)
        return multiplied(slope, (weights * maps).sum(1, keepdim=True).relu())


def at_and_below(
    query: Query, layer: str, x: Tensor, below: AbstractContextManager[Any]
) -> tuple[AtLayer, Tensor]:
    """A layer's activation and gradient, and the gradient at the images taken within ``below``: one pass forward."""
    place = f"layer {layer!r}"
    with torch.enable_grad():
        score, trace = query.leading(("input", layer), x)
        (grad,) = derivatives(score, [trace[layer]], query.who, place, keep=True)
        with below:
            (slope,) = derivatives(score, [trace["input"]], query.who)
    query.spent.add("backward", 2)
    at = AtLayer(score.detach(), exact(trace[layer].detach()), exact(there(grad, place)))
    return at, there(slope).contiguous()
