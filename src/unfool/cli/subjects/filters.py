"""``unfool inspect filters``."""

from pathlib import Path

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish


def filters(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    layer: str = "",
    out: Path | None = None,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """The filters of a network's first convolution: on one scale and each on its own; dead, noisy and double ones.

    Batch norm behind the layer is folded in. The control is random filters of the same spread.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit: its first image says how large images are.
    layer
        Another convolution than the first.
    out
        The folder for the page; by default one in runs/filters named after what is run.
    """
    from ...analysis.filters import first_filters
    from ...report.subjects.filters import filters_page
    from ...runs.begin import first_image

    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    image = first_image(source, source.ids(), network.view, network)
    found = first_filters(network, image[None], layer)
    out = folder_for(out, "filters", model, layer, loading.told())
    finish(filters_page(model, found), out, output)
