"""Which frames of a series an answer hangs on, and whether a map knows it (R33)."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from ..method import Columns, Method, Question
from ..objectives import Logit
from ..rows import Batch, column, copies
from ..segments import fitting, holds
from ..spec import Count


def profile_of(heat: Tensor) -> Tensor:
    """The share of a map's absolute values in each frame: [B, C, T, *space] -> [B, T]; those of an empty map are 0."""
    total = heat.abs().sum(1).flatten(2).sum(2)
    return total / total.sum(1, keepdim=True).clamp_min(1e-30)


def checked_series(x: Tensor) -> None:
    """Raise unless images are series of several frames: [B, C, T, H, W]."""
    if x.ndim != 5 or x.shape[2] < 2:
        frames = "one frame" if x.ndim == 5 else "no frames"
        raise InputError(
            f"images {list(x.shape[1:])} have {frames}: a series is [channels, frames, height, width]",
            "unfool explain shows single images; x[:, None] makes frames of channels",
        )


class FrameDeletion(Method):
    """What is left of an answer once frames of a series are replaced, in the order of a map's own profile.

    The answer is the overlap (Dice) of the class's region with the mask of the data, or where there is none with the
    region found in the whole series; of a network without a map of scores, the probability of the class. Controls are
    the least salient frames and random ones. A map that knows which frames matter loses the answer sooner than both.
    """

    inner: Method
    """An attribution: what tells the frames apart."""
    frames: tuple[int, ...] = (1, 2, 4, 8)
    """How many of them are replaced."""
    draws: Count = 10
    """Random choices of as many; what they leave is averaged."""
    fill: Literal["first", "mean", "black"] = "first"
    """What they are replaced by: the first frame, where nothing has happened yet, the mean of all, or nothing."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        checked_series(batch.x)
        self._checked(batch.x.shape[2])
        found, model = self.inner.columns(question, batch), question.model
        profile, y = profile_of(found["heat"]).to(model.device), found["target"].to(model.device)
        x, aimed = batch.x.to(model.device), question._replace(target=found["target"])
        query = aimed.query(batch, Logit(), type(self).__name__)
        orders = [profile.argsort(1, descending=True), profile.argsort(1)]
        orders += [query.rng.uniform(profile, 0, 1).argsort(1) for _ in range(self.draws)]
        with model.settled():
            whole = query.logits(x)
            truth = truth_of(batch.masks, whole, y)
            seen = query.packed(lambda q, v: left_of(q.logits(v), q.y, truth), self._replaced(x, orders))
            left = torch.stack(list(seen), 1).unflatten(1, (len(orders), len(self.frames))).cpu()
        return {
            "profile": profile.cpu(),
            "target": y.cpu(),
            "whole": left_of(whole, y, truth).cpu(),
            "salient": left[:, 0],
            "least": left[:, 1],
            "random": left[:, 2:].mean(1),
        }

    def _checked(self, frames: int) -> None:
        if not self.frames or any(not 0 < n <= frames for n in self.frames):
            raise InputError(
                f"of {frames} frames {self.frames} cannot be replaced", f"frames: from 1 to {frames}"
            )

    def _replaced(self, x: Tensor, orders: list[Tensor]) -> Iterator[Tensor]:
        """The series without their first frames by each order, for each number of frames."""
        others = {
            "mean": x.mean(2, keepdim=True),
            "first": x[:, :, :1],
            "black": torch.zeros_like(x[:, :, :1]),
        }
        for order in orders:
            place = order.argsort(1)[:, None, :, None, None]
            yield from (torch.where(place < n, others[self.fill], x) for n in self.frames)


def truth_of(masks: Tensor | None, scores: Tensor, y: Tensor) -> Tensor | None:
    """Where class ``y`` is: by the data's masks, else by the scores themselves; None of one score a class."""
    if scores.ndim == 2:
        return None
    if masks is None:
        return scores.argmax(1) == column(y, scores[:, 0])
    return holds(fitting(masks.to(scores.device), scores[:, 0]), y).bool()


def left_of(scores: Tensor, y: Tensor, truth: Tensor | None) -> Tensor:
    """The overlap of class ``y``'s region with the truth [B, *space], or the probability of ``y``: [n * B]."""
    if truth is None:
        return scores.softmax(1).gather(1, y[:, None])[:, 0]
    here = scores.argmax(1) == column(y, scores[:, 0])
    return dice(here, copies(truth, len(here) // len(truth)))


def dice(a: Tensor, b: Tensor) -> Tensor:
    """Twice the common part over both parts: [B, *space] x2 -> [B]; 1 where both are empty."""
    both, sizes = ((a & b).flatten(1).sum(1), (a.flatten(1).sum(1) + b.flatten(1).sum(1)))
    return torch.where(sizes > 0, 2 * both / sizes.clamp_min(1), 1.0)
