"""``unfool inspect bounds``."""

from pathlib import Path

from ..shared import OutputOptions, folder_for
from .shared import finish


def bounds(
    *,
    points: int = 4000,
    out: Path | None = None,
    seed: int = 0,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """What theory allows: how many images must lie near a boundary, and when that says nothing.

    The bounds of Shafahi et al. (2019) on sphere and cube beside classifiers that are never wrong, and beside how dense
    real classes are.

    Parameters
    ----------
    points
        Random points for each dimension.
    out
        The folder for the page and its figures; by default one in runs/bounds named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.inevitable import Bounds, measure_bounds
    from ...report.subjects.bounds import bounds_page

    plan = Bounds(points=points, seed=seed)
    with output.watching() as watch, watch("dimensions", len(plan.dimensions)) as progress:
        found = measure_bounds(plan, progress)
    finish(bounds_page(found), folder_for(out, "bounds", "", plan), output)
