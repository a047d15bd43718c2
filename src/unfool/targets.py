"""What an explanation may be about beside a class: a layer's unit, a region, a pixel, a box, a likeness."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import box_masks, overlap
from .detections import BOX, LABEL, SCORE
from .errors import InputError
from .grids import maps_in
from .objectives import Objective, Output, Trace
from .scores import chosen, map_of, pick
from .segments import fitting, holds, of_classes, part_at, spread
from .spec import Fraction


class Channel(Objective):
    """The mean activation of channel ``y`` of a layer over its positions, tokens without a place left out."""

    layer: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.layer,)

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        return pick(maps_in(trace, self.layer), y)


class Neuron(Objective):
    """The activation of channel ``y`` of a layer at one position; by default its middle."""

    layer: str
    position: tuple[int, ...] = ()
    """Where in the layer, one number per dimension; empty: the middle."""

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.layer,)

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        activation = maps_in(trace, self.layer)
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
        return () if self.where == "everywhere" else (f"{self!r}",)

    def fixed(self, trace: Trace, y: Tensor) -> Trace:
        if self.where == "mask" and "mask" not in trace:
            raise InputError(f"{self!r} needs the images' masks", "give mask=…, or where='predicted'")
        scores = map_of(trace["output"], self)
        classes = scores.argmax(1) if self.where == "predicted" else fitting(trace["mask"], scores[:, 0])
        return {f"{self!r}": part_at(classes, self.at) if self.at else classes}

    def lacking(self, trace: Trace, y: Tensor) -> Mapping[str, Tensor]:
        if self.where == "everywhere":
            return {}
        region = trace[f"{self!r}"]
        where = "in its mask" if self.where == "mask" else "to explain"
        where = f"at {self.at}" if self.at else where
        reason = f"no position of {{}} {where}" if self.at or of_classes(region) else "its mask is empty"
        return {reason: ~holds(region, y).flatten(1).any(1)}

    def place(self, trace: Trace, y: Tensor, space: tuple[int, ...]) -> Tensor | None:
        return None if self.where == "everywhere" else spread(holds(trace[f"{self!r}"], y).bool(), space)

    def usual(self, trace: Trace) -> Tensor:
        scores = map_of(trace["output"], self)
        count = F.one_hot(scores.argmax(1).flatten(1), scores.shape[1]).sum(1)
        return torch.cat([count[:, :1].clamp_max(0), count[:, 1:]], 1).argmax(1)

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        scores = chosen(map_of(trace["output"], self), y)
        everywhere = self.where == "everywhere"
        here = torch.ones_like(scores) if everywhere else holds(trace[f"{self!r}"], y)
        here = here.to(scores)
        total = (scores * here).flatten(1).sum(1)
        return total if self.whole else total / here.flatten(1).sum(1).clamp_min(1)


class Pixel(Output):
    """The score of a class at one position of a map of scores: ``y`` is class and position, [B, 1 + dimensions]."""

    numbers: ClassVar[int | None] = None

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        scores = map_of(trace["output"], self)
        if y.ndim != 2 or y.shape[1] != scores.ndim - 1:
            raise InputError(
                f"Pixel() wants a class and {scores.ndim - 2} coordinates of each image",
                "--target " + ",".join(["3", "20", "30", "40"][: scores.ndim - 1]),
            )
        sides = torch.tensor(scores.shape[1:], device=y.device)
        if ((y < 0) | (y >= sides)).any():
            raise InputError(
                f"pixels lie in {list(scores.shape[2:])} and classes below {scores.shape[1]}, not {y.tolist()}"
            )
        return scores[(torch.arange(len(y), device=y.device), *y.unbind(1))]


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

    probable: ClassVar[bool] = True
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
        surest = told[torch.arange(len(told)), BOX, score.argmax(1)]
        return {f"{self!r}": surest.where(score.amax(1, keepdim=True) >= 0, 0)}

    def lacking(self, trace: Trace, y: Tensor) -> Mapping[str, Tensor]:
        left, top, right, bottom = trace[self.fixes[0]].unbind(1)
        empty = (right <= left) | (bottom <= top)
        if self.where == "given":
            return {"its box is empty": empty}
        none = (_boxes_of(trace["output"], self)[:, LABEL] < 0).all(1)
        return {"the detector finds no box": empty & none, "the detector finds no box of {}": empty}

    def place(self, trace: Trace, y: Tensor, space: tuple[int, ...]) -> Tensor | None:
        return box_masks(trace[self.fixes[0]], space)

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
