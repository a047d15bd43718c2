"""``unfool inspect certify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish

if TYPE_CHECKING:
    from ...defences.certificate import Certificate
    from ...model import Model


def certify(
    model: str = "unfool:digits8?net=mlp",
    data: str | None = None,
    *,
    certificate: Annotated[list[str] | None, Parameter(negative="")] = None,
    attack: Annotated[list[str] | None, Parameter(negative="")] = None,
    within: str = "L2(1.0)",
    points: int = 6,
    limit: int = 100,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """What is proven: within which radius nothing changes the answer, beside what attacks find.

    Bounds by intervals and by planes, exact distances of linear networks, randomised smoothing; no attack may ever be
    nearer than a radius. Stopped at any moment, the same command goes on from there.

    Parameters
    ----------
    model
        An address, as for unfool audit. Bounds are for small networks; smoothing takes any, also black boxes.
    data
        As for unfool audit; labels are needed.
    certificate
        A certificate as text, given once for each: LinearBounds, "Smoothing(sigma=0.5, samples=10000)"; by default all
        that know the network.
    attack
        An attack as text, given once for each; of each image the nearest that any finds counts.
    within
        The norm and the largest radius that is looked at: Linf, L2 or L1.
    points
        At how many radii the smoothed network is attacked.
    limit
        How many images at most, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/certify named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.certify import told
    from ...attacks.base import Attack
    from ...defences.certificate import Certificate
    from ...regions import Region
    from ...report.subjects.certify import certify_page
    from ...runs.certify import Certify, run_certify
    from ...spec import parse

    place, network = data_for(data, model), loading.load(model)
    given = tuple(parse(text, Certificate) for text in certificate or ())
    usual, left_out = (given, ()) if given else fitting(network)
    plain = Certify(model, place)
    attacks = tuple(parse(text, Attack) for text in attack or ()) or plain.attacks
    plan = Certify(model, place, usual, attacks, parse(within, Region), points, limit, seed)
    out = folder_for(out, "certify", model, plan, loading.told())
    with output.watching() as watch:
        found = run_certify(plan, network, opened(place), out, watch)
    finish(certify_page(told(found), left_out), out, output)


def fitting(model: "Model") -> "tuple[tuple[Certificate, ...], tuple[str, ...]]":
    """The certificates that know a network, and why others do not."""
    from ...defences.graph import steps_of
    from ...defences.proofs import ExactRadius, IntervalBounds, LinearBounds
    from ...defences.smoothing import Smoothing
    from ...errors import UnfoolError

    try:
        steps = steps_of(model)
    except UnfoolError as error:
        return (Smoothing(),), (f"bounds: {error}",)
    linear = not any(step.kind in ("relu", "max") for step in steps)
    exact = (ExactRadius(),) if linear else ()
    return (*exact, IntervalBounds(), LinearBounds(), Smoothing()), ()
