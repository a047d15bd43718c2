"""``unfool maximise``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..runs.usual import data_for
from .shared import ModelOptions, OutputOptions, folder_for, opened

if TYPE_CHECKING:
    from torch import Tensor

    from ..model import Model
    from ..synthesis.base import Synthesis
    from .liked import Made
    from .units import Unit


def maximise(
    *units: str,
    method: str = "Maximise",
    model: str = "unfool:digits",
    data: str | None = None,
    objective: str | None = None,
    times: int = 1,
    images: str | None = None,
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
    images
        A picture, or data as for --data: what DeepDream('layer3'), Invert, Exaggerate and Accentuate begin with.
    out
        The folder for pictures and numbers; by default one in runs/maximise named after what is run.
    real
        How many real pictures are compared with at most.
    noise
        How many images of plain noise the control has.
    seed
        Where all random numbers come from.
    """
    from ..synthesis.presets import synthesis_of

    wanted = synthesis_of(method)
    plan = Plan(loading.load(model), wanted, model, data, objective, units, times, real, noise, seed)
    if wanted.of_images:
        numbers = of_images(plan, images, out, loading, output)
    else:
        numbers = of_units(plan, images, out, loading, output)
    output.document(numbers)


class Plan(NamedTuple):
    """What is to be made, whatever it is made of."""

    network: "Model"
    method: "Synthesis"
    model: str
    data: str | None
    objective: str | None
    units: tuple[str, ...]
    times: int
    real: int
    noise: int
    seed: int

    def recipe(self, data: str, names: list[str]) -> str:
        from ..spec import call_text

        told = [repr(self.method), repr(self.model), repr(data), repr(names)]
        return call_text("Maximise", [*told, repr(self.objective), f"seed={self.seed}"])

    def folder(self, out: Path | None, recipe: str, loading: ModelOptions) -> Path:
        from ..runs.begin import claim

        settings = (recipe, self.real, loading.told())
        out = folder_for(out, "maximise", type(self.method).__name__, *settings)
        claim(out, recipe, self.network)
        return out


def of_units(
    plan: Plan, images: str | None, out: Path | None, loading: ModelOptions, output: OutputOptions
) -> dict[str, Any]:
    """An image for every unit, compared with real ones."""
    from ..errors import InputError
    from ..runs.begin import chosen
    from .liked import made_for, save

    name, network = type(plan.method).__name__, plan.network
    if images is not None:
        raise InputError(f"{name} begins with no image", "DeepDream('layer') and Accentuate('layer') do")
    address = plan.data or _training_set(plan.model)
    source = opened(address)
    batch = source.batch(chosen(source.ids(), plan.real, plan.seed), network.view, network.classes)
    if not len(batch.readable()):
        raise InputError(
            f"none of {address} can be read: {next(iter(batch.errors.values()))}", "see --classes"
        )
    batch = batch.readable()
    found = _units(plan, batch.x[:1])
    asked = [unit for unit in found for _ in range(plan.times)]
    for unit in asked:
        plan.method.aim(unit.objective)  # one that it does not work for is refused before anything is written
    recipe = plan.recipe(address, [unit.name for unit in asked])
    out = plan.folder(out, recipe, loading)
    with output.watching() as watch, watch(name, len(asked)) as progress:
        made = made_for(asked, plan.method, network, batch, plan.seed, progress)
    save(made, out)
    return _written(out, {"recipe": recipe, **_told(made, network, plan.noise, plan.seed, output)}, output)


def of_images(
    plan: Plan, images: str | None, out: Path | None, loading: ModelOptions, output: OutputOptions
) -> dict[str, Any]:
    """An image of each image."""
    from ..errors import InputError
    from .likened import likened, save, told

    if images is None:
        raise InputError(f"{type(plan.method).__name__} begins with an image", "give --images FILE")
    like = opened(images)
    first = like.batch(like.ids()[:1], plan.network.view).x
    units = _units(plan, first) if plan.units else []
    if len(units) > 1:
        raise InputError(
            f"{type(plan.method).__name__} works for one unit at a time, not {len(units)}",
            "a command for each",
        )
    recipe = plan.recipe(images, [unit.name for unit in units])
    out = plan.folder(out, recipe, loading)
    found = likened(plan.method, units, images, plan.network, plan.seed)
    save(found, plan.network, out)
    return _written(out, {"recipe": recipe, **told(found, plan.network, output)}, output)


def _written(out: Path, numbers: dict[str, Any], output: OutputOptions) -> dict[str, Any]:
    (out / "maximise.json").write_text(json.dumps(numbers, indent=1, allow_nan=False), encoding="utf-8")
    output.say(f"pictures in {out}")
    return numbers | {"folder": str(out)}


def _told(made: "Made", model: "Model", noise: int, seed: int, output: OutputOptions) -> dict[str, object]:
    from .fooled import told as fooled
    from .liked import told as liked

    return (liked if made.method.climbs is None else fooled)(made, model, noise, seed, output)


def _units(plan: Plan, like: "Tensor") -> "list[Unit]":
    """The units by their names, or as numbers of the objective that is given."""
    from ..objectives import Objective
    from ..spec import parse
    from .units import numbered, units_of

    if plan.objective is None:
        return units_of(plan.units, plan.network, like)
    objective: Objective = parse(plan.objective, Objective)
    return numbered(plan.units, objective, plan.network, like)


def _training_set(model: str) -> str:
    place = data_for(None, model)
    return f"{place}?split=train"
