"""How weights follow their gradients, and how fast in the course of the learning."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from math import cos, pi
from typing import Annotated

from torch import nn
from torch.optim import SGD as TorchSGD  # noqa: N811  it is a name, not a constant
from torch.optim import AdamW as TorchAdamW
from torch.optim import Optimizer

from ..spec import Bound, Fraction, Positive, Spec

Decay = Annotated[float, Bound(0)]


class Optimiser(Spec, ABC):
    """A rule by which weights follow their gradients."""

    rate: Positive
    """The largest learning rate; the schedule takes shares of it."""

    @abstractmethod
    def over(self, weights: Iterable[nn.Parameter]) -> Optimizer:
        """torch's own, for these weights."""


class SGD(Optimiser):
    """Gradient descent with momentum."""

    rate: Positive = 0.1
    """The largest learning rate; the schedule takes shares of it."""
    momentum: Fraction = 0.9
    """How much of the last step is kept."""
    decay: Decay = 5e-4
    """How fast weights shrink by themselves."""
    nesterov: bool = False
    """Look where the momentum leads before the gradient is taken."""

    def over(self, weights: Iterable[nn.Parameter]) -> Optimizer:
        return TorchSGD(weights, self.rate, self.momentum, 0.0, self.decay, self.nesterov)


class Adam(Optimiser):
    """Steps of about the same size for every weight (Kingma & Ba, 2015), with decay as in Loshchilov & Hutter, 2019."""

    rate: Positive = 1e-3
    """The largest learning rate; the schedule takes shares of it."""
    decay: Decay = 0.0
    """How fast weights shrink by themselves."""

    def over(self, weights: Iterable[nn.Parameter]) -> Optimizer:
        return TorchAdamW(weights, self.rate, weight_decay=self.decay)


class Schedule(Spec, ABC):
    """How fast is learned in the course of the learning."""

    @abstractmethod
    def factor(self, share: float) -> float:
        """The share of the rate where ``share`` of all updates is done."""


class Constant(Schedule):
    """The same rate from beginning to end."""

    def factor(self, share: float) -> float:
        del share
        return 1.0


class Cosine(Schedule):
    """Down to nothing along half a cosine (Loshchilov & Hutter, 2017), after a straight way up."""

    warmup: Annotated[float, Bound(0, 0.99)] = 0.0
    """The share of the learning that the way up takes."""

    def factor(self, share: float) -> float:
        if share < self.warmup:
            return share / self.warmup
        return 0.5 * (1 + cos(pi * (share - self.warmup) / (1 - self.warmup)))


class Cyclic(Schedule):
    """Straight up and straight down again (Smith, 2017): what makes adversarial training fast (Wong et al., 2020)."""

    peak: Annotated[float, Bound(0.01, 0.99)] = 0.4
    """Where in the learning the rate is largest."""

    def factor(self, share: float) -> float:
        return share / self.peak if share < self.peak else (1 - share) / (1 - self.peak)


class Steps(Schedule):
    """A smaller rate after each of some shares of the learning."""

    at: tuple[Fraction, ...] = (0.5, 0.75)
    """Where the rate falls."""
    by: Positive = 0.1
    """What it is multiplied by there."""

    def factor(self, share: float) -> float:
        return self.by ** sum(share >= at for at in self.at)
