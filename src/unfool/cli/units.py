"""Units by their names: a class, or ``layer:channel``, ``layer:channel@y,x`` and ``layer:*``."""

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from ..model import Model
    from ..objectives import Objective

SHAPES = "a class, layer:channel, layer:channel@y,x or layer:*"


class Unit(NamedTuple):
    """One unit: its name, the objective that scores it (None for a class) and its number there."""

    name: str
    objective: "Objective | None"
    number: int

    @property
    def inside(self) -> bool:
        """Whether it is inside the network, where what is not above zero is not active."""
        return self.objective is not None and not {*self.objective.reads} <= {"input", "output"}

    @property
    def file(self) -> str:
        """Its name as a file's; a class's is its number."""
        return str(self.number) if self.objective is None else re.sub(r"[^A-Za-z0-9.]+", "-", self.name)


def units_of(texts: tuple[str, ...], model: "Model", like: "Tensor") -> list[Unit]:
    """The units that are meant; all classes where there is no text. ``like`` [1, C, *] is an image."""
    if not texts:
        return [Unit(model.label_name(k), None, k) for k in range(model(like).shape[1])]
    return [unit for text in texts for unit in _meant(text.strip(), model, like)]


def _meant(text: str, model: "Model", like: "Tensor") -> list[Unit]:
    from ..checks import checked_labels
    from ..targets import Channel, Neuron
    from .shared import class_number

    layer, _, rest = text.rpartition(":")
    if not layer or text.lower() in {name.lower() for name in model.classes}:
        number = class_number(text, model)
        assert number is not None
        checked_labels([number], like, model(like).shape[1], "classes")
        return [Unit(model.label_name(number), None, number)]
    found = re.fullmatch(r"(?:(\d+)(?:@(\d+(?:,\d+)*))?|\*)", rest)
    if found is None:
        from ..errors import InputError

        raise InputError(f"{text!r} names no unit", f"write {SHAPES}")
    width = channels(model, layer, like)
    if rest == "*":
        return [Unit(f"{layer}:{k}", Channel(layer), k) for k in range(width)]
    number, place = int(found[1]), found[2]
    if number >= width:
        from ..errors import InputError

        raise InputError(f"layer {layer!r} has {width} channels, there is no {number}", f"0 to {width - 1}")
    position = tuple(int(p) for p in place.split(",")) if place else ()
    return [Unit(text, Neuron(layer, position) if place else Channel(layer), number)]


def numbered(texts: tuple[str, ...], objective: "Objective", model: "Model", like: "Tensor") -> list[Unit]:
    """The numbers that an objective scores: of classes, by name too, where it reads the network's output alone."""
    from ..errors import InputError

    if {*objective.reads} <= {"input", "output"}:
        found = units_of(texts, model, like)
        if all(unit.objective is None for unit in found):
            return [unit._replace(objective=objective) for unit in found]
    elif texts and all(text.isdecimal() for text in texts):
        layer = next(name for name in objective.reads if name not in ("input", "output"))
        return [Unit(f"{layer}:{text}", objective, int(text)) for text in texts]
    raise InputError(
        f"--objective {objective!r} scores numbers of its own", "name the units by numbers alone"
    )


def channels(model: "Model", layer: str, like: "Tensor") -> int:
    """How many channels a layer has."""
    from ..errors import InputError
    from ..grids import maps_in

    model.layer(layer)
    shape = maps_in(model.trace(like.to(model.device), (layer,)), layer).shape
    if len(shape) < 2:
        raise InputError(f"layer {layer!r} gives {list(shape)}: it has no channels", "name another")
    return shape[1]


def grouped(units: list[Unit]) -> "list[tuple[Objective | None, list[int]]]":
    """The places of the units that one objective scores."""
    groups: dict[Objective | None, list[int]] = {}
    for k, unit in enumerate(units):
        groups.setdefault(unit.objective, []).append(k)
    return list(groups.items())
