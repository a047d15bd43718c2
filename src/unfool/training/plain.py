"""Training on images as they are, on the worst near them, or on both."""

from torch import Tensor

from ..attacks.base import Attack
from ..attacks.gradient import FGSM, PGD
from ..rows import Rng
from ..spec import Fraction, Positive
from .base import Against, Regenerated, Training
from .pupil import Mode, Part, Pupil


class Natural(Regenerated):
    """On the images as they are: what every other way is compared with."""

    adversarial = False

    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        del pupil
        return part.x

    def stronger(self) -> Training:
        return self


class Madry(Against):
    """On the worst images an attack finds, and on those alone (Madry et al., 2018, arXiv:1706.06083)."""

    attack: Attack = PGD(steps=7)
    """What looks for the worst images; an update costs its passes and one more."""
    mode: Mode = "training"
    """How the network stands while it is attacked: as in the authors' code."""

    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        return self.found(pupil, part)


class Both(Against):
    """On the images and on the worst near them: the mean of l(x) and l(x_adv) (Goodfellow et al., 2015)."""

    attack: Attack = FGSM()
    """What looks for the worst images."""
    share: Fraction = 0.5
    """How much the unchanged images count."""
    mode: Mode = "training"
    """How the network stands while it is attacked."""

    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        return self.found(pupil, part)

    def losses(self, pupil: Pupil, part: Part, seen: Tensor) -> Tensor:
        as_is, worst = (pupil.surprise(pupil.logits(x), part.y) for x in (part.x, seen))
        return self.share * as_is + (1 - self.share) * worst


class Fast(Regenerated):
    """On images one step from a random start, with a step longer than the radius (Wong et al., 2020, arXiv:2001.03994).

    Twice the cost of natural training. It may suddenly come to resist that one step and nothing else; a run says so.
    """

    reach: Positive = 1.25
    """Length of the step, in radii of the region."""
    mode: Mode = "training"
    """How the network stands while it is attacked: as in the authors' code."""

    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        return self._several(1).seen(pupil, part)

    def stronger(self) -> Training:
        return self._several(2)

    def _several(self, steps: int) -> Madry:
        return Madry(PGD(steps=steps, reach=self.reach), self.mode)


class NFGSM(Regenerated):
    """On images one step beyond noise wider than the region, not brought back into it (de Jorge et al., 2022).

    N-FGSM (arXiv:2202.01181): as cheap as ``Fast``; the noise keeps it from coming to resist that one step alone.
    """

    noise: Positive = 2.0
    """How far the noise goes, in radii of the region."""
    reach: Positive = 1.0
    """Length of the step, in radii of the region."""
    mode: Mode = "training"
    """How the network stands while it is attacked."""

    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        wide = part.ball._replace(eps=self.noise * part.ball.eps)
        start = part.within.sample(wide, Rng.seeded(part.seed, part.ids))
        near = part.ball._replace(center=start, eps=self.reach * part.ball.eps)
        step = Madry(PGD(steps=1, reach=1.0, random_start=False), self.mode)
        return step.seen(pupil, part._replace(x=start, ball=near))

    def stronger(self) -> Training:
        return Madry(PGD(steps=2), self.mode)
