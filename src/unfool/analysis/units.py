"""What is known of single units: the patches that fire them, what they say, who is like them, what is without them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..attributions.gradient import Gradient
from ..attributions.modes import Rule
from ..attributions.rules import Bent, Deconv
from ..data.base import Source
from ..errors import InputError, UnfoolError
from ..grids import Grid
from ..measures.units import Units, unit_layers
from ..model import Model
from ..objectives import LogProb
from ..query import Query
from ..receptive import Field, receptive_fields
from ..rows import Batch, Rng, stable_number
from ..targets import Neuron
from .rates import Mean, mean_of


class Patch(NamedTuple):
    """One image's strongest position of a unit, and the part of the image that this position sees."""

    id: str
    value: float
    image: Tensor
    box: tuple[slice, ...]
    label: str
    whole: bool
    """Whether the unit sees the whole image."""

    @property
    def cut(self) -> Tensor:
        """The part that is seen: [C, *]."""
        return self.image[(slice(None), *self.box)]


class Without(NamedTuple):
    """What a unit's own images lose of their predicted class's log-probability without it, and without another unit."""

    own: Mean
    other: Mean
    rival: int
    """The other unit: one of the same layer that is alive, drawn by the seed."""


class UnitCard(NamedTuple):
    """Everything about one unit."""

    layer: str
    channel: int
    patches: tuple[Patch, ...]
    projections: tuple[Tensor, ...]
    """What of each image made it fire, by the deconvnet [C, *]; none where the network has no rectifiers."""
    alike: tuple[tuple[int, float], ...]
    """The units of the layer most like it, with their correlation."""
    without: Without | None
    """None where nothing follows the layer that gives classes."""


class Layer(NamedTuple):
    """A layer's units over a data set."""

    name: str
    units: Units
    field: Field


def looked(model: Model, source: Source, ids: Sequence[str], found: dict[str, Units]) -> list[Layer]:
    """Every layer with what its positions see."""
    batch = source.batch(ids[:1], model.view, model.classes)
    fields = receptive_fields(model, batch.x.to(model.device), list(found))
    return [Layer(name, units, fields[name]) for name, units in found.items()]


def named_unit(text: str, layers: Sequence[Layer]) -> tuple[Layer, int]:
    """The unit that "layer:channel" names."""
    name, _, channel = text.rpartition(":")
    known = {layer.name: layer for layer in layers}
    if name not in known or not channel.isdecimal():
        raise InputError(
            f"{text!r} is no unit of a layer that was watched", f"layer:channel, of {', '.join(known)}"
        )
    most = len(known[name].units.low)
    if int(channel) >= most:
        raise InputError(f"layer {name!r} has {most} channels, there is no {channel}", f"0 to {most - 1}")
    return known[name], int(channel)


def selective(units: Units, n: int) -> list[int]:
    """The live units whose best images stand out most, in standard deviations above the mean; in the layer's order."""
    apart = (units.value[:, 0].double() - units.mean) / units.deviation.where(units.deviation > 0, torch.inf)
    order = apart.where(~units.dead, -torch.inf).argsort(descending=True, stable=True)
    return sorted(c for c in order[:n].tolist() if not units.dead[c])


class Gallery:
    """The images of a data set by number, read once each."""

    def __init__(self, model: Model, source: Source, ids: Sequence[str]):
        self.model, self.source, self.ids = model, source, ids
        self.held: dict[int, Tensor] = {}
        self.labels: dict[int, str] = {}

    def read(self, numbers: Sequence[int]) -> None:
        new = [k for k in dict.fromkeys(numbers) if k >= 0 and k not in self.held]
        for first in range(0, len(new), 64):
            some = new[first : first + 64]
            batch = self.source.batch([self.ids[k] for k in some], self.model.view, self.model.classes)
            self.held |= dict(zip(some, batch.x, strict=True))
            names = [self.model.label_name(y) if y >= 0 else "" for y in batch.y.tolist()]
            self.labels |= dict(zip(some, names, strict=True))

    def batch(self, numbers: Sequence[int]) -> Batch:
        self.read(numbers)
        x = torch.stack([self.held[k] for k in numbers])
        return Batch(tuple(self.ids[k] for k in numbers), x, torch.full((len(x),), -1))

    def patches(self, layer: Layer, channel: int) -> tuple[Patch, ...]:
        """A unit's best patches, the strongest first."""
        units = layer.units
        numbers = [k for k in units.image[channel].tolist() if k >= 0]
        places, values = units.place[channel].tolist(), units.value[channel].tolist()
        return self.seen(layer.field, list(zip(numbers, values, places, strict=False)))

    def random_patches(self, layer: Layer, n: int, seed: int) -> tuple[Patch, ...]:
        """The control: random images at random positions of the layer."""
        draws = [stable_number(seed, "patch", layer.name, k) for k in range(n)]
        somewhere = [(d % len(self.ids), math.nan, _somewhere(layer.field.sides, d)) for d in draws]
        return self.seen(layer.field, somewhere)

    def seen(self, field: Field, what: Sequence[tuple[int, float, Sequence[int]]]) -> tuple[Patch, ...]:
        """What positions of a layer see: an image's number, a value that goes with it, and the position."""
        self.read([k for k, _, _ in what])
        return tuple(
            Patch(self.ids[k], value, self.held[k], field.at(place), self.labels[k], field.whole)
            for k, value, place in what
        )


def _somewhere(sides: Sequence[int], draw: int) -> list[int]:
    return [stable_number(draw, "axis", d) % side for d, side in enumerate(sides)]


def card(model: Model, gallery: Gallery, layer: Layer, channel: int, seed: int) -> UnitCard:
    """Everything about one unit; its own images are asked about once more."""
    patches = gallery.patches(layer, channel)
    close = layer.units.alike()[channel].clone()
    close[channel] = -torch.inf
    order = close.argsort(descending=True, stable=True)[:5].tolist()
    return UnitCard(
        layer.name,
        channel,
        patches,
        projections(model, gallery, layer, channel, Deconv(), seed),
        tuple((c, float(close[c])) for c in order),
        _without(model, gallery, layer, channel, seed),
    )


def projections(
    model: Model,
    gallery: Gallery,
    layer: Layer,
    channel: int,
    rule: Rule,
    seed: int,
    asked: int | None = None,
) -> tuple[Tensor, ...]:
    """Of each best image what fired the unit, by a backward rule such as the deconvnet's, as far as it sees it.

    ``asked`` is another unit that is asked about the same images and places. Nothing where the network has no
    rectifiers for the rule.
    """
    unit = channel if asked is None else asked
    units, found = layer.units, list[Tensor]()
    for k, place in zip(units.image[channel].tolist(), units.place[channel].tolist(), strict=True):
        if k < 0:
            continue
        objective, x = Neuron(layer.name, tuple(place)), gallery.batch([k]).x
        try:
            heat = Bent(Gradient(), rule)(model, x, unit, objective=objective, seed=seed).heat[0]
        except UnfoolError:
            return ()
        found.append(heat[(slice(None), *layer.field.at(place))])
    return tuple(found)


@torch.no_grad()
def _without(model: Model, gallery: Gallery, layer: Layer, channel: int, seed: int) -> Without | None:
    live = (~layer.units.dead).nonzero()[:, 0].tolist()
    others = [c for c in live if c != channel]
    numbers = [k for k in layer.units.image[channel].tolist() if k >= 0]
    batch = gallery.batch(numbers)
    if not others or model(batch.x[:1]).ndim != 2:
        return None
    rival = others[stable_number(seed, "rival", layer.name, channel) % len(others)]
    x = batch.x.to(model.device)
    query = Query(model, LogProb(), None, Rng.seeded(seed, batch.ids, model.device), images=x, who="ablation")
    with model.settled():
        tail = query.tail(layer.name, x)
        grid = unit_layers(model, x[:1], (layer.name,))[layer.name]
        whole = tail.ask(tail.activation)[0]
        own, other = (whole - tail.ask(_zeroed(tail.activation, grid, c))[0] for c in (channel, rival))
    return Without(mean_of(own.tolist()), mean_of(other.tolist()), rival)


def _zeroed(activation: Tensor, grid: Grid, channel: int) -> Tensor:
    maps = grid.maps(activation).clone()
    maps[:, channel] = 0
    return grid.put(maps, activation)
