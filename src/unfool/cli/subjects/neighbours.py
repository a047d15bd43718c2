"""``unfool inspect neighbours``."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish


def neighbours(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    training: str = "",
    layer: str = "",
    k: int = 6,
    metric: Literal["l2", "cosine"] = "l2",
    near: float = 0.1,
    id: Annotated[list[str] | None, Parameter(negative="")] = None,
    images: int = 5,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """The nearest images in a network's features, and copies between the data and the training data.

    Under them the nearest in pixels and in features of random weights, which are the controls; how many of the nearest
    are of the query's class; and pairs so near that they may be one image.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit: the queries.
    training
        Data among which neighbours are looked for, such as those the model has learned from; by default among the data.
    layer
        Whose output is compared, its mean over positions; by default what the last linear layer is given.
    k
        How many neighbours.
    metric
        l2 or cosine.
    near
        Two images that are this share of the median distance of two random ones apart are suspected of being one.
    id
        Whose neighbours are shown, given once for each; by default a few of different classes.
    images
        How many are shown.
    limit
        How many images of either data at most, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/neighbours named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.neighbours import study
    from ...report.subjects.neighbours import neighbours_page
    from ...runs.neighbours import Neighbours, run_neighbours

    place, network = data_for(data, model), loading.load(model)
    source, learned = opened(place), opened(training) if training else None
    plan = Neighbours(model, place, training, layer, k, metric, near, tuple(id or ()), images, limit, seed)
    out = folder_for(out, "neighbours", model, plan, loading.told())
    with output.watching() as watch:
        own, other = run_neighbours(plan, network, source, learned, out, watch)
    look = looker(source, network)
    page = neighbours_page(
        study(plan, own, other, network, source), look, looker(learned, network) if learned else look
    )
    finish(page, out, output)


def looker(source: Any, network: Any) -> Any:
    """Gives the image of an id as the network sees it."""
    return lambda i: source.sample(i, network.view or _plain()).x


def _plain() -> Any:
    from ...views import View

    return View()
