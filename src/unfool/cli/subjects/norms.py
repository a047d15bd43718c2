"""``unfool inspect norms``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish


def norms(
    model: str = "unfool:digits8",
    data: str | None = None,
    *,
    within: Annotated[list[str] | None, Parameter(negative="")] = None,
    attack: str = "PGD(steps=40, loss=Margin())",
    images: int = 3,
    sample: int = 200,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """The same images attacked within several norms, beside random changes of equal size.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit.
    within
        A region, given once for each: --within "L2(1)" --within "L0(5)"; by default L2(1), Linf(0.2) and L0(5).
    attack
        An attack that works in all of them.
    images
        How many images are shown.
    sample
        How many images every number is measured on.
    out
        The folder for the page and everything behind it; by default one in runs/norms named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.norms import compare, telling
    from ...attacks.base import Attack
    from ...regions import Region
    from ...report.subjects.norms import norms_page
    from ...runs.inspect import Norms, run_norms
    from ...spec import parse

    place, network = data_for(data, model), loading.load(model)
    regions = tuple(parse(text, Region) for text in within or ("L2(1.0)", "Linf(0.2)", "L0(5)"))
    plan = Norms(model, place, parse(attack, Attack), regions, images, sample, seed)
    source = opened(place)
    out = folder_for(out, "norms", model, plan, loading.told())
    with output.watching() as watch:
        tables = run_norms(plan, network, source, out, watch)
    shown = source.batch(telling(tables, images, len(regions)), network.view, network.classes)
    finish(norms_page(compare(plan, tables, tuple(network.classes), shown)), out, output)
