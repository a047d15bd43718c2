"""A run that turns images into vectors at several layers, to see how well a linear model reads the classes there."""

from pathlib import Path
from typing import NamedTuple

from ..data.base import Source
from ..measures.embed import Embed, EmbedPixels, looked_into
from ..method import Method
from ..model import Model
from ..spec import Count, Natural, Spec
from .begin import Watch, chosen, claim, first_image, unwatched
from .neighbours import RANDOM, Embedder, Space


class Probe(Spec):
    """Which layers are read by linear models, from how many labels."""

    model: str
    data: str
    training: str = ""
    """Where the probes learn; by default from one half of the data, and the other half judges."""
    layers: tuple[str, ...] = ()
    """By default a few all through the network."""
    shots: tuple[Count, ...] = (1, 5, 20)
    """Numbers of labels per class."""
    draws: Count = 10
    """How often the labels are drawn anew."""
    moved: Count = 100
    """How many images are moved and turned."""
    sample: Count = 2000
    """How many images at most of either data."""
    seed: Natural = 0


MOST_LAYERS = 5
LAYER = f"{RANDOM}, layer"


class Embeddings(NamedTuple):
    """What the probes learn from, what judges them (None: a half of the same), and the names of the layers."""

    learn: Space
    judge: Space | None
    layers: tuple[str, ...]


def run_probe(
    plan: Probe, model: Model, source: Source, training: Source | None, folder: Path, watch: Watch = unwatched
) -> Embeddings:
    """Every image in pixels, features, features of random weights and at each layer."""
    looked_into(model)
    ids = chosen(source.ids(), plan.sample, plan.seed)
    layers = plan.layers or some_layers(model, source, ids)
    for name in layers:
        model.layer(name)
    claim(folder, repr(plan), model)
    methods: dict[str, Method] = {"pixels": EmbedPixels(), RANDOM: Embed(), "features": Embed()}
    for kind in ("layer", LAYER):
        methods |= {f"{kind} {name}": Embed(name) for name in layers}
    embedder = Embedder(plan.model, model, plan.seed, folder, watch)
    own = embedder.space(plan.data, source, ids, methods)
    if training is None:
        return Embeddings(own, None, layers)
    some = chosen(training.ids(), plan.sample, plan.seed)
    return Embeddings(embedder.space(plan.training, training, some, methods, "training "), own, layers)


def some_layers(model: Model, source: Source, ids: tuple[str, ...]) -> tuple[str, ...]:
    """A few of those with positions, evenly through the network, in the order in which it runs."""
    first = first_image(source, ids, model.view, model)
    names = [name for name in model.spatial_layers(first[None]) if not list(model.layer(name).children())]
    steps = min(MOST_LAYERS, len(names))
    places = [round(k * (len(names) - 1) / max(1, steps - 1)) for k in range(steps)]
    return tuple(names[k] for k in dict.fromkeys(places))
