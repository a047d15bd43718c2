"""How an image is held while it is being found: as numbers that can be climbed, and as what they paint."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor

from ..derivatives import gradient_of
from ..loop import Adam
from ..maps import resize
from ..rows import Rng
from ..spec import Count, Positive, Spec
from .looks import Looks, mixed, unmixed
from .spectra import half_of, natural, odd, size_of

EDGE = 0.02
"""So near to black and white a canvas begins at most where its edge is a sigmoid, which is flat there."""


class Canvas(Spec, ABC):
    """Numbers [N, P], one row per image, and the images they paint: what they add to where an image begins."""

    rows: ClassVar[int | None] = None
    """How many images at most are painted at once, where painting takes much memory."""

    decorrelated: bool = False
    """Channels are mixed by the colour matrix of the data, so that all colours are as easy to reach."""
    edge: Literal["sigmoid", "clip"] = "sigmoid"
    """How values stay in [0, 1]: bent by a sigmoid, or cut off."""

    @abstractmethod
    def blank(self, looks: Looks, rng: Rng) -> Tensor:
        """The numbers of an empty image: [N, P]."""

    @abstractmethod
    def drawn(self, params: Tensor, looks: Looks) -> Tensor:
        """What they add, before colours and edges: [N, C, *space]."""

    def fitted(self, wanted: Tensor, params: Tensor, looks: Looks) -> Tensor:
        """The numbers that add what is ``wanted``, as nearly as can be; found by descent unless there is a formula."""
        memory = Adam.fresh(params)
        for t in range(20):
            grad = gradient_of(lambda p: (self.drawn(p, looks) - wanted).square().flatten(1).mean(1), params)
            memory, step = memory.step(grad, t)
            params = params - 0.01 * step
        return params

    def kept(self, params: Tensor, looks: Looks) -> Tensor:
        """The numbers brought back to where they paint something, after a step."""
        del looks
        return params

    def ground(self, looks: Looks) -> Tensor:
        """What is added to."""
        return looks.start

    @final
    def paint(self, params: Tensor, looks: Looks) -> Tensor:
        """The images, in [0, 1]. What is cut off at an edge keeps its gradient."""
        added = self.drawn(params, looks)
        if self.decorrelated and looks.colours is not None:
            added = mixed(added, looks.colours)
        if self.edge == "sigmoid":
            return (_logit(self.ground(looks)) + added).sigmoid()
        x = self.ground(looks) + added
        return x + (x.clamp(0, 1) - x).detach()

    @final
    @torch.no_grad()
    def held(self, x: Tensor, params: Tensor, looks: Looks) -> Tensor:
        """The numbers that paint the images ``x``, as nearly as can be, from those that paint others."""
        inner = _logit(x) - _logit(self.ground(looks)) if self.edge == "sigmoid" else x - self.ground(looks)
        if self.decorrelated and looks.colours is not None:
            inner = unmixed(inner, looks.colours)
        return self.fitted(inner, params, looks)


def _logit(x: Tensor) -> Tensor:
    return torch.logit(x, EDGE)


class Pixels(Canvas):
    """Every value on its own (Simonyan et al., 2014)."""

    edge: Literal["sigmoid", "clip"] = "clip"
    noise: float = 0.0
    """The spread of the normal noise it begins with."""

    def blank(self, looks: Looks, rng: Rng) -> Tensor:
        return self.noise * rng.normal(looks.start.flatten(1))

    def drawn(self, params: Tensor, looks: Looks) -> Tensor:
        return params.view_as(looks.start)

    def kept(self, params: Tensor, looks: Looks) -> Tensor:
        if self.edge == "sigmoid" or self.decorrelated:
            return params
        start = looks.start.flatten(1)
        return params.clamp(-start, 1 - start)

    def fitted(self, wanted: Tensor, params: Tensor, looks: Looks) -> Tensor:
        return wanted.flatten(1)


class Fourier(Canvas):
    """Frequencies, each as easy to move as it is strong in natural images (Olah et al., 2017).

    In any number of dimensions: the size of frequency f falls as 1/f in two, as f^(-D/2) in D.
    """

    noise: Positive = 0.01
    """The spread of the normal noise it begins with, of each frequency."""
    decay: float = 1.0
    """The power of the fall, 0 for none."""
    measured: bool = False
    """Each frequency is as strong as in the data instead, where their spectrum is known."""

    def blank(self, looks: Looks, rng: Rng) -> Tensor:
        half = half_of(looks.start)
        return self.noise * rng.normal(looks.start.new_empty(len(looks.start), 2 * half.numel()))

    def drawn(self, params: Tensor, looks: Looks) -> Tensor:
        start, half = looks.start, half_of(looks.start)
        parts = torch.view_as_complex(params.view(len(params), *half, 2)) * self._scale(looks)
        return torch.fft.irfftn(parts, start.shape[2:], dim=_space(start), norm="ortho") / 4

    def fitted(self, wanted: Tensor, params: Tensor, looks: Looks) -> Tensor:
        parts = torch.fft.rfftn(4 * wanted, dim=_space(wanted), norm="ortho") / self._scale(looks)
        return torch.view_as_real(parts).flatten(1)

    def _scale(self, looks: Looks) -> Tensor:
        scale = natural(looks.start, self.decay)
        known = looks.apart if self.decorrelated else looks.spectrum
        if not self.measured or known is None:
            return scale
        known = known.clamp_min(1e-4 * float(known.amax()))
        return known * size_of(scale, looks.start) / size_of(known, looks.start)


class Laplacian(Canvas):
    """Layers of ever larger pixels, added up (Burt & Adelson, 1983; Mordvintsev et al., 2018)."""

    noise: Positive = 0.01
    """The spread of the normal noise it begins with, of each layer."""
    levels: Count = 5
    """How many layers; each has half the side of the one before, down to two pixels."""

    def blank(self, looks: Looks, rng: Rng) -> Tensor:
        total = sum(shape.numel() for shape in self._shapes(looks.start))
        return self.noise * rng.normal(looks.start.new_empty(len(looks.start), total))

    def drawn(self, params: Tensor, looks: Looks) -> Tensor:
        shapes = self._shapes(looks.start)
        parts = params.split([shape.numel() for shape in shapes], 1)
        layers = [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
        return torch.stack([resize(layer, tuple(looks.start.shape[2:])) for layer in layers]).sum(0)

    def fitted(self, wanted: Tensor, params: Tensor, looks: Looks) -> Tensor:
        layers: list[Tensor] = []
        for shape in reversed(self._shapes(looks.start)):  # each the mean of what the larger pixels left over
            layers.insert(0, _shrunk(wanted, shape[1:]))
            wanted = wanted - resize(layers[0], tuple(wanted.shape[2:]))
        return torch.cat([layer.flatten(1) for layer in layers], 1)

    def _shapes(self, x: Tensor) -> list[torch.Size]:
        """Of one image in each layer, the finest first."""
        found = [x.shape[1:]]
        while len(found) < self.levels and max(found[-1][1:]) > 2:
            found.append(torch.Size([x.shape[1], *((side + 1) // 2 for side in found[-1][1:])]))
        return found


class MACO(Canvas):
    """Phases alone: every frequency keeps the size it has in the data (Fel et al., 2023).

    Without data sizes fall as in photographs. An image begins at the mean colour.
    """

    edge: Literal["sigmoid", "clip"] = "clip"
    contrast: Positive = 0.2
    """The standard deviation of values where there are no data to say."""

    def blank(self, looks: Looks, rng: Rng) -> Tensor:
        half = half_of(looks.start)
        return torch.pi * rng.uniform(looks.start.new_empty(len(looks.start), half.numel()))

    def drawn(self, params: Tensor, looks: Looks) -> Tensor:
        start = looks.start
        phases = odd(params.view(len(params), *half_of(start)), start)
        return torch.fft.irfftn(
            torch.polar(self._sizes(looks).expand_as(phases), phases),
            start.shape[2:],
            dim=_space(start),
            norm="ortho",
        )

    def fitted(self, wanted: Tensor, params: Tensor, looks: Looks) -> Tensor:
        return torch.fft.rfftn(wanted, dim=_space(wanted), norm="ortho").angle().flatten(1)

    def kept(self, params: Tensor, looks: Looks) -> Tensor:
        """The numbers brought back to where they paint something, after a step."""
        del looks
        return params

    def ground(self, looks: Looks) -> Tensor:
        return looks.start.mean(_space(looks.start), keepdim=True).expand_as(looks.start)

    def _sizes(self, looks: Looks) -> Tensor:
        """Of each frequency but the mean, which is the ground's."""
        known = looks.apart if self.decorrelated else looks.spectrum
        if known is None:
            known = natural(looks.start, 1.0).expand(half_of(looks.start))
            known = known * (self.contrast / size_of(known, looks.start))
        known = known.clone()
        known.flatten(1)[:, 0] = 0
        return known


def _space(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def _shrunk(x: Tensor, sides: tuple[int, ...]) -> Tensor:
    """The mean over each larger pixel."""
    return F.interpolate(x, sides, mode="area")
