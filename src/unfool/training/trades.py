"""Training that weighs accuracy against steadiness."""

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..attacks.gradient import FGSM, PGD
from ..errors import InputError
from ..objectives import Goal, Objective, Trace
from ..spec import Positive
from .base import Against
from .pupil import Mode, Part, Pupil

BELIEVED = "believed"
"""What the network says of the unchanged images, as logarithms of probabilities [B, K]."""


class _Apart(Goal):
    """As far from that as the divergence tells, whatever the attack would climb by itself; never done."""

    @property
    def fixes(self) -> tuple[str, ...]:
        return (BELIEVED,)

    def by(self, loss: Objective) -> Goal:
        del loss
        return self

    def score(self, trace: Trace, y: Tensor) -> Tensor:
        del y
        return divergence(trace[BELIEVED], trace["output"].log_softmax(1))


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Kullback and Leibler's, KL(p || q), of each row of logarithms of probabilities [B, K]: [B]."""
    return (log_p.exp() * (log_p - log_q)).sum(1)


def check_start(attack: Attack) -> None:
    """Raise where an attack begins at the image: the divergence has no slope there but what rounding leaves."""
    if (isinstance(attack, PGD) and not attack.random_start) or (
        isinstance(attack, FGSM) and not attack.start
    ):
        raise InputError(
            f"{attack!r} begins at the image, where the divergence has no slope",
            "begin at random: PGD(random_start=True) or FGSM(start=0.5)",
        )


class Trades(Against):
    """Cross-entropy of the images, and how far the prediction can be moved (Zhang et al., 2019, arXiv:1901.08573).

    l(x, y) + beta KL(f(x) || f(x')), where x' is what the attack finds by climbing that divergence.
    """

    attack: Attack = PGD(steps=10)
    """What moves the prediction. It has to begin away from the image, where the divergence has no slope."""
    beta: Positive = 6.0
    """What steadiness is worth; the paper's 1 / lambda."""
    mode: Mode = "evaluation"
    """How the network stands while it is attacked: as in the authors' code."""

    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        check_start(self.attack)
        with pupil.standing(self.mode), torch.no_grad():
            believed = pupil.model.trace(part.x)["output"].log_softmax(1)
        pupil.note(part, forward=len(part.x))
        return self.found(pupil, part, _Apart(), fixed={BELIEVED: believed})

    def losses(self, pupil: Pupil, part: Part, seen: Tensor) -> Tensor:
        as_is, moved = pupil.logits(part.x), pupil.logits(seen)
        apart = divergence(as_is.log_softmax(1), moved.log_softmax(1))
        return pupil.surprise(as_is, part.y) + self.beta * apart


class Mart(Against):
    """Steadiness counts most where the network is wrong to begin with (Wang et al., 2020).

    -log p_y(x') - log(1 - max_k p_k(x')) + beta KL(f(x) || f(x')) (1 - p_y(x)), the maximum over the classes but y.
    """

    attack: Attack = PGD(steps=10)
    """What looks for the worst images."""
    beta: Positive = 5.0
    """What steadiness is worth; the paper's lambda."""
    mode: Mode = "evaluation"
    """How the network stands while it is attacked: as in the authors' code."""

    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        return self.found(pupil, part)

    def losses(self, pupil: Pupil, part: Part, seen: Tensor) -> Tensor:
        as_is, moved = pupil.logits(part.x).log_softmax(1), pupil.logits(seen)
        log_q = moved.log_softmax(1)
        doubt = 1 - as_is.exp().gather(1, part.y[:, None])[:, 0]
        boosted = pupil.surprise(moved, part.y) - log_rest(log_q, part.y)
        return boosted + self.beta * divergence(as_is, log_q) * doubt


def log_rest(log_q: Tensor, y: Tensor) -> Tensor:
    """log(1 - the largest probability of a class other than ``y``), as the sum of all the others': [B]."""
    rival = log_q.scatter(1, y[:, None], -torch.inf).argmax(1, keepdim=True)
    return log_q.scatter(1, rival, -torch.inf).logsumexp(1)
