"""``unfool inspect dimensions``."""

from pathlib import Path
from typing import Literal

from ..shared import OutputOptions, folder_for
from .shared import finish


def dimensions(
    *,
    eps: float = 0.1,
    law: Literal["equal", "normal", "sparse"] = "normal",
    images: int = 100,
    seeds: int = 3,
    out: Path | None = None,
    seed: int = 0,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Whether more dimensions make a classifier easier to fool: only where each brings a signal of its own.

    One linear unit under a change of given size, measured beside its formulas; then the change that flips on Gaussian
    data of ever more informative features, and on digits of ever more pixels.

    Parameters
    ----------
    eps
        Size of the linear unit's change in Linf.
    law
        How its weights are drawn: all alike, Gaussian, or a tenth Gaussian and the others 0.
    images
        Digits whose radius is measured at each size.
    seeds
        How often everything is drawn and trained anew.
    out
        The folder for the page and its figures; by default one in runs/dimensions named after what is run.
    seed
        The first one's random numbers.
    """
    from ...analysis.dimensions import Dimensions, measure_dimensions
    from ...report.subjects.dimensions import dimensions_page

    plan = Dimensions(eps, law, images=images, seeds=seeds, seed=seed)
    with output.watching() as watch, watch("trends", 5) as progress:
        found = measure_dimensions(plan, progress)
    finish(dimensions_page(found), folder_for(out, "dimensions", law, plan), output)
