"""``unfool inspect directions``."""

from pathlib import Path

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish


def directions(
    model: str = "unfool:digits8",
    data: str | None = None,
    *,
    limit: float = 0.3,
    reach: float | None = None,
    images: int = 4,
    sample: int = 100,
    planes: int = 3,
    draws: int = 100,
    eps: float | None = None,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """What happens along straight lines and in planes through images.

    Logits and loss along the sign of the gradient and along random signs, planes with several random axes, the first
    flip along the gradient against chance, and how accuracy falls with the number of random draws.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit.
    limit
        How far lines go to either side, as a multiple of a pattern of ±1.
    reach
        How far planes go to either side, in L2; by default as far as a pattern of a quarter of ±1.
    images
        How many images are shown.
    sample
        How many images every number is measured on.
    planes
        Planes of each image, each with another random axis.
    draws
        Of how many random changes the worst counts.
    eps
        The size of those in Linf; by default limit.
    out
        The folder for the page and everything behind it; by default one in runs/directions named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.directions import study
    from ...report.subjects.directions import directions_page
    from ...runs.inspect import Directions, run_directions

    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    d = source.batch(source.ids()[:1], network.view, network.classes).x[0].numel()
    plan = Directions(
        model,
        place,
        limit,
        reach or 0.25 * d**0.5,
        planes=planes,
        eps=eps or limit,
        draws=draws,
        images=images,
        sample=sample,
        seed=seed,
    )
    out = folder_for(out, "directions", model, plan, loading.told())
    with output.watching() as watch:
        tables = run_directions(plan, network, source, out, watch)
    finish(directions_page(study(plan, tables, tuple(network.classes), d)), out, output)
