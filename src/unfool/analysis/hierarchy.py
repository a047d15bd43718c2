"""The layers of a network in order: what fires their units, what of it does, what can be read there."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..attributions.rules import Deconv, Guided
from ..data.base import Source
from ..measures.moving import SHIFTS, pixels_of
from ..measures.sanity import redrawn
from ..measures.spots import layer_maps
from ..model import Model
from ..runs.begin import Watch, unwatched
from ..runs.hierarchy import Hierarchy, teachable
from ..runs.probe import run_probe
from ..runs.units import run_units
from . import probe
from .fields import seen_by
from .probe import LAST, Changes, Probed, changes_of
from .units import Gallery, Layer, Patch, looked, projections, selective


class Shown(NamedTuple):
    """A unit's best patches, and what of each fired it by two rules; () where the network has no rectifiers for one."""

    channel: int
    patches: tuple[Patch, ...]
    deconvnet: tuple[Tensor, ...]
    guided: tuple[Tensor, ...]


class Stage(NamedTuple):
    """One layer; ``control`` are the first unit's patches, with what fired a unit of the same network without learning.

    Its weights are drawn anew; of its units it is the one that they fire most.
    """

    layer: Layer
    effective: float
    """The share of what a position sees that holds 95 % of its gradient, in one image."""
    units: tuple[Shown, ...]
    control: Shown | None


class Climbed(NamedTuple):
    """All stages of a network."""

    plan: Hierarchy
    stages: tuple[Stage, ...]
    changes: tuple[Changes, ...]
    """Of pixels, every layer and what the last linear layer is given; () where the images are no pictures."""
    shifts: tuple[int, ...]
    """In pixels."""
    probed: Probed | None
    """None where there are too few labels."""


def study(
    plan: Hierarchy,
    model: Model,
    source: Source,
    training: Source | None,
    folder: Path,
    watch: Watch = unwatched,
) -> Climbed:
    """Everything about the layers in order; what is in the folder already is not done again."""
    looking = plan.looking
    ids = looking.ids(source)
    found, _ = run_units(looking, model, source, folder / "units", watch)
    layers, gallery = looked(model, source, ids, found), Gallery(model, source, ids)
    empty = redrawn(model, plan.seed)
    x = source.batch(ids[: plan.moved], model.view, model.classes).readable().x
    stages = list[Stage]()
    with watch("projections", len(layers)) as progress:
        for layer in layers:
            stages.append(_stage(plan, model, empty, gallery, layer, x[:1]))
            progress(1)
    names, probed = tuple(layer.name for layer in layers), None
    if teachable(plan, model, source, training):
        asked = plan.probe(names)
        embedded = run_probe(asked, model, source, training, folder / "probe", watch)
        probed = probe.study(asked, embedded, model, source)
    shifts = tuple(pixels_of(s, x.shape[-1]) for s in SHIFTS)
    return Climbed(plan, tuple(stages), _changes(model, x, names, probed), shifts, probed)


def _changes(model: Model, x: Tensor, names: Sequence[str], probed: Probed | None) -> tuple[Changes, ...]:
    """Those that the probe has found already, or the same without it."""
    if probed is not None:
        return tuple(one.changes for one in probed.layers if one.changes is not None)
    if x.ndim != 4 or len(x) < 2:
        return ()
    return tuple(changes_of(model, x, name) for name in ("pixels", *names, LAST))


def _stage(plan: Hierarchy, model: Model, empty: Model, gallery: Gallery, layer: Layer, x: Tensor) -> Stage:
    units = tuple(_shown(model, gallery, layer, c, plan.seed) for c in selective(layer.units, plan.channels))
    control = _control(empty, gallery, layer, units[0].channel, plan.seed) if units else None
    return Stage(layer, seen_by(model, x, [layer.name])[0].effective, units, control)


def _shown(
    model: Model, gallery: Gallery, layer: Layer, channel: int, seed: int, asked: int | None = None
) -> Shown:
    patches = gallery.patches(layer, channel)
    made = [projections(model, gallery, layer, channel, rule, seed, asked) for rule in (Deconv(), Guided())]
    return Shown(channel if asked is None else asked, patches, *made)


def _control(empty: Model, gallery: Gallery, layer: Layer, channel: int, seed: int) -> Shown:
    """A unit's patches again, with what fired another network's unit there: the one that they fire most."""
    patches = gallery.patches(layer, channel)
    maps = layer_maps(empty, torch.stack([p.image for p in patches]), layer.name)
    places = torch.tensor(layer.units.place[channel].tolist())[: len(patches)]
    values = maps[(torch.arange(len(maps)), slice(None), *places.T)]  # [patches, C]
    return _shown(empty, gallery, layer, channel, seed, int(values.mean(0).argmax()))
