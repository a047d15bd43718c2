"""``unfool inspect backdoor``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, class_number, folder_for, opened
from .shared import finish


def backdoor(
    model: str = "unfool:digits8?backdoor=7",
    data: str | None = None,
    *,
    training: str = "",
    target: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    trigger: str = "Trigger()",
    clean: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    planted: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    controls: int = 3,
    index: float = 2.0,
    sample: int = 300,
    limit: int = 200,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Whether a small trigger leads to one class: a backdoor that somebody may have planted.

    Looks for the smallest trigger of every class and for one that needs much less than the others (Neural Cleanse), and
    does the same to networks whose truth is known. Stopped at any moment, the same command goes on from there.

    Parameters
    ----------
    model
        An address, as for unfool audit; "unfool:digits8?backdoor=7" has one.
    data
        As for unfool audit.
    training
        Images that triggers are sought on; an embedded model brings its own, else those of the data that nothing is
        judged on.
    target
        The classes that are scanned, by name or number; by default all.
    trigger
        How triggers are sought, as text.
    clean
        Addresses of networks known to be clean, which tell how often the scan raises a false alarm.
    planted
        Addresses of networks known to have a backdoor.
    controls
        How many of each kind are trained and scanned where none are named and the model is one of embedded digits.
    index
        From which anomaly index on a class is suspected.
    sample
        How many images triggers are sought on, at most.
    limit
        How many others they are tried on, at most.
    out
        The folder for the page and everything behind it; by default one in runs/backdoor named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.backdoor import told
    from ...attacks.trigger import Trigger
    from ...report.subjects.backdoor import backdoor_page
    from ...runs.backdoor import Backdoor, run_backdoor
    from ...spec import parse

    place, network = data_for(data, model), loading.load(model)
    if not training and model.startswith("unfool:") and data is None:
        training = f"{place}?split=train"
    known = (tuple(clean or ()), tuple(planted or ()))
    if not any(known) and model.partition("?")[0] in ("unfool:digits", "unfool:digits8"):
        known = trained_controls(model.partition("?")[0], controls)
    labels = tuple(n for name in target or () if (n := class_number(name, network)) is not None)
    how = parse(trigger, Trigger)
    plan = Backdoor(model, place, training, how, labels, *known, index, sample, limit, seed)
    out = folder_for(out, "backdoor", model, plan, loading.told())
    loaded = {model: network}
    with output.watching() as watch:
        found = run_backdoor(
            plan,
            lambda address: loaded.get(address) or loading.load(address),
            opened(place),
            opened(training or place),
            out,
            watch,
        )
    finish(backdoor_page(told(found), tuple(network.classes)), out, output)


def trained_controls(data: str, n: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Networks of embedded digits without a backdoor, and as many with one, each from another seed."""
    seeds = range(1, n + 1)
    clean = tuple(f"{data}?seed={k}" for k in seeds)
    return clean, tuple(f"{data}?seed={k}&backdoor={(3 * k + 1) % 10}" for k in seeds)
