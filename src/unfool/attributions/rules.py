"""Backward rules: how an activation passes gradients back, whatever form it comes in, while a query looks."""

import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..errors import InputError
from ..grids import grid_of
from ..maps import resize
from ..query import Query
from ..spec import Spec
from .activations import SMOOTH, Called, activation_of, followed, passing, reachable
from .base import Attribution
from .cam import GradCAM, connected_layer
from .gradient import Gradient


class Rule(Spec, ABC):
    """How an activation passes a gradient back.

    With ``extend`` GELU, SiLU and other activations that are not zero below zero follow the rule too: their own
    derivative stands where a ReLU has 1 above zero and 0 below. Without, they pass gradients as ever.
    """

    extend: bool = False
    """Whether activations that are not zero below zero follow the rule too."""

    @abstractmethod
    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        """What goes down where ``grad`` arrives and the activation's own derivative is ``slope``."""


class Guided(Rule):
    """Positive signals only, and only through units that were on (Springenberg et al., 2015)."""

    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        return grad.relu() * slope.relu()


class Deconv(Rule):
    """Positive signals only, through units on or off (Zeiler & Fergus, 2014).

    Max pooling sends each signal back to where its maximum was: the paper's switches are what a gradient does anyway.
    """

    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        return grad.relu()


class _Bending(TorchFunctionMode):
    """Activations under a rule; ``met`` counts them by pass and kind, those left as they are with them as 0."""

    def __init__(self, rule: Rule, clock: Callable[[], int], bent: bool = True):
        super().__init__()
        self.rule, self.clock, self.bent = rule, clock, bent
        self.met: dict[int, Counter[str]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        called = Called(func, args, kwargs or {})
        kind = activation_of(called) if followed(called.lead) else None
        if kind is None:
            return called()
        follows = self.rule.extend or called.name not in SMOOTH
        self.met.setdefault(self.clock(), Counter())[kind] += follows
        return passing(called, self.back) if follows else called()

    def back(self, grad: Tensor, slope: Tensor) -> Tensor:
        return self.rule.back(grad, slope) if self.bent else grad * slope

    @contextmanager
    def bending(self) -> Generator[None]:
        self.bent = True
        yield

    def most(self) -> dict[str, int]:
        """How many of each kind followed the rule in one pass."""
        kinds = sorted({kind for seen in self.met.values() for kind in seen})
        return {kind: max(seen[kind] for seen in self.met.values()) for kind in kinds}


@contextmanager
def following(rule: Rule, query: Query, bent: bool = True) -> Generator[_Bending]:
    """Every activation of the passes inside follows a rule; what was met is noted, and an error if it is nothing."""
    query.model.need("gradients", query.who)
    reachable(query.model, f"{query.who} with {rule!r}")
    with _Bending(rule, lambda: query.cost["forward"], bent) as mode:
        yield mode
    met = mode.most()
    report(rule, met)
    for kind, n in met.items():
        query.notes[f"{kind}_met"] = torch.full((len(query),), n)


def report(rule: Rule, met: dict[str, int]) -> None:
    """Raise where a rule met nothing, warn where it left something as it was."""
    left = [kind for kind, n in met.items() if not n]
    if not any(met.values()):
        what = f"only {' and '.join(left)}, which it does not cover" if left else "no activation on the way"
        hint = f"{type(rule).__name__}(extend=True) does" if left else "Gradient() explains such a score"
        raise InputError(f"{rule!r} met {what}", hint)
    if left:
        counts = ", ".join(f"{kind} {n}" for kind, n in met.items())
        warnings.warn(f"{rule!r} met {counts}: extend=True covers the others too", stacklevel=4)


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
        with following(self.rule, query):
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
    rule: Rule = Guided()
    """How activations pass gradients back on the way to the image."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        query.model.need("gradients", query.who)
        layer = connected_layer(query, x) if self.layer == "auto" else self.layer
        with following(self.rule, query, bent=False) as mode:
            at, slope = query.at_and_below(layer, x, mode.bending())
        grid = grid_of(tuple(at.activation.shape), tuple(x.shape[2:]))
        if grid is None:
            raise InputError(
                f"layer {layer!r} gives {list(at.activation.shape)}, which has no positions",
                f"try {connected_layer(query, x)!r}",
            )
        maps, grad = grid.maps(at.activation), grid.maps(at.grad)
        weights = grad.mean(tuple(range(2, grad.ndim)), keepdim=True)
        return multiplied(slope, (weights * maps).sum(1, keepdim=True).relu())
