"""Inside: what makes single units fire, the part of an image that each sees, and what it likes best."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..analysis.drawn import Drawn, drawn_units
from ..analysis.rates import Mean
from ..analysis.units import Gallery, Layer, Patch, card, looked, selective
from ..errors import InputError, UnknownName
from ..runs.units import Looking, run_units
from ..show.units import boxed, in_frame, projected
from ..synthesis.presets import PRESETS, synthesis_of
from ..targets import Neuron
from .asked import Asked
from .lines import over
from .look import squares
from .rooms import Room

if TYPE_CHECKING:
    from .stage import Answered, Stage

KEEP, SHOWN, MOST = 9, 24, 2000
"""Of how many images each unit is known, how many units are sent at once, and how many images are looked at at most."""
SMALL, LARGE = 40, 112
"""Sides of patches, in pixels."""


class Watched(NamedTuple):
    """One look at the images, over all units of some layers."""

    plan: Looking
    layers: dict[str, Layer]
    gallery: Gallery

    def layer(self, name: str) -> Layer:
        if name and name not in self.layers:
            raise UnknownName("layer", name, self.layers)
        return self.layers[name or next(reversed(self.layers))]


def watched(stage: "Stage", asked: Asked) -> Watched:
    """Once for the layers that are shown where none is named, and once for each other layer."""
    room, layer = stage.asked_room(asked), asked.text("layer", "")
    few = 400 if room.small else 100
    limit = max(1, min(MOST, asked.whole("limit", 0) or few, len(room.ids)))
    usual = _plan(room, (), limit)
    held = room.held.get(repr(usual))
    if held is not None and layer in held.layers:
        return held
    plan = _plan(room, (layer,), limit) if layer else usual
    if repr(plan) not in room.held:
        found, _ = run_units(plan, room.model, room.source, stage.folder(repr(plan)), stage.job.watch)
        ids = plan.ids(room.source)
        layers = {one.name: one for one in looked(room.model, room.source, ids, found)}
        room.held[repr(plan)] = Watched(plan, layers, Gallery(room.model, room.source, ids))
    return room.held[repr(plan)]


def _plan(room: Room, layers: tuple[str, ...], limit: int) -> Looking:
    return Looking(room.address, room.data, layers, min(KEEP, len(room.ids)), limit=limit, chunk=64)


def units(stage: "Stage", asked: Asked) -> "Answered":
    """Units of a layer with their best patches: those that stand out, or all of them in their order."""
    seen = watched(stage, asked)
    layer, start = seen.layer(asked.text("layer", "")), max(0, asked.whole("start", 0))
    known, room = layer.units, stage.asked_room(asked)
    total = len(known.low)
    some = [*range(total)] if asked.flag("all") else selective(known, SHOWN)
    shown = some[start : start + SHOWN]
    rows, patches = list[dict[str, Any]](), list[torch.Tensor]()
    for c in shown:
        best = seen.gallery.patches(layer, c)
        rows.append({"channel": c, **_brief(layer, c), "patches": _told(best)})
        patches += _framed(layer, best)
    control = seen.gallery.random_patches(layer, KEEP, seen.plan.seed)
    value = {
        "layer": layer.name,
        "layers": list(seen.layers),
        "total": total,
        "listed": len(some),
        "start": start,
        "dead": int(known.dead.sum()),
        "sees": list(layer.field.size),
        "space": list(layer.field.space),
        "images": int(known.images),
        "units": rows,
        **_lines(room, seen.plan, layer),
    }
    return value, {"patches": squares(patches, SMALL), "random": squares(_framed(layer, control), SMALL)}


def _brief(layer: Layer, c: int) -> dict[str, Any]:
    known = layer.units
    return {
        "best": float(known.value[c, 0]),
        "mean": float(known.mean[c]),
        "live": int(known.live[c]),
        "dead": bool(known.dead[c]),
    }


def _told(patches: tuple[Patch, ...]) -> list[dict[str, Any]]:
    return [{"id": p.id, "value": p.value, "label": p.label} for p in patches]


def _framed(layer: Layer, patches: tuple[Patch, ...]) -> list[torch.Tensor]:
    return [in_frame(p.cut, p.box, layer.field.size) for p in patches]


def unit(stage: "Stage", asked: Asked) -> "Answered":
    """One unit: its images with the part it sees, what fired it there, who is like it, and what is without it."""
    seen, room = watched(stage, asked), stage.asked_room(asked)
    layer, c = seen.layer(asked.text("layer", "")), channel(asked, seen)
    found = card(room.model, seen.gallery, layer, c, seen.plan.seed)
    without = found.without
    value = {
        "layer": layer.name,
        "channel": c,
        **_brief(layer, c),
        "images": int(layer.units.images),
        "patches": _told(found.patches),
        "alike": [{"channel": k, "r": r} for k, r in found.alike],
        "without": None
        if without is None
        else {"own": _mean(without.own), "other": _mean(without.other), "rival": without.rival},
        "profile": _profile(room, layer, c),
        "presets": ["Maximise()", *PRESETS],
        **_lines(room, seen.plan, layer, c),
    }
    arrays = {
        "patches": squares(_framed(layer, found.patches), LARGE),
        "images": squares([boxed(p.image, p.box, LARGE) for p in found.patches], LARGE),
        "fired": squares([projected(one) for one in found.projections], LARGE),
    }
    return value, arrays


def channel(asked: Asked, seen: Watched) -> int:
    c, layer = asked.whole("channel", 0), seen.layer(asked.text("layer", ""))
    if not 0 <= c < len(layer.units.low):
        raise InputError(
            f"layer {layer.name!r} has {len(layer.units.low)} channels, there is no {c}",
            f"0 to {len(layer.units.low) - 1}",
        )
    return c


def _mean(m: Mean) -> list[float]:
    return [m.mean, m.low, m.high, m.n]


def _profile(room: Room, layer: Layer, c: int) -> list[dict[str, Any]]:
    """The classes whose images fire it most, by their mean."""
    means = layer.units.profile[c].nan_to_num(-torch.inf)
    order = means.argsort(descending=True, stable=True)[:5].tolist()
    return [
        {"name": room.model.label_name(k), "mean": float(means[k])} for k in order if means[k] > -torch.inf
    ]


def draw_unit(stage: "Stage", asked: Asked) -> "Answered":
    """The image that a unit likes best, made by a search, beside what it is to be compared with."""
    seen, room = watched(stage, asked), stage.asked_room(asked)
    layer, c = seen.layer(asked.text("layer", "")), channel(asked, seen)
    method = synthesis_of(asked.text("method", "Maximise()"))
    method.aim(Neuron("output"))  # one that draws no units is refused before anything is asked
    folder, wanted = stage.folder(repr(seen.plan)), {layer.name: (layer, (c,))}
    stage.job.rest()
    made = drawn_units(seen.plan, room.model, room.source, wanted, method, folder, stage.job.watch)
    found: Drawn = made[layer.name, c]
    numbers = {name: getattr(found, name) for name in ("value", "best", "noise", "times", "label", "sure")}
    numbers |= {"near": found.near, "distance": found.distance, "usual": found.usual, "method": repr(method)}
    flags = f' --draw "{method!r}"'
    lines = _lines(room, seen.plan, layer, c)
    pictures = squares([found.whole, boxed(found.whole, found.box, 224), found.near_image], 224)
    return numbers | lines | {"command": lines["command"] + flags}, {"pictures": pictures}


def _lines(room: Room, plan: Looking, layer: Layer, c: int | None = None) -> dict[str, str]:
    """How to have the same without the page."""
    text = [
        f"plan = {plan!r}",
        'found, errors = run_units(plan, model, data, Path("runs/units/studio"))',
        "ids = plan.ids(data)",
        f"layer = {{one.name: one for one in looked(model, data, ids, found)}}[{layer.name!r}]",
        f"patches = Gallery(model, data, ids).patches(layer, {c or 0})",
    ]
    imports = [
        "from pathlib import Path",
        "from unfool.analysis.units import Gallery, looked",
        "from unfool.runs.units import Looking, run_units",
    ]
    unit = "" if c is None else f" --unit {layer.name}:{c}"
    command = (
        f"unfool inspect units {room.address} {room.data} --limit {plan.limit} --layer {layer.name}{unit}"
    )
    return {"python": over(room, imports, text), "command": command}


ACTS = {"units": units, "unit": unit, "draw_unit": draw_unit}
