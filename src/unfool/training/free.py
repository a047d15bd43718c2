"""Training whose changed images cost nothing."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..attacks.gradient import PGD
from ..spec import Count, Positive
from .base import Training
from .plain import Madry
from .pupil import Part, Pupil


class Free(Training):
    """Each batch several times over, one backward pass for weights and images alike (Shafahi et al., 2019).

    The change is carried on from replay to replay and from batch to batch. An epoch costs as many natural ones as
    there are replays, so that many fewer epochs are needed (arXiv:1904.12843).
    """

    replays: Count = 8
    """How often each batch is learned from before the next."""
    reach: Positive = 1.0
    """How far an image moves at each replay, in radii of the region."""

    def taught(self, pupil: Pupil, parts: Sequence[Part]) -> None:
        for k in range(self.replays):
            leaves = [self._begun(pupil, part).requires_grad_() for part in parts]
            pupil.backward([(p, _losses(pupil, p, x)) for p, x in zip(parts, leaves, strict=True)])
            for part, leaf in zip(parts, leaves, strict=True):
                self._carry(pupil, part, leaf)
            pupil.step(k, self.replays)

    def _begun(self, pupil: Pupil, part: Part) -> Tensor:
        """The images with the change that their places in the batch had last."""
        if pupil.carried is None:
            pupil.carried = part.x.new_zeros(pupil.rows, *part.x.shape[1:])
        change = pupil.carried[part.place : part.place + len(part.x)]
        return part.within.project(part.x + change, part.ball).detach()

    @torch.no_grad()
    def _carry(self, pupil: Pupil, part: Part, leaf: Tensor) -> None:
        assert leaf.grad is not None
        assert pupil.carried is not None
        moved = part.within.step(leaf, leaf.grad, self.reach * part.ball.eps, part.ball)
        pupil.carried[part.place : part.place + len(moved)] = moved - part.x

    def stronger(self) -> Training:
        return Madry(PGD(steps=7))


def _losses(pupil: Pupil, part: Part, x: Tensor) -> Callable[[], Tensor]:
    return lambda: pupil.surprise(pupil.logits(x), part.y)
