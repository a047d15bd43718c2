"""Images that a class, a channel or whatever an objective tells likes best."""

from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from ..aims import compares
from ..derivatives import gradient_of, pulled, there
from ..framing import Pad
from ..loop import Adam, iterate
from ..model import Model
from ..objectives import Objective
from ..query import Query
from ..rows import column, copies
from ..spec import Bound, Count, Positive
from ..straight import Opened
from ..targets import TotalVariation
from ..transforms import Transform
from .base import Drawn, Synthesis, packs, together
from .canvas import Canvas, Fourier
from .cleaning import Cleaning
from .looks import Looks


class _Point(NamedTuple):
    """What is held of each image, where it began, and the memory of its gradients."""

    params: Tensor
    start: Tensor
    memory: Adam


def quick(model: Model, objective: Objective, x: Tensor) -> Model:
    """The fast copy where there is one, unless a layer that is read gives something else there."""
    swift = model.quick(x)
    if swift is model or {*objective.reads} <= {"input", "output"}:
        return swift
    with torch.no_grad():
        pairs = zip(*(one.trace(x, objective.reads).values() for one in (model, swift)), strict=True)
        return swift if all(_alike(a.float(), b.float()) for a, b in pairs) else model


def _alike(a: Tensor, b: Tensor) -> bool:
    """Equal but for the rounding of a shorter format: a norm that is folded away is far from that."""
    return float((a - b).norm()) <= 0.25 * float(a.norm())


def risen(query: Query, x: Tensor, through: tuple[Transform, ...]) -> tuple[Tensor, Tensor]:
    """Scores and gradients; where one is zero throughout, as of a unit that is shut, rectifiers let it pass."""
    score, _, grad = query.gradient(x, through)
    assert grad is not None
    flat = (grad.flatten(1) == 0).all(1)
    if flat.any():
        with Opened():
            grad[flat] = there(query[flat].gradient(x[flat], through).grad)
    return score, grad


class Maximise(Synthesis):
    """Climb an objective on a canvas, seen through random changes (Simonyan et al., 2014; Olah et al., 2017).

    Each part may be replaced alone: any canvas goes with any climb, change, penalty and cleaning.
    """

    canvas: Canvas = Fourier()
    """How the image is held while it is found."""
    through: tuple[Transform, ...] = (Pad(),)
    """Random changes that it is seen through, drawn anew for every step; () for none."""
    steps: Count = 256
    rate: Positive = 0.05
    """How long a step is: of Adam, or times the gradient."""
    climb: Literal["adam", "plain", "normed"] = "adam"
    """By Adam, by the gradient as it is, or by the gradient over its own mean size."""
    l2: Annotated[float, Bound(0)] = 0.0
    """What is taken off per squared distance from the start: lambda of Simonyan et al. (2014)."""
    variation: Annotated[float, Bound(0)] = 0.0
    """What is taken off per total variation."""
    also: Objective | None = None
    """What is added to the objective, such as Diverse('layer3') for several images of a unit."""
    cleaning: tuple[Cleaning, ...] = ()
    """What is done to the image after each step."""
    samples: Count = 1
    """How many changes of the image a step is the mean of."""

    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        if self.also is not None:
            query = query.instead(query.objective + self.also)
        query = query.about(quick(query.model, query.objective, looks.start[:1]))
        room = max(1, query.model.capacity // self.samples)
        parts = packs(query.y, min(room, self.canvas.rows or room), compares(query.objective))
        found = [self._climbed(query[keep], looks.rows(keep)) for keep in parts]
        return Drawn(*together(parts, found))

    def _climbed(self, query: Query, looks: Looks) -> tuple[Tensor, Tensor]:
        """The images of some rows, and the score at each step."""
        canvas, history = self.canvas, list[Tensor]()

        def step(query: Query, at: _Point, t: int) -> tuple[_Point, Tensor]:
            here, slopes = looks._replace(start=at.start), list[Tensor]()

            def uphill(x: Tensor) -> Tensor:
                score, grad = self._slope(query, x, at.start)
                history.append(score)
                slopes.append(grad)
                return grad

            (grad,) = pulled(lambda params: canvas.paint(params, here), [at.params], uphill)
            memory, way = self._way(at.memory, grad, t)
            params = canvas.kept(at.params + self.rate * way, here)
            if self.cleaning:
                params = self._cleaned(params, slopes[0], here, t)
            return _Point(params, at.start, memory), torch.zeros_like(query.y, dtype=torch.bool)

        blank = canvas.blank(looks, query.rng)
        params = iterate(step, _Point(blank, looks.start, Adam.fresh(blank)), query, self.steps)
        return canvas.paint(params, looks).detach().clamp(0, 1), torch.stack(history, 1)

    def _slope(self, query: Query, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """The score of images and the gradient of the score less penalties."""
        n = self.samples
        asked = query.tile(n) if n > 1 else query
        score, grad = risen(asked, copies(x, n) if n > 1 else x, self.through)
        if n > 1:
            score, grad = score.view(n, -1).mean(0), grad.unflatten(0, (n, -1)).mean(0)
        if self.l2:
            grad = grad - 2 * self.l2 * (x - start)
        if self.variation:
            rough = gradient_of(lambda x: TotalVariation().score({"input": x}, query.y), x)
            grad = grad - self.variation * rough
        return score, grad

    def _way(self, memory: Adam, grad: Tensor, t: int) -> tuple[Adam, Tensor]:
        if self.climb == "adam":
            return memory.step(grad, t)
        if self.climb == "normed":
            return memory, grad / column(grad.abs().mean(1), grad).clamp_min(1e-12)
        return memory, grad

    def _cleaned(self, params: Tensor, grad: Tensor, looks: Looks, t: int) -> Tensor:
        with torch.no_grad():
            before = self.canvas.paint(params, looks) - looks.start
            added = before
            for clean in self.cleaning:
                added = clean(added, grad, t)
            if added is before:  # nothing was due
                return params
            return self.canvas.held((looks.start + added).clamp(0, 1), params, looks)
