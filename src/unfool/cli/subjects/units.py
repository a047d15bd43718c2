"""``unfool inspect units``."""

from pathlib import Path

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish


def units(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    layer: tuple[str, ...] = (),
    unit: tuple[str, ...] = (),
    keep: int = 9,
    shown: int = 24,
    pages: int = 2,
    draw: str = "",
    limit: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """What makes each channel of each layer fire: its best images, the very parts it sees, its classes, its likes.

    One pass over the data for all layers together; stopped, it goes on from there. Writes an overview, a page for each
    layer and one for some units, and what is known of every unit as units.parquet.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit; by default the embedded model's own test set.
    layer
        Names or patterns, one --layer each ("layer3*"), or all; by default the last layer of each size.
    unit
        Units with a page of their own, one --unit each: layer3:17; by default some of each layer.
    keep
        How many images of each unit are kept.
    shown
        How many units of a layer are on its page.
    pages
        How many units of each layer have a page of their own where no --unit says which: those that are most selective.
    draw
        What draws the image that each unit on a page likes best, as for unfool maximise --method; by default nothing.
        It takes a minute or more a layer on large pictures, with --fast less.
    limit
        How many images at most, drawn by the seed.
    out
        The folder for the pages and everything behind them; by default one in runs/units named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.units import looked, named_unit, selective
    from ...report.unit_pages import write_unit_pages
    from ...runs.units import Looking, run_units, write_units
    from ...synthesis.presets import synthesis_of
    from ...targets import Neuron

    place, network, method = data_for(data, model), loading.load(model), synthesis_of(draw) if draw else None
    if method is not None:
        method.aim(Neuron("output"))  # one that draws no units is refused before anything is looked at
    source = opened(place)
    plan = Looking(model, place, layer, keep, limit=limit, seed=seed)
    ids, out = plan.ids(source), folder_for(out, "units", model, plan, loading.told())
    with output.watching() as watch:
        found, errors = run_units(plan, network, source, out, watch)
        layers = looked(network, source, ids, found)
        own = [named_unit(text, layers) for text in unit] or [
            (one, c) for one in layers for c in selective(one.units, pages)
        ]
        write_units(found, ids, out / "units.parquet")
        page = write_unit_pages(plan, network, source, layers, own, errors, out, shown, watch, method)
    finish(page, out, output)
