"""What is proven of images, and what attacks find: the truth lies between."""

from pathlib import Path
from typing import NamedTuple

from ..attacks.base import Attack
from ..attacks.boundary import FAB
from ..attacks.gradient import PGD
from ..attacks.nearest import FMN
from ..attacks.wrappers import Smallest
from ..data.base import Source
from ..defences.certificate import Certificate
from ..defences.proofs import IntervalBounds, LinearBounds
from ..defences.smoothing import Elect, ElectAttacked, Smoothing
from ..errors import InputError
from ..measures.directions import FlipAlong
from ..measures.predict import Predict
from ..model import Model
from ..regions import L1, L2, Linf, Norm, Region
from ..spec import Count, Natural, Spec
from .begin import Step, Watch, chosen, first_image, ids_where, unwatched
from .steps import Runner, Tables


class Certify(Spec):
    """Which images are certified how, and attacked how."""

    model: str
    data: str
    certificates: tuple[Certificate, ...] = (IntervalBounds(), LinearBounds(), Smoothing())
    attacks: tuple[Attack, ...] = (FMN(), FAB(restarts=1), Smallest(PGD(steps=40)))
    """Of each image the nearest that any of them finds counts."""
    within: Region = L2(1.0)
    """The norm, and the largest radius that is looked at."""
    points: Count = 6
    """At so many radii the smoothed network is attacked."""
    limit: Count = 100
    """How many images at most."""
    seed: Natural = 0


class Proven(NamedTuple):
    """The tables of a finished run by step: ``predict``, ``random``, ``proof-k``, ``attack-k``, ``elect-k``, …"""

    plan: Certify
    tables: Tables
    right: tuple[str, ...]
    """The images that the network has right: attacks and the random control are over these."""
    unit: float
    """The size, in the norm, of a pattern of ±1 over an image."""


def run_certify(
    plan: Certify, model: Model, source: Source, folder: Path, watch: Watch = unwatched
) -> Proven:
    """Do what is missing in ``folder``."""
    unit = pattern(plan.within, model, source)
    runner = Runner(plan, plan.model, plan.data, plan.seed, model, source, folder, watch)
    ids, within, many = chosen(source.ids(), plan.limit, plan.seed), plan.within, runner.many
    tables = runner.all(
        [
            Step("predict", Predict(), ids, within, many),
            *(Step(f"proof-{k}", c, ids, within, many) for k, c in enumerate(plan.certificates)),
        ]
    )
    right = ids_where(ids, tables["predict"]["correct"].bool())
    if not right:
        raise InputError(f"{model.name} has none of {len(ids)} images right", "do the data have labels?")
    eps = plan.within.radius
    assert isinstance(eps, float)
    kind = "gaussian" if within.norm is L2 else "sign"
    steps = [Step("random", FlipAlong(kind, eps / unit), right, within, many)]
    steps += [Step(f"attack-{k}", attack, right, within, many) for k, attack in enumerate(plan.attacks)]
    for k, certificate in enumerate(plan.certificates):
        if isinstance(certificate, Smoothing):
            steps.append(Step(f"elect-{k}", Elect(certificate), ids, within, many))
            steps += [
                Step(f"elect-{k}-{j}", ElectAttacked(certificate), ids, within.sized(radius), many)
                for j, radius in enumerate(radii(plan))
            ]
    return Proven(plan, tables | runner.all(steps), tuple(right), unit)


def radii(plan: Certify) -> list[float]:
    """At which the smoothed network is attacked."""
    eps = plan.within.radius
    assert isinstance(eps, float)
    return [eps * (j + 1) / plan.points for j in range(plan.points)]


def pattern(within: Region, model: Model, source: Source) -> float:
    """How large a pattern of ±1 over an image is, in the norm of a region."""
    if not isinstance(within, (Linf, L2, L1)) or isinstance(within.radius, tuple):
        raise InputError(f"certificates are in one norm up to one radius, not {within}", "such as L2(1.0)")
    image = first_image(source, source.ids(), model.view, model)
    norm: type[Norm] = within.norm
    return float(norm(1.0).size(image.new_ones(1, *image.shape)))
