"""What an explanation may be about beside a class: a layer's unit, a region, a pixel, a landmark, a likeness."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import overlap
from .detections import BOX, LABEL, SCORE
from .errors import InputError
from .objectives import Objective, Output, Trace
from .scores import pick
from .segments import fitting, holds, part_at, region_of
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

    The region is where the network itself says ``y`` for the unchanged image, or the mask that comes with the image: a
    bool mask as it is, of a map of classes (whole numbers) where it is ``y``. Where no ``y`` is given it is the class
    that the network says at most positions, class 0 ("background") left aside.
    """

    where: Literal["predicted", "mask", "everywhere"] = "predicted"
    whole: bool = False
    """The sum over the region rather than the mean."""
    at: tuple[int, ...] = ()
    """A position: only the connected part of the region around it counts, one lesion of several."""

    @property
    def fixes(self) -> tuple[str, ...]:
        own = (f"{self!r}",)
        return {"predicted": own, "mask": ("mask", *own * bool(self.at)), "everywhere": ()}[self.where]

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        if self.where == "mask" and "mask" not in trace:
            raise InputError(f"{self!r} needs the images' masks", "give mask=…, or where='predicted'")
        scores = _map_of(trace["output"], self)
        classes = scores.argmax(1) if self.where == "predicted" else fitting(trace["mask"], scores[:, 0])
        return {f"{self!r}": part_at(classes, self.at) if self.at else classes}

    def lacking(self, output: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        """In which images there is no such region: [B] bool."""
        if self.where == "everywhere":
            return torch.zeros_like(y, dtype=torch.bool)
        (region,) = self.fixed({"output": output} | ({} if mask is None else {"mask": mask}), y).values()
        return ~holds(region, y).flatten(1).any(1)

    def usual(self, trace: Trace) -> Tensor:
        scores = _map_of(trace["output"], self)
        count = F.one_hot(scores.argmax(1).flatten(1), scores.shape[1]).sum(1)
        return torch.cat([count[:, :1].clamp_max(0), count[:, 1:]], 1).argmax(1)

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        scores = _chosen(_map_of(trace["output"], self), y)
        if self.where == "everywhere":
            here = torch.ones_like(scores)
        elif self.where == "mask" and not self.at:
            here = region_of(fitting(trace["mask"], scores), y, "the mask of image {} of the batch is empty")
        else:
            here = region_of(trace[f"{self!r}"], y, "image {} of the batch has no position of class {} there")
        here = here.to(scores)
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
        heat = _map_of(trace["output"], self)
        return {f"{self!r}": peak_of(heat.flatten(0, 1)).unflatten(0, heat.shape[:2])}

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        heat = _chosen(_map_of(trace["output"], self), y)
        near = torch.ones_like(heat, dtype=torch.bool)
        peak = _chosen(trace[f"{self!r}"], y)
        for d, place in enumerate(peak.unbind(1)):
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
