"""What every way of training has in common: images made anew at each update, and what is learned from them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, final

from torch import Tensor

from ..attacks.base import Attack
from ..attacks.gradient import PGD
from ..objectives import Goal, Onwards
from ..spec import Spec
from .pupil import Mode, Part, Pupil


class Training(Spec, ABC):
    """How a network learns from the images of an update."""

    adversarial: ClassVar[bool] = True
    """Whether it learns from changed images: then it may learn to resist one step only, and a run watches for that."""

    @abstractmethod
    def taught(self, pupil: Pupil, parts: Sequence[Part]) -> None:
        """One update: gradients of the mean loss over all parts, and a step along them."""

    @abstractmethod
    def stronger(self) -> "Training":
        """What to go on with where this has been learned by heart: the same against an attack of more steps."""


class Regenerated(Training, ABC):
    """Training whose changed images are made anew against the weights of every update."""

    @abstractmethod
    def seen(self, pupil: Pupil, part: Part) -> Tensor:
        """The images to learn from: [b, C, *]."""

    def losses(self, pupil: Pupil, part: Part, seen: Tensor) -> Tensor:
        """What each row costs: [b]; by default the cross-entropy of what is seen."""
        return pupil.surprise(pupil.logits(seen), part.y)

    @final
    def taught(self, pupil: Pupil, parts: Sequence[Part]) -> None:
        pupil.backward(self.graded(pupil, parts))
        pupil.step()

    @final
    def graded(self, pupil: Pupil, parts: Sequence[Part]) -> list[tuple[Part, Callable[[], Tensor]]]:
        """Each part with its losses, the images made before anything is learned from any."""
        made = [self.seen(pupil, part) for part in parts]
        return [(p, partial(self.losses, pupil, p, x)) for p, x in zip(parts, made, strict=True)]


class Against(Regenerated, ABC):
    """Training on what an attack of the catalogue finds; the attack is not stopped where an image has flipped."""

    attack: Attack
    mode: Mode

    @final
    def found(self, pupil: Pupil, part: Part, goal: Goal = Onwards(), **how: Any) -> Tensor:  # noqa: B008  frozen
        """The attack's images, in the mode in which it is to see the network."""
        return pupil.changed(part, self.attack, goal, self.mode, **how)

    @final
    def stronger(self) -> "Against":
        attack = self.attack
        more = replace(attack, steps=2 * attack.steps) if isinstance(attack, PGD) else PGD(steps=2)
        return replace(self, attack=more)
