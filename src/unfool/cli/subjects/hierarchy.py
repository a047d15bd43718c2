"""``unfool inspect hierarchy``."""

from pathlib import Path

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish


def hierarchy(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    training: str = "",
    layer: tuple[str, ...] = (),
    channels: int = 4,
    moved: int = 50,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """The layers of a network in order on one page: what fires their units, and what of it does.

    The nine strongest patches of a few units of each layer, with what in them fired the unit by the deconvnet and by
    guided backpropagation, beside the same network with its weights drawn anew; how much of the image a position sees;
    how well a linear probe reads the classes, where there are labels; what moving, turning and enlarging the image
    changes.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit.
    training
        Data that teach the linear probes; by default one half of the data, and the other half judges.
    layer
        Names or patterns, one --layer each ("layer3*"), or all; by default the last layer of each size.
    channels
        How many units of each layer are shown: those that are most selective.
    moved
        How many images are moved, turned and enlarged.
    limit
        How many images of either data at most, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/hierarchy named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.hierarchy import study
    from ...report.subjects.hierarchy import hierarchy_page
    from ...runs.hierarchy import Hierarchy

    place, network = data_for(data, model), loading.load(model)
    source, learned = opened(place), opened(training) if training else None
    plan = Hierarchy(model, place, training, layer, channels, moved, limit, seed)
    out = folder_for(out, "hierarchy", model, plan, loading.told())
    with output.watching() as watch:
        found = study(plan, network, source, learned, out, watch)
    finish(hierarchy_page(found), out, output)
