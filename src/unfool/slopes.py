"""Which way is up: the exact gradient, or what stands in for it."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from .query import Answer, Query
from .rows import column
from .spec import Count, Positive, Spec
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
        guess = torch.zeros_like(x)
        for _ in range(self.samples):
            noise = query.rng.normal(x)
            pair = (x + self.sigma * noise, x - self.sigma * noise)
            up, down = query.packed(lambda q, v: q.ask(v).score, pair)
            guess += column(up - down, noise) * noise
        return query.ask(x)._replace(grad=guess / (2 * self.sigma * self.samples))


class Expectation(Slope):
    """The mean gradient over random transforms (Athalye et al., 2018)."""

    transforms: tuple[Transform, ...] = (Jitter(2),)
    samples: Count = 8
    stop: Literal["image", "copies", "never"] = "image"
    """When an image is done: once it reaches the goal itself, once its transformed copies do too, or never early.

    A change that is to survive a camera must not stop at the first.
    """

    def __call__(self, query: Query, x: Tensor) -> Answer:
        seen = [query.gradient(x, self.transforms) for _ in range(self.samples)]
        slope = torch.stack([answer.slope for answer in seen]).mean(0)
        score, reached, _ = query.ask(x)
        if self.stop == "copies":
            reached = torch.stack([reached, *(answer.reached for answer in seen)]).all(0)
        return Answer(score, reached & (self.stop != "never"), slope)
