"""``unfool inspect atlas``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, class_number, folder_for, opened
from .shared import finish

if TYPE_CHECKING:
    from ...analysis.atlas import Charted
    from ...model import Model


def atlas(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    layer: str = "",
    of: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    method: Literal["tsne", "pacmap", "pca"] = "tsne",
    perplexity: float = 30.0,
    grid: int = 12,
    each: int = 4,
    least: int = 5,
    draw: str = "Maximise(Fourier(decorrelated=True), steps=64)",
    side: int = 0,
    cosine: float = 4.0,
    asked: int = 8,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """An atlas of a layer: what it gives over many images, laid out in cells, each drawn, with what it argues for.

    Beside it the same cells in real images, and cells of shuffled activations, drawn as well. Stopped, it goes on from
    there. Methods other than pca need unfool[maps]; --fast makes drawing several times as fast.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit.
    layer
        Whose activations; by default the last layer with positions.
    of
        Classes with a page of their own, one --of each: which cells argue for it and which against it.
    method
        What lays the activations out: tsne, pacmap or pca.
    perplexity
        Of tsne: about how many neighbours count.
    grid
        Cells a side.
    each
        How many positions of each image, drawn by the seed; 0 takes every one.
    least
        A cell with fewer activations is left empty.
    draw
        What draws the cells, as for unfool maximise --method.
    side
        Pixels a side of the drawn pictures; 0 makes them as large as what a position mostly sees.
    cosine
        The larger, the less is in a picture but its cell's direction; 0 allows anything.
    asked
        In how many images the layer is moved along each cell to see what that does to the classes; 0 for none.
    limit
        How many images at most, drawn by the seed.
    out
        The folder for the pages and everything behind them; by default one in runs/atlas named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.atlas import study
    from ...measures.embed import looked_into
    from ...report.subjects.atlas import atlas_page
    from ...runs.atlas import Atlas, run_spots
    from ...runs.begin import first_image
    from ...synthesis.presets import synthesis_of

    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    looked_into(network)
    if not layer:
        layer = network.last_spatial_layer(first_image(source, source.ids(), network.view, network)[None])
    labels = {label: name for name in of if (label := class_number(name, network)) is not None}
    plan = Atlas(
        model,
        place,
        layer,
        method,
        perplexity,
        each,
        grid,
        least,
        synthesis_of(draw),
        cosine,
        side,
        asked,
        limit,
        seed,
    )
    out = folder_for(out, "atlas", model, plan, loading.told())
    with output.watching() as watch:
        found = study(plan, run_spots(plan, network, source, out, watch), network, source, out, watch)
    links = [(name, f"./class-{label}/report.html") for label, name in labels.items()]
    _classes(found, network, labels, out)
    finish(atlas_page(found, links), out, output)


def _classes(found: "Charted", network: "Model", labels: dict[int, str], out: Path) -> None:
    """A page for each class."""
    from ...errors import InputError
    from ...report.page import typed, write_page
    from ...report.subjects.atlas_class import class_page

    if labels and found.argued is None:
        raise InputError(
            "nothing is known of what the cells do to the classes",
            "a network of two classes or more, and --asked above 0",
        )
    command = typed()
    for label in labels:
        assert found.argued is not None
        if label >= len(found.argued.each):
            raise InputError(f"there are {len(found.argued.each)} classes, {label} is not one of them")
        write_page(
            class_page(found, label, [("the whole atlas", "../report.html")]), out / f"class-{label}", command
        )
