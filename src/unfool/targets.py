"""What an explanation may be about beside a class: a layer's unit, a region, a pixel, a landmark, a likeness."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from .boxes import overlap
from .detections import BOX, LABEL, SCORE
from .errors import InputError
from .maps import resize
from .objectives import Objective, Output, Trace
from .scores import pick
from .spec import Fraction, Natural, Positive


class Channel(Objective):
    """The mean activation of channel ``y`` of a layer."""

    layer: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.layer,)

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return pick(trace[self.layer], y)


class Neuron(Objective):
    """The activation of channel ``y`` of a layer at one position; by default its middle."""

    layer: str
    position: tuple[int, ...] = ()
    """Where in the layer, one number per dimension; empty: the middle."""

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.layer,)

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        activation = trace[self.layer]
        space = activation.shape[2:]
        at = self.position or tuple(side // 2 for side in space)
        if len(at) != len(space) or any(not -side <= p < side for p, side in zip(at, space, strict=True)):
            raise InputError(f"layer {self.layer!r} has positions up to {list(space)}, not {list(at)}")
        return pick(activation[(slice(None), slice(None), *at)], y)


class TotalVariation(Objective):
    """Roughness of the image itself: the mean absolute difference of neighbours, summed over its dimensions."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("input",)

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        x = trace["input"]
        return torch.stack([x.diff(dim=d).abs().flatten(1).mean(1) for d in range(2, x.ndim)]).sum(0)


class Segment(Output):
    """The mean score of class ``y`` over one region of a map of scores (Vinogradova et al., 2020).

    The region is where the network itself says ``y`` for the unchanged image, or the mask that comes with the image.
    """

    where: Literal["predicted", "mask", "everywhere"] = "predicted"
    whole: bool = False
    """The sum over the region rather than the mean."""

    @property
    def fixes(self) -> tuple[str, ...]:
        return {"predicted": (f"{self!r}",), "mask": ("mask",), "everywhere": ()}[self.where]

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        if self.where != "predicted":
            raise InputError(f"{self!r} needs the images' masks", "give mask=…, or where='predicted'")
        scores = _map_of(trace["output"], self)
        here = scores.argmax(1) == y.view(-1, *[1] * (scores.ndim - 2))
        if not here.flatten(1).any(1).all():
            row = int((~here.flatten(1).any(1)).nonzero()[0])
            raise InputError(
                f"image {row} of the batch has no position of class {int(y[row])}", "name another target"
            )
        return {f"{self!r}": here}

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        scores = _chosen(_map_of(trace["output"], self), y)
        if self.where == "everywhere":
            here = torch.ones_like(scores)
        elif self.where == "predicted":
            here = trace[f"{self!r}"].to(scores)
        else:
            here = _fitting(trace["mask"], scores)
        total = (scores * here).flatten(1).sum(1)
        return total if self.whole else total / here.flatten(1).sum(1).clamp_min(1)


class Pixel(Output):
    """The score of a class at one position of a map of scores: ``y`` is class and position, [B, 1 + dimensions]."""

    numbers: ClassVar[int | None] = None

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        scores = _map_of(trace["output"], self)
        if y.ndim != 2 or y.shape[1] != scores.ndim - 1:
            raise InputError(
                f"a target of Pixel() is a class and {scores.ndim - 2} coordinates for each image, not {list(y.shape)}"
            )
        sides = torch.tensor(scores.shape[1:], device=y.device)
        if ((y < 0) | (y >= sides)).any():
            raise InputError(
                f"pixels lie in {list(scores.shape[2:])} and classes below {scores.shape[1]}, not {y.tolist()}"
            )
        return scores[(torch.arange(len(y), device=y.device), *y.unbind(1))]


class Landmark(Output):
    """The score of heat map ``y`` at the landmark it finds in the unchanged image.

    ``around`` positions about the peak are averaged in each direction: with 0 it is the peak alone.
    """

    around: Natural = 0

    @property
    def fixes(self) -> tuple[str, ...]:
        return (f"{self!r}",)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        heat = _chosen(_map_of(trace["output"], self), y)
        return {f"{self!r}": peak_of(heat)}

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        heat = _chosen(_map_of(trace["output"], self), y)
        near = torch.ones_like(heat, dtype=torch.bool)
        for d, place in enumerate(trace[f"{self!r}"].unbind(1)):
            line = torch.arange(heat.shape[d + 1], device=heat.device).view(-1, *[1] * (heat.ndim - d - 2))
            near = near & ((line - place.view(-1, *[1] * (heat.ndim - 1))).abs() <= self.around)
        return (heat * near).flatten(1).sum(1) / near.flatten(1).sum(1)


class Coordinate(Output):
    """Where landmark ``y`` is along one axis: the mean position under the softmax of its heat map, in positions.

    What moves a landmark, rather than what makes it sure.
    """

    axis: int = -1
    sharpness: Positive = 1.0
    """What the heat map is multiplied by first."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        weights, heat = _softmax(_chosen(_map_of(trace["output"], self), y), self.sharpness)
        return (weights * _positions(heat, self.axis)).flatten(1).sum(1)


class Spread(Output):
    """How far from sure landmark ``y`` is: the standard deviation of positions under the softmax of its heat map."""

    sharpness: Positive = 1.0
    """What the heat map is multiplied by first."""

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        weights, heat = _softmax(_chosen(_map_of(trace["output"], self), y), self.sharpness)
        square = torch.zeros(len(heat), dtype=heat.dtype, device=heat.device)
        for axis in range(heat.ndim - 1):
            at = _positions(heat, axis)
            middle = (weights * at).flatten(1).sum(1).view(-1, *[1] * (heat.ndim - 1))
            square = square + (weights * (at - middle).square()).flatten(1).sum(1)
        return square.clamp_min(1e-12).sqrt()


class Like(Objective):
    """How alike an image and another are to a layer: the cosine between what it gives for them.

    The other's activation comes with the question as ``reference``, one row per image or one for all.
    """

    layer: str = "output"

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.layer,)

    @property
    def fixes(self) -> tuple[str, ...]:
        return ("reference",)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        raise InputError(
            f"{self!r} needs what to compare with", "give reference=…, the other image's activation"
        )

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        here, there = trace[self.layer].flatten(1), trace["reference"].flatten(1)
        if here.shape[1] != there.shape[1]:
            raise InputError(
                f"layer {self.layer!r} gives {here.shape[1]} numbers per image, the reference has {there.shape[1]}"
            )
        return torch.cosine_similarity(here, there.to(here), dim=1)


class Box(Output):
    """The score of the box of class ``y`` that overlaps most with one of the unchanged image; 0 where none does enough.

    That one is the surest of its class in the unchanged image, or the ``box`` that comes with the image.
    """

    where: Literal["found", "given"] = "found"
    least: Fraction = 0.5
    """The least intersection over union of the two."""

    @property
    def fixes(self) -> tuple[str, ...]:
        return ("box",) if self.where == "given" else (f"{self!r}",)

    def usual(self, trace: Trace) -> Tensor:
        told = _boxes_of(trace["output"], self)
        best = told[:, SCORE].where(told[:, LABEL] >= 0, -1)
        if self.where == "given" and "box" in trace:
            best = overlap(told[:, BOX].mT, trace["box"][:, None].to(told))
        return told[:, LABEL].gather(1, best.argmax(1, keepdim=True))[:, 0].long().clamp_min(0)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        if self.where == "given":
            raise InputError(f"{self!r} needs the images' boxes", "give box=… [B, 4], or where='found'")
        told = _boxes_of(trace["output"], self)
        score = told[:, SCORE].where(told[:, LABEL] == y[:, None], -1)
        if (score.amax(1) < 0).any():
            row = int((score.amax(1) < 0).nonzero()[0])
            raise InputError(f"the detector finds no box of class {int(y[row])} in image {row} of the batch")
        return {f"{self!r}": told[torch.arange(len(told)), BOX, score.argmax(1)]}

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        told = _boxes_of(trace["output"], self)
        shared = overlap(told[:, BOX].mT, trace[self.fixes[0]][:, None].to(told)).detach()
        near = (told[:, LABEL] == y[:, None]) & (shared >= self.least)
        best = shared.where(near, -1).argmax(1, keepdim=True)
        return (told[:, SCORE] * near).gather(1, best)[:, 0]


def _boxes_of(output: Tensor, who: Objective) -> Tensor:
    if output.ndim != 3 or output.shape[1] != LABEL + 1:
        raise InputError(f"{who!r} asks for boxes, the network gives {list(output.shape)}", "use Logit()")
    return output


def peak_of(heat: Tensor) -> Tensor:
    """The position of each row's largest value: [B, *space] -> [B, dimensions]."""
    place = torch.unravel_index(heat.flatten(1).argmax(1), heat.shape[1:])
    return torch.stack(place, 1)


def _map_of(output: Tensor, who: Objective) -> Tensor:
    if output.ndim < 3:
        raise InputError(
            f"{who!r} asks for a map of scores, the network gives {list(output.shape)}", "use Logit()"
        )
    return output


def _chosen(scores: Tensor, y: Tensor) -> Tensor:
    """Class ``y``'s map: [B, K, *space] -> [B, *space]."""
    if int(y.max()) >= scores.shape[1]:
        raise InputError(
            f"there are {scores.shape[1]} classes or channels, {int(y.max())} is not one of them"
        )
    return scores[torch.arange(len(y), device=y.device), y]


def _fitting(mask: Tensor, scores: Tensor) -> Tensor:
    """Masks [B, 1, *space] over the positions of scores [B, *space]; another size is brought to it."""
    mask = mask.flatten(0, 1) if mask.ndim == scores.ndim + 1 else mask
    if mask.ndim != scores.ndim or len(mask) != len(scores):
        raise InputError(
            f"masks {list(mask.shape)} do not fit scores {list(scores.shape)}", "one mask per image"
        )
    if mask.shape != scores.shape:
        mask = resize(mask[:, None].to(scores), tuple(scores.shape[1:]))[:, 0] >= 0.5
    if not mask.flatten(1).any(1).all():
        row = int((~mask.flatten(1).bool().any(1)).nonzero()[0])
        raise InputError(f"the mask of image {row} of the batch is empty", "leave that image out")
    return mask.to(scores)


def _softmax(heat: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
    return (heat * sharpness).flatten(1).softmax(1).view_as(heat), heat


def _positions(heat: Tensor, axis: int) -> Tensor:
    """The position along one axis: [*space], broadcast over the others."""
    dims = heat.ndim - 1
    if not -dims <= axis < dims:
        raise InputError(f"the heat map has {dims} axes, there is none of number {axis}")
    d = axis % dims
    return torch.arange(heat.shape[d + 1], device=heat.device, dtype=heat.dtype).view(
        -1, *[1] * (dims - d - 1)
    )
