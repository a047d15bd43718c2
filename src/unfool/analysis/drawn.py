"""What units like best, drawn, and what that is to be compared with: real images and plain noise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.base import Source
from ..measures.spots import layer_maps
from ..model import Model
from ..rows import Batch
from ..runs.begin import Watch, unwatched
from ..runs.units import Looking, draw_units
from ..synthesis.base import Synthesis
from ..synthesis.looks import looks_of
from ..views import from_uint8
from .fooling import nearest, usual_distance
from .liked import noise_like
from .units import Layer

REAL, NOISE = 512, 200
"""With so many real pictures, and so many of noise, drawn ones are compared."""


class Drawn(NamedTuple):
    """The picture in which a unit has its largest value at the middle of the layer, as an 8-bit file holds it."""

    whole: Tensor
    """[C, *space]"""
    box: tuple[slice, ...]
    """The part of it that the middle of the layer sees."""
    value: float
    best: float
    """Its largest value in the data, at any position."""
    noise: float
    """The same in images of noise."""
    label: str
    """What the network takes the picture for, and how surely."""
    sure: float
    near: str
    """The real image nearest to it in L2, how far that is, and how far real ones are from theirs (median)."""
    near_image: Tensor
    distance: float
    usual: float

    @property
    def seen(self) -> Tensor:
        return self.whole[(slice(None), *self.box)]

    @property
    def times(self) -> float | None:
        """How many times the best real value; None of a dead unit, where there is nothing to divide by."""
        return self.value / self.best if self.best > 0 else None


def drawn_units(
    plan: Looking,
    model: Model,
    source: Source,
    wanted: Mapping[str, tuple[Layer, Sequence[int]]],
    method: Synthesis,
    folder: Path,
    watch: Watch = unwatched,
) -> dict[tuple[str, int], Drawn]:
    """A picture for each channel wanted of each layer; all of a layer together."""
    ids = plan.ids(source)[:REAL]
    batch = source.batch(ids, model.view, model.classes).readable()
    looks, usual = looks_of(batch.x.split(64)), usual_distance(batch.x)
    found = dict[tuple[str, int], Drawn]()
    for name, (layer, channels) in wanted.items():
        table = draw_units(plan, model, name, channels, method, looks, folder, watch)
        noise = _of_noise(model, batch.x[:1], name, plan.seed)
        x = from_uint8(table["x"])
        near = nearest(x, batch.x)
        for k, c in enumerate(channels):
            found[name, c] = Drawn(
                x[k],
                layer.field.at([side // 2 for side in layer.field.sides]),
                float(table["value"][k]),
                float(layer.units.value[c, 0]),
                float(noise[c]),
                model.label_name(int(table["label"][k])),
                float(table["confidence"][k]),
                *_near(batch, int(near.which[k])),
                float(near.distance[k]),
                usual,
            )
    return found


def _near(batch: Batch, k: int) -> tuple[str, Tensor]:
    return batch.ids[k], batch.x[k]


def _of_noise(model: Model, like: Tensor, layer: str, seed: int) -> Tensor:
    """Each channel's largest value in any image of noise: [C]."""
    images = noise_like(like, NOISE, seed, model.capacity)
    return torch.stack([layer_maps(model, x, layer).flatten(2).amax((0, 2)) for x in images]).amax(0)
