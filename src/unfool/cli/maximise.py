"""``unfool maximise``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import ModelOptions, OutputOptions, data_for, folder_for, opened

if TYPE_CHECKING:
    from ..model import Model
    from .liked import Made
    from .units import Unit


def maximise(
    *units: str,
    method: str = "Maximise",
    model: str = "unfool:digits",
    data: str | None = None,
    objective: str | None = None,
    times: int = 1,
    out: Path | None = None,
    real: int = 2000,
    noise: int = 1000,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Make the images that classes or units of a model like best.

    Writes each image as an 8-bit PNG (what is told is judged on that file), a grid of all beside the best and the
    nearest real images, how the search went as a chart, and all numbers as maximise.json. The controls are real images
    and plain noise.

    Parameters
    ----------
    units
        Names or numbers of classes, layer:channel, layer:channel@y,x for one position, layer:* for all channels;
        by default every class.
    method
        A preset (simonyan, yosinski-1 to -4, lucid, maco, ozbulak, plain) or a synthesis as text:
        "Maximise(Fourier(), steps=512)", "MapElites(CPPN())", Fooling; unfool methods lists them.
    model
        An address, as for unfool audit.
    data
        Real pictures: their mean is where a method begins, their colours and spectrum what a canvas may have, the best
        and the nearest of them are shown; by default the embedded model's own training set.
    objective
        What scores the units instead of the class's logit, as text: LogProb, "Channel('layer3') - 0.1 *
        TotalVariation()". Units are then its numbers.
    times
        How many images are made of each unit, each from its own random numbers.
    out
        The folder for pictures and numbers; by default one in runs/maximise named after what is run.
    real
        How many real pictures are compared with at most.
    noise
        How many images of plain noise the control has.
    seed
        Where all random numbers come from.
    """
    from ..runs.begin import chosen, claim
    from ..spec import call_text
    from ..synthesis.presets import synthesis_of
    from .liked import made_for, save
    from .units import units_of

    network, address, wanted = loading.load(model), data or _training_set(model), synthesis_of(method)
    source = opened(address)
    batch = source.batch(chosen(source.ids(), real, seed), network.view, network.classes).readable()
    asked = [unit for unit in _scored(objective, units_of(units, network, batch.x[:1])) for _ in range(times)]
    names = [unit.name for unit in asked]
    for unit in asked:
        wanted.aim(unit.objective)  # one that it does not work for is refused before anything is written
    recipe = call_text(
        "Maximise", [repr(wanted), repr(model), repr(address), repr(names), f"{objective!r}, seed={seed}"]
    )
    out = folder_for(out, "maximise", type(wanted).__name__, recipe, real, loading.told())
    claim(out, recipe, network)
    with output.watching() as watch, watch(type(wanted).__name__, len(asked)) as progress:
        made = made_for(asked, wanted, network, batch, seed, progress)
    save(made, out)
    numbers = {"recipe": recipe, **_told(made, network, noise, seed, output)}
    (out / "maximise.json").write_text(json.dumps(numbers, indent=1, allow_nan=False), encoding="utf-8")
    output.say(f"pictures in {out}")
    output.document(numbers | {"folder": str(out)})


def _told(made: "Made", model: "Model", noise: int, seed: int, output: OutputOptions) -> dict[str, object]:
    from .fooled import told as fooled
    from .liked import told as liked

    return (liked if made.method.climbs is None else fooled)(made, model, noise, seed, output)


def _scored(text: str | None, units: "list[Unit]") -> "list[Unit]":
    """The units under another objective, where one is given."""
    from ..errors import InputError
    from ..objectives import Objective
    from ..spec import parse

    if text is None:
        return units
    if any(unit.objective is not None for unit in units):
        raise InputError("--objective scores numbers of its own, not layer:channel", "give numbers alone")
    objective: Objective = parse(text, Objective)
    if "output" in objective.reads:
        return [unit._replace(objective=objective) for unit in units]
    return [unit._replace(name=f"{objective.reads[0]}:{unit.number}", objective=objective) for unit in units]


def _training_set(model: str) -> str:
    place = data_for(None, model)
    return f"{place}?split=train"
