"""``unfool inspect probe``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish


def probe(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    training: str = "",
    layer: Annotated[list[str] | None, Parameter(negative="")] = None,
    shots: Annotated[list[int] | None, Parameter(negative="")] = None,
    draws: int = 10,
    moved: int = 100,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """How well linear models read the classes off a network, from few labels and all, layer by layer.

    Beside pixels and the same network with weights drawn anew, which are the controls; and how much each layer's output
    changes when the image is moved or turned.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit, with labels. One half teaches the probes and the other judges them.
    training
        Data that teach the probes; all of the data then judge.
    layer
        A layer of the hierarchy, given once for each; by default a few all through the network.
    shots
        Labels per class, given once for each number; by default 1, 5 and 20.
    draws
        How often the labels are drawn anew.
    moved
        How many images are moved and turned.
    limit
        How many images of either data at most, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/probe named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.probe import study
    from ...report.subjects.probe import probe_page
    from ...runs.probe import Probe, run_probe

    place, network = data_for(data, model), loading.load(model)
    source, learned = opened(place), opened(training) if training else None
    plan = Probe(
        model, place, training, tuple(layer or ()), tuple(shots or (1, 5, 20)), draws, moved, limit, seed
    )
    out = folder_for(out, "probe", model, plan, loading.told())
    with output.watching() as watch:
        found = run_probe(plan, network, source, learned, out, watch)
    finish(probe_page(study(plan, found, network, source)), out, output)
