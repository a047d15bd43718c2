"""``unfool inspect field``."""

from pathlib import Path

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish


def field(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    layer: tuple[str, ...] = (),
    out: Path | None = None,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """What part of the image each layer sees, exactly: parts of an image are made NaN until the layer turns NaN, too.

    Works for whatever the network does; where a layer sees the whole image, it says so. Beside it how far the gradient
    of a unit in the middle reaches, which is less.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit: its first image says how large images are.
    layer
        Names or patterns, one --layer each ("layer3*"), or all; by default the last layer of each size.
    out
        The folder for the page; by default one in runs/field named after what is run.
    """
    from ...analysis.fields import seen_by
    from ...report.subjects.field import field_page
    from ...runs.begin import first_image

    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    image = first_image(source, source.ids(), network.view, network)
    found = seen_by(network, image[None], layer)
    out = folder_for(out, "field", model, place, layer, loading.told())
    finish(field_page(model, place, image, found), out, output)
