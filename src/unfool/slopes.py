"""Which way is up: the exact gradient, or what stands in for it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .answers import Answer
from .errors import InputError
from .hooks import hooked
from .query import Query
from .rows import column
from .spec import Count, Natural, Positive, Spec
from .straight import SOUGHT, identity, straightened
from .transforms import Jitter, Transform


class Slope(Spec, ABC):
    """The direction in which a score rises. ``reached`` is always asked of the image itself."""

    @abstractmethod
    def __call__(self, query: Query, x: Tensor) -> Answer:
        """Each row's score, whether it is done, and its slope."""


class Exact(Slope):
    """The gradient, by backpropagation."""

    def __call__(self, query: Query, x: Tensor) -> Answer:
        return query.gradient(x)


class NES(Slope):
    """The gradient guessed from scores at random points nearby (Ilyas et al., 2018)."""

    samples: Count = 50
    """Pairs of points, one on either side."""
    sigma: Positive = 0.01
    """How far away they are."""

    def __call__(self, query: Query, x: Tensor) -> Answer:
        return guessed(query, x, query.rng.normal, self.samples, self.sigma)


class SPSA(Slope):
    """The gradient guessed from scores where every value has moved by as much, up or down (Uesato et al., 2018)."""

    samples: Count = 50
    """Pairs of points, one on either side."""
    delta: Positive = 0.01
    """How far every value moves."""

    def __call__(self, query: Query, x: Tensor) -> Answer:
        return guessed(query, x, query.rng.sign, self.samples, self.delta)


def guessed(query: Query, x: Tensor, draw: Callable[[Tensor], Tensor], samples: int, reach: float) -> Answer:
    """The mean of random directions, each by how much the score rises along it."""
    guess = torch.zeros_like(x)
    for _ in range(samples):
        noise = draw(x)
        pair = (x + reach * noise, x - reach * noise)
        up, down = query.packed(lambda q, v: q.ask(v).score, pair)
        guess += column(up - down, noise) * noise
    return query.ask(x)._replace(grad=guess / (2 * reach * samples))


class Expectation(Slope):
    """The mean gradient over random transforms (Athalye et al., 2018).

    With ``Shrink()`` and one sample it is input diversity (Xie et al., 2019).
    """

    transforms: tuple[Transform, ...] = (Jitter(2),)
    samples: Count = 8
    inner: Slope = Exact()
    """What is averaged."""
    stop: Literal["image", "copies", "never"] = "image"
    """When an image is done: once it reaches the goal itself, once its transformed copies do too, or never early.

    A change that is to survive a camera must not stop at the first.
    """

    def __call__(self, query: Query, x: Tensor) -> Answer:
        total, seen = torch.zeros_like(x), query.seen(self.transforms)
        copies = torch.ones(len(x), dtype=torch.bool, device=x.device)
        for _ in range(self.samples):
            answer = self.inner(seen, x)
            total, copies = total + answer.slope, copies & answer.reached
        score, reached, _ = query.ask(x)
        done = {"image": reached, "copies": reached & copies, "never": reached & False}[self.stop]
        return Answer(score, done, total / self.samples)


class Redrawn(Slope):
    """The mean gradient of a network that itself draws at random (Athalye et al., 2018).

    The score is the mean, too, and an image has reached its goal when more than half of the draws say so.
    """

    samples: Count = 8
    """How often the network draws."""
    inner: Slope = Exact()
    """What is averaged."""

    def __call__(self, query: Query, x: Tensor) -> Answer:
        score, reached, slope = (torch.zeros((), device=x.device) for _ in range(3))
        for _ in range(self.samples):
            answer = self.inner(query, x)
            score, reached, slope = score + answer.score, reached + answer.reached, slope + answer.slope
        return Answer(score / self.samples, 2 * reached > self.samples, slope / self.samples)


class ScaleInvariant(Slope):
    """The mean gradient over the image and copies of half, a quarter, ... its brightness (Lin et al., 2020)."""

    copies: Count = 5
    inner: Slope = Exact()
    """What is averaged."""

    def __call__(self, query: Query, x: Tensor) -> Answer:
        itself = self.inner(query, x)
        total = itself.slope
        for i in range(1, self.copies):
            total = total + self.inner(query, x / 2**i).slope / 2**i
        return itself._replace(grad=total / self.copies)


class TranslationInvariant(Slope):
    """The gradient blurred by a Gaussian, as if averaged over shifted images (Dong et al., 2019)."""

    radius: Natural = 7
    """How far the Gaussian reaches, in pixels."""
    sigma: Positive = 3.0
    """Its spread in pixels."""
    inner: Slope = Exact()
    """What is blurred."""

    def __call__(self, query: Query, x: Tensor) -> Answer:
        answer = self.inner(query, x)
        return answer._replace(grad=blurred(answer.slope, self.radius, self.sigma))


def blurred(grad: Tensor, radius: int, sigma: float) -> Tensor:
    """Along every dimension of space in turn; nothing comes in over the border."""
    places = torch.arange(-radius, radius + 1, device=grad.device, dtype=grad.dtype)
    weights = torch.exp(-((places / sigma) ** 2) / 2)
    kernel = (weights / weights.sum()).view(1, 1, -1)
    for axis in range(2, grad.ndim):
        lines = grad.movedim(axis, -1)
        flat = F.conv1d(lines.reshape(-1, 1, lines.shape[-1]), kernel, padding=radius)
        grad = flat.view(lines.shape).movedim(-1, axis)
    return grad.contiguous()


class StraightThrough(Slope):
    """The gradient past functions that are flat, as if they did nothing (BPDA, Athalye et al., 2018)."""

    layers: tuple[str, ...] = ()
    """Layers to pass by, such as a defence that leaves torch; empty: whatever is rounded, cut off or compared."""
    inner: Slope = Exact()
    """What is asked."""

    def __call__(self, query: Query, x: Tensor) -> Answer:
        if self.layers:
            with hooked([(query.model.layer(name), identity) for name in self.layers]):
                return self.inner(query, x)
        with straightened() as mode:
            answer = self.inner(query, x)
        if not mode.met:
            raise InputError(
                f"StraightThrough met nothing to straighten in {query.model.name}: it looked for {SOUGHT}",
                "name the layer that cuts the gradient: StraightThrough(layers=('defence',))",
            )
        return answer
