"""Whether a map says what the network does when the image changes."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..spec import Count, Positive
from .grading import Asked, Measure


class Infidelity(Measure):
    """How far the score's change under random noise is from what the map says it should be (Yeh et al., 2019).

    The noise times the map, summed, against the fall of the score when the noise is taken off. Scores are those that
    are explained, such as logits.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    draws: Count = 32
    """How many times noise is drawn; a pass each."""
    sigma: Positive = 0.2
    """Spread of the noise."""
    scaled: bool = True
    """Whether a map's unit counts for nothing: the best factor of 0 or more is put before it, and 1 is a map that
    explains none of the change. Otherwise the paper's mean square."""

    def grade(self, asked: Asked) -> Tensor:
        x, rng, query = asked.x, asked.rng("Infidelity"), asked.query
        per_channel = asked.maps.heat.shape == x.shape
        heat = (asked.maps.heat if per_channel else asked.maps.seen).double().flatten(1)
        like = x if per_channel else x[:, :1]
        noise = [self.sigma * rng.normal(like) for _ in range(self.draws)]
        said = torch.stack([(one.double().flatten(1) * heat).sum(1) for one in noise])
        fall = asked.score - torch.stack(
            list(query.packed(lambda q, v: q.ask(v).score, (x - one for one in noise)))
        )
        return _unexplained(said, fall.double()) if self.scaled else (said - fall).square().mean(0)


def _unexplained(said: Tensor, fall: Tensor) -> Tensor:
    """The mean square that is left with the best factor of 0 or more, as a share of all of it: [N, B] -> [B]."""
    size = said.square().mean(0)
    factor = (said * fall).mean(0).clamp_min(0) / size.where(size > 0, 1)
    whole = fall.square().mean(0)
    return (factor * said - fall).square().mean(0) / whole.where(whole > 0, torch.nan)


class ConfidenceDrop(Measure):
    """The share of confidence that is lost where only what the map marks is left (Chattopadhay et al., 2018).

    The image times the map's positive part, divided by its largest value; a gain counts as no loss. Its mean is the
    paper's average drop. The rest is black: a map that marks everything loses nothing, so read it beside
    :class:`Deletion`.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    probabilities: ClassVar[bool] = True

    def grade(self, asked: Asked) -> Tensor:
        before = asked.before.double()
        return (before - asked.kept).clamp_min(0) / before.where(before > 0, torch.nan)


class ConfidenceIncrease(Measure):
    """1 where the network is surer of only what the map marks than of the image (Chattopadhay et al., 2018)."""

    probabilities: ClassVar[bool] = True

    def grade(self, asked: Asked) -> Tensor:
        return (asked.kept > asked.before).double()


class Sensitivity(Measure):
    """How far a map moves at most under small random changes of the image (Yeh et al., 2019).

    The largest L2 distance of several, as a share of the map's own norm.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    remakes: ClassVar[bool] = True
    draws: Count = 8
    """How many changes; a map each."""
    eps: Positive = 0.02
    """The size of a change in Linf; what leaves [0, 1] is cut off."""

    def grade(self, asked: Asked) -> Tensor:
        heat, rng = asked.maps.heat.flatten(1).double(), asked.rng("Sensitivity")
        size = heat.norm(dim=1)
        moved = [
            (asked.again(nearby(asked, rng.uniform(asked.x), self.eps)).heat.flatten(1) - heat).norm(dim=1)
            for _ in range(self.draws)
        ]
        return torch.stack(moved).amax(0) / size.where(size > 0, torch.nan)


def nearby(asked: Asked, noise: Tensor, eps: float) -> Tensor:
    """Images moved by noise in [-1, 1] times ``eps``, inside [0, 1]."""
    return (asked.x + eps * noise).clamp(0, 1)
