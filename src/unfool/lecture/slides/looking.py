"""The units of one layer of the digits' network over some images, which several slides show."""

from typing import NamedTuple

from ...analysis.units import Gallery, Layer, looked
from ...model import Model
from ...runs.units import Looking, run_units
from ..kit import Kit

DIGITS = "unfool:digits"


class Looked(NamedTuple):
    """The network, the run, what it found of the layer, and the images it is shown by."""

    model: Model
    plan: Looking
    layer: Layer
    gallery: Gallery


def looked_at(kit: Kit, layer: str, images: int) -> Looked:
    model, source = kit.model(DIGITS), kit.source(DIGITS)
    plan = Looking(DIGITS, DIGITS, (layer,), limit=kit.few(images))
    found, _ = kit.ran(plan, lambda at: run_units(plan, model, source, at))
    ids = plan.ids(source)
    (one,) = looked(model, source, ids, found)
    return Looked(model, plan, one, Gallery(model, source, ids))
