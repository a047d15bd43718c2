"""What was learned, seen at every angle and size."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..attacks.learned import Learned, Pose
from ..model import Model
from ..objectives import label_of
from ..rows import Batch, stable_number
from .rates import Rate, rate

DEGREES = (-45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0)
SCALES = (1.4, 1.2, 1.0, 0.8, 0.6)


class Poses(NamedTuple):
    """Success in each cell of sizes (down) and angles (across), and one image there with what it is taken for.

    The image is the first that is fooled at most poses.
    """

    degrees: tuple[float, ...]
    scales: tuple[float, ...]
    cells: list[list[Rate]]
    pictures: list[list[Tensor]]
    labels: list[list[int]]


def seen_at_poses(
    learned: Learned,
    model: Model,
    batch: Batch,
    target: int | None,
    seed: int = 0,
    degrees: Sequence[float] = DEGREES,
    scales: Sequence[float] = SCALES,
) -> Poses:
    """Every image of a batch at every pose, placed by random numbers that nothing else has used.

    Images that are where the attack leads to begin with say nothing and should be left out of the batch.
    """
    aim: dict[str, Any] = {"y": batch.y} if target is None else {"target": target}
    how: dict[str, Any] = {**aim, "seed": stable_number(seed, "poses"), "ids": batch.ids}
    rows = [
        [learned(model, batch.x, **how, pose=Pose(angle, scale)) for angle in degrees] for scale in scales
    ]
    often = torch.stack([seen.success for row in rows for seen in row]).sum(0)
    k = int(often.argmax())
    return Poses(
        tuple(degrees),
        tuple(scales),
        [[rate(seen.success) for seen in row] for row in rows],
        [[seen.x[k].cpu() for seen in row] for row in rows],
        [[int(seen.label[k]) for seen in row] for row in rows],
    )


def not_there_yet(batch: Batch, model: Model, target: int | None) -> Batch:
    """The images taken for what they are, or for a target those of other classes that are not taken for it."""
    label = label_of(model(batch.x)).cpu()
    wanted = batch.y.where(batch.y >= 0, label)
    return batch[label == wanted if target is None else (label != target) & (wanted != target)]
