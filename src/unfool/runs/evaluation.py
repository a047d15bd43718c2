"""What is tried on the images that the curve's own attack has left right."""

from typing import Literal

from torch import Tensor

from ..attacks.standard import AutoAttack, Standard
from ..attacks.verdict import Verdict
from ..errors import InputError
from ..measures.gradients import FLAT
from ..model import Model
from ..objectives import Margin, Untargeted
from ..query import Query
from ..regions import Region
from ..rows import Rng
from ..slopes import Exact, Redrawn, Slope, StraightThrough
from .table import Table

ENOUGH = 0.05
"""The share of images from which on a defence is taken into account."""


def chosen_verdict(
    level: Literal["quick", "standard", "thorough"],
    protocol: str,
    model: Model,
    within: Region,
    health: Table,
    image: Tensor,
) -> Verdict | None:
    """The attacks of an evaluation in turn; None where the level asks for no more than the curve."""
    if protocol == "autoattack":
        return Verdict(AutoAttack().attacks(model.access, within))
    if level == "quick":
        return None
    slope = slope_for(model, health, image)
    return Verdict(Standard(level, slope).attacks(model.access, within))


def slope_for(model: Model, health: Table, image: Tensor) -> Slope:
    """What gradient attacks should follow: past functions that are flat, and averaged where the network draws."""
    fine = health.readable
    slope: Slope = Exact()
    if share(health["margin_gradient"][fine] <= FLAT) > ENOUGH and straightens(model, image[None]):
        slope = StraightThrough()
    return Redrawn(inner=slope) if share(health["unsteady"][fine]) > ENOUGH else slope


def share(flags: Tensor) -> float:
    return float(flags.double().mean()) if len(flags) else 0.0


def straightens(model: Model, x: Tensor) -> bool:
    """Whether there is any step in the network that can be taken for a straight line."""
    query = Query(
        model, Untargeted(Margin()), None, Rng.seeded(0, [0], model.device), images=x.to(model.device)
    )
    try:
        with model.settled():
            StraightThrough()(query, x.to(model.device))
    except InputError:
        return False
    return True
