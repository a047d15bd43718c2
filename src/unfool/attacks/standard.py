"""Evaluations without parameters: several attacks in turn, each on the images that still hold."""

from abc import ABC, abstractmethod
from typing import Literal, final

from torch import Tensor

from ..errors import InputError
from ..objectives import CrossEntropy, LogitRatio, Untargeted
from ..query import Query
from ..regions import L0, L1, L2, Ball, Linf, Region
from ..slopes import Exact, Slope
from .auto import APGD, TargetedAPGD
from .base import Attack, once
from .boundary import FAB
from .decision import HopSkipJump, SurFree
from .nearest import SigmaZero
from .sparse import SparseRS
from .square import Square
from .wrappers import Repeated, in_turn


class Evaluation(Attack, ABC):
    """Several attacks in turn, chosen by what the model gives, the region and the goal."""

    @abstractmethod
    def plan(self, gradients: bool, targeted: bool) -> tuple[Attack, ...]:
        """The attacks, those that flip most for the least first."""

    @final
    def attacks(self, access: str, within: Region, targeted: bool = False) -> tuple[Attack, ...]:
        """Those of the plan that work in this region on a model that gives ``access``."""
        if access == "labels":
            able: tuple[Attack, ...] = (SurFree() if within.norm is L2 else HopSkipJump(),)
        else:
            able = self.plan(access == "gradients", targeted)
        chosen = tuple(attack for attack in able if within.norm in attack.usable)
        if not chosen:
            raise InputError(
                f"{type(self).__name__} has no attack in {within.norm.__name__} for a model that gives {access}",
                "another norm, or an attack of your choice: unfool methods",
            )
        return chosen

    @final
    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        query = once(query)
        targeted = not isinstance(query.objective, Untargeted)
        return in_turn(self.attacks(query.model.access, within, targeted), query, within, ball)


class Standard(Evaluation):
    """A verdict to rely on, for a fraction of AutoAttack's passes.

    Margin-like losses throughout; rival classes by the way to their boundary; score-only search last, which finds what
    masked gradients hide. ``thorough`` begins each attack anew several times and adds FAB and a longer search.
    """

    norms = (Linf, L2, L1, L0)

    level: Literal["standard", "thorough"] = "standard"
    """How much to spend on images that hold."""
    slope: Slope = Exact()
    """What the gradient attacks follow, such as ``StraightThrough()`` where a defence rounds."""

    def plan(self, gradients: bool, targeted: bool) -> tuple[Attack, ...]:
        thorough = self.level == "thorough"
        queries = 5000 if thorough else 1000
        search = (Square(queries=queries), SparseRS(queries=queries))
        if not gradients:
            return search
        climb = APGD(100 if thorough else 40, LogitRatio(), slope=self.slope)
        rivals = TargetedAPGD(100 if thorough else 30, order="reach", slope=self.slope)
        return (
            Repeated(climb, 5) if thorough else climb,
            *(() if targeted else (rivals,)),
            SigmaZero(),
            *((FAB(),) if thorough else ()),
            *search,
        )


class AutoAttack(Evaluation):
    """The published suite in its published order, for comparison (Croce & Hein, 2020).

    APGD on cross-entropy, APGD and FAB towards nine rival classes, 5,000 queries of Square.
    """

    norms = (Linf, L2, L1)

    def plan(self, gradients: bool, targeted: bool) -> tuple[Attack, ...]:
        del targeted
        if not gradients:
            return (Square(queries=5000),)
        return (
            APGD(100, CrossEntropy()),
            TargetedAPGD(100),
            FAB(steps=100, apart=True),
            Square(queries=5000),
        )
