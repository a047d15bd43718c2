"""How a network stands in the course of its training: class by class, on images as they are and under attack."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..answers import Spent
from ..attacks.base import Attack
from ..errors import OutOfMemory
from ..memory import give_back, out_of_memory
from ..model import Model
from ..objectives import Untargeted
from ..query import Query
from ..regions import Ball, Mask, Region
from ..rows import Batch, Rng, take
from ..training.ranks import Ranks
from .audit import one_step
from .reading import Read

KINDS = ("clean", "fgsm", "robust")
"""As they are, after one step, and after the attack that counts."""


class Judge(NamedTuple):
    """What a network is judged by, always on the same images with the same random numbers."""

    attack: Attack
    within: Region
    ids: tuple[str, ...]
    read: Read
    seed: int
    many: int
    """How many images at a time."""

    def __call__(self, model: Model, ranks: Ranks) -> dict[int, list[int]]:
        """By class how many images there are, and how many of them are right in each of :data:`KINDS`."""
        begin, end = ranks.bounds(len(self.ids))
        own, told = self.ids[begin:end], list[tuple[Tensor, Tensor]]()
        for k in range(0, len(own), self.many):
            batch = self.read(own[k : k + self.many])
            if len(batch):
                told.append((batch.y.cpu(), self._fitting(model, batch).cpu()))
        counted: dict[int, list[int]] = {}
        for part in ranks.gathered([(y.tolist(), right.tolist()) for y, right in told]):
            _count(part, counted)
        return dict(sorted(counted.items()))

    def _fitting(self, model: Model, batch: Batch) -> Tensor:
        """The same in halves where memory runs out."""
        try:
            return self._right(model, batch)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if len(batch) == 1:
                told = f"memory ran out when a single image was judged, {batch.ids[0]}"
                raise OutOfMemory(
                    told, "a --judge of fewer steps, smaller pictures (--view), another --device"
                ) from None
        give_back()
        halves = torch.arange(len(batch)).tensor_split(2)
        return torch.cat([self._fitting(model, batch[half]) for half in halves])

    def _right(self, model: Model, batch: Batch) -> Tensor:
        """Whether each image is right in each kind: [B, 3]."""
        x, y = batch.x.to(model.device), batch.y.to(model.device)
        rng = Rng.seeded(self.seed, batch.ids)
        spent = Spent.nothing(len(batch), x.device)
        query = Query(model, Untargeted(), y, rng, who="the judge", spent=spent)
        ball = self.within.around(x, batch.masks if isinstance(self.within, Mask) else None)
        with model.settled():
            right = ~query.reached(x)
            kinds = [right]
            for attack in (one_step(self.within), self.attack):
                kinds.append(_still(right, attack, query, self.within, ball))
        return torch.stack(kinds, 1)


def _still(right: Tensor, attack: Attack, query: Query, within: Region, ball: Ball) -> Tensor:
    """Which of the images that are right an attack leaves so."""
    rows, still = right.nonzero()[:, 0], right.clone()
    if len(rows):
        some = query[rows]
        still[rows] = ~some.reached(attack.found(some, within, take(ball, rows)))
    return still


def _count(part: Sequence[tuple[list[int], list[list[bool]]]], counted: dict[int, list[int]]) -> None:
    for labels, rights in part:
        for label, right in zip(labels, rights, strict=True):
            row = counted.setdefault(label, [0] * (1 + len(KINDS)))
            for k, one in enumerate([True, *right]):
                row[k] += one
