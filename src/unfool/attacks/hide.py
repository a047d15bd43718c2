"""Hiding an object from a detector."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..boxes import overlap
from ..checks import checked_images, row_ids
from ..detections import BOX, LABEL, SCORE, checked_detector
from ..errors import InputError
from ..model import Model
from ..objectives import Goal, Objective, Trace
from ..query import Query
from ..regions import Linf, Mask, Region
from ..rows import Rng
from ..spec import Fraction
from .base import Attack


class Hidden(Goal):
    """No box of the object's class on the object any more: lower the scores of all that overlap it (Chen et al., 2018).

    ``y`` [B, 5] are each row's object: its box and its class. The score is the sum of log(1 - score) over the boxes of
    that class that overlap the object by half.
    """

    confidence: Fraction = 0.5
    """A box counts as seen from this score on."""
    least: Fraction = 0.5
    """How much (intersection over union) a box has to overlap the object."""
    altogether: bool = False
    """Boxes of any class count: it is not to be taken for another thing either."""

    def by(self, loss: Objective) -> "Hidden":
        """There is one loss for detectors."""
        del loss
        return self

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        found = trace["output"]
        return (self.on(found, y) * (1 - found[:, SCORE]).clamp_min(1e-6).log()).sum(1)

    def reached(self, trace: Trace, y: Tensor) -> Tensor:
        return ~(self.on(trace["output"], y) & (trace["output"][:, SCORE] >= self.confidence)).any(1)

    def on(self, found: Tensor, y: Tensor) -> Tensor:
        """Which boxes are the object's: [B, N] bool."""
        shared = overlap(found[:, BOX].mT.detach(), y[:, None, :4].to(found))
        label = found[:, LABEL]
        same = label >= 0 if self.altogether else label == y[:, 4:].to(found)
        return (shared >= self.least) & same


class Inside(Objective):
    """An objective of a map of scores, asked inside a box of it alone: hides a class in one part of a segmentation."""

    inner: Objective
    box: tuple[Fraction, ...] = (0.25, 0.25, 0.75, 0.75)
    """(top, left, bottom, right) as shares of the map's last two dimensions."""

    @property
    def reads(self) -> tuple[str, ...]:
        return self.inner.reads

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        out = trace["output"]
        if out.ndim < 4 or len(self.box) != 4:
            raise InputError(
                f"Inside needs a map of scores and a box of four shares, not {list(out.shape)}, {self.box}"
            )
        top, left, bottom, right = (
            round(share * side)
            for share, side in zip(self.box, (*out.shape[-2:], *out.shape[-2:]), strict=True)
        )
        return self.inner.score({**trace, "output": out[..., top:bottom, left:right]}, y)


class Hid(NamedTuple):
    """What hiding came to: the images, which objects are not seen any more, and the best score left on each."""

    x: Tensor
    hidden: Tensor
    score: Tensor
    cost: dict[str, int]


def objects(boxes: Sequence[Tensor] | Tensor, labels: Sequence[Any] | Tensor) -> Tensor:
    """One object of each image as a row: its box and its class, [B, 5]."""
    rows = [
        torch.cat([torch.as_tensor(b).flatten().float(), torch.as_tensor(k).flatten()[:1].float()])
        for b, k in zip(boxes, labels, strict=True)
    ]
    if any(row.shape != (5,) for row in rows):
        raise InputError("an object is one box (left, top, right, bottom) and one class for each image")
    return torch.stack(rows)


def hide(
    attack: Attack,
    model: Model,
    x: Tensor,
    victims: Tensor,
    *,
    within: Region | None = None,
    mask: Tensor | None = None,
    goal: Hidden | None = None,
    seed: int = 0,
    ids: Sequence[Any] | None = None,
) -> Hid:
    """Hide one object in each image, ``victims`` [B, 5] as :func:`objects` gives them, by any attack.

    Inside a ``mask`` [B, 1, H, W] any change is allowed unless ``within`` says otherwise.
    """
    checked_detector(model)
    x, goal = checked_images(x).to(model.device), goal or Hidden()
    within = within or (Linf(8 / 255) if mask is None else Mask(Linf(1.0)))
    rng = Rng.seeded(seed, row_ids(ids, len(x)), model.device)
    query = Query(model, goal, victims.to(model.device), rng, who=repr(attack))
    with model.settled():
        found = attack.found(query, within, within.around(x, mask))
        return look_for(model, found, victims, goal)._replace(cost=dict(query.cost))


@torch.no_grad()
def look_for(model: Model, x: Tensor, victims: Tensor, goal: Hidden | None = None) -> Hid:
    """Which objects a detector sees in images as they are."""
    checked_detector(model)
    goal, y = goal or Hidden(), victims.to(model.device)
    found = model(x)
    best = (goal.on(found, y) * found[:, SCORE]).amax(1)
    return Hid(x, goal.reached({"output": found}, y), best, {})


def sticker_masks(victims: Tensor, size: tuple[int, int], share: float = 0.5) -> Tensor:
    """A square in the middle of each object, ``share`` of its sides wide: [B, 1, H, W] bool."""
    down, right = torch.meshgrid(*(torch.arange(n) + 0.5 for n in size), indexing="ij")
    left, top, far, low = (side[:, None, None] for side in victims[:, :4].unbind(1))
    inside = (right - (left + far) / 2).abs() <= share * (far - left) / 2
    return (inside & ((down - (top + low) / 2).abs() <= share * (low - top) / 2))[:, None]
