"""Films of what a view shows: the change that grows, the frames of a series, the search for what a unit likes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..attacks.noise import RandomNoise
from ..attributions.base import Attribution
from ..errors import InputError
from ..measures.frames import profile_of
from ..show.film import film_of, write_film
from ..show.grid import Panel, panel_row
from ..synthesis.looks import looks_of
from ..synthesis.maximise import Maximise
from ..synthesis.presets import synthesis_of
from ..targets import Neuron
from .asked import Asked
from .look import chances, objective_of
from .touch import Wish, sizes_to, wish
from .units import channel, watched

if TYPE_CHECKING:
    from .stage import Answered, Stage

SIDE, LOOKED = 200, 512


def film_sizes(stage: "Stage", asked: Asked) -> "Answered":
    """The image, what was added and the changed image while the size grows; below, a random change of each size."""
    asks, most = wish(stage, asked), asked.number("most")
    sizes, x = sizes_to(asks, most), asks.batch.x
    many, region, aim = x.expand(len(sizes), *x.shape[1:]), asks.region(tuple(sizes)), asks.aim(len(sizes))
    found = asks.attack(asks.room.model, many, within=region, **aim).x
    aim.pop("starts", None)
    random = RandomNoise()(asks.room.model, many, within=region, **aim).x
    frames = list[Image.Image]()
    for k, size in enumerate(sizes):
        rows = [_row(asks, x[0], name, one[k]) for name, one in (("changed", found), ("at random", random))]
        frames.append(
            _stacked([panel_row([(f"{asks.norm.__name__} {size:.3g}", x[0]), *row], SIDE) for row in rows])
        )
    return _film(stage, f"sizes {asks.id} {asks.attack!r}", frames, 6)


def _row(asks: Wish, x: Tensor, name: str, other: Tensor) -> list[Panel]:
    p = chances(asks.room.model, other[None])[0]
    label, change = int(p.argmax()), other - x
    amount = float(change.abs().max()) or 1.0
    told = f"{name}: {asks.room.model.label_name(label)}, {100 * float(p[label]):.1f} %"
    return [(f"the change, {0.5 / amount:.3g} times as large", 0.5 + 0.5 * change / amount), (told, other)]


def _stacked(rows: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return whole


def film_frames(stage: "Stage", asked: Asked) -> "Answered":
    """A series with the map over it, frame by frame."""
    room, batch = stage.asked_room(asked), stage.asked_room(asked).batch(asked.text("image"))
    if batch.x.ndim != 5:
        raise InputError("one image has no frames", "a film is of a series, of sizes or of a search")
    method = asked.spec("method", Attribution)
    objective = objective_of(room, asked)
    found = method(room.model, batch.x, asked.place("target"), objective=objective, ids=batch.ids)
    name = room.model.label_name(int(found.target[0].flatten()[0]))
    share = profile_of(found.map)[0].tolist()
    frames = film_of(batch.x[0], found.map[0], share, f"{method!r}: {name}", side=SIDE)
    return _film(stage, f"frames {batch.ids[0]} {method!r}", frames, 8)


def film_ascent(stage: "Stage", asked: Asked) -> "Answered":
    """What a search has found after 1, 2, 4, ... of its steps."""
    seen, room = watched(stage, asked), stage.asked_room(asked)
    layer, c = seen.layer(asked.text("layer", "")), channel(asked, seen)
    method = synthesis_of(asked.text("method", "Maximise()"))
    if not isinstance(method, Maximise):
        raise InputError(f"{type(method).__name__} takes no steps that could be shown", "Maximise() does")
    batch = room.source.batch(seen.plan.ids(room.source)[:LOOKED], room.model.view, room.model.classes)
    looks, frames = looks_of(batch.readable().x.split(64)), list[Image.Image]()
    for steps in doubling(method.steps):
        made = replace(method, steps=steps)(
            room.model, [c], start=looks, objective=Neuron(layer.name), seed=seen.plan.seed
        )
        told = f"{layer.name}:{c} after {steps} of {method.steps} steps: {float(made.score[0]):.3g}"
        frames.append(panel_row([(told, made.x[0])], 2 * SIDE))
    return _film(stage, f"ascent {layer.name} {c} {method!r}", [*frames, frames[-1], frames[-1]], 2)


def doubling(n: int) -> list[int]:
    """1, 2, 4, ... and ``n``."""
    return [*(2**k for k in range(n.bit_length()) if 2**k < n), n]


def _film(stage: "Stage", text: str, frames: Sequence[Image.Image], rate: int) -> "Answered":
    path = stage.folder(f"film {text}").with_suffix(".gif")
    write_film(frames, path, rate)
    gif: Any = np.frombuffer(path.read_bytes(), "u1")
    path.unlink()
    return {"frames": len(frames)}, {"gif": gif}


ACTS = {"film_sizes": film_sizes, "film_frames": film_frames, "film_ascent": film_ascent}
