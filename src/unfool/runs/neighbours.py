"""A run that turns images into vectors, to look for neighbours among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..data.base import Source
from ..data.labels import label_numbers
from ..errors import InputError
from ..measures.embed import Embed, EmbedPixels, looked_into
from ..measures.sanity import redrawn
from ..method import Method
from ..model import Model
from ..spec import Count, Fraction, Natural, Spec
from .begin import Watch, chosen, claim, unwatched
from .recipe import Recipe
from .shortcuts import run_maps
from .table import Table

RANDOM = "random weights"
"""The space of the same network with its weights drawn anew: the control."""


class Neighbours(Spec):
    """Whose nearest images are looked for among which."""

    model: str
    data: str
    training: str = ""
    """Where neighbours are looked for; by default among the data themselves."""
    layer: str = ""
    """By default what the last linear layer is given."""
    k: Count = 6
    metric: Literal["l2", "cosine"] = "l2"
    near: Fraction = 0.1
    """Two images this share of the median distance of two random ones apart, or less, are suspected of being one."""
    ids: tuple[str, ...] = ()
    """Whose neighbours are shown; by default a few of different classes."""
    images: Count = 5
    """How many are shown."""
    sample: Count = 2000
    """How many images at most of the data, and of those for training."""
    seed: Natural = 0


class Space(NamedTuple):
    """Some images of one source as vectors, in several spaces."""

    ids: tuple[str, ...]
    y: Tensor
    """Labels, -1 where unknown: [N]."""
    vectors: Mapping[str, Tensor]
    """[N, D] by the name of the space: the layer's, that of pixels, that of random weights."""
    digest: Tensor
    """Equal where the pixels are: [N]."""

    def only(self, keep: Tensor) -> "Space":
        """Some of the images."""
        where = torch.arange(len(self.ids))[keep].tolist()
        vectors = {name: t[keep] for name, t in self.vectors.items()}
        return Space(tuple(self.ids[i] for i in where), self.y[keep], vectors, self.digest[keep])


class Embedder:
    """Turns samples into vectors by several methods, each a run of its own in ``folder/parts``."""

    def __init__(self, address: str, model: Model, seed: int, folder: Path, watch: Watch = unwatched):
        self.address, self.model, self.seed, self.folder, self.watch = address, model, seed, folder, watch
        self.empty = redrawn(model, seed) if model.access == "gradients" else model

    def space(
        self, place: str, source: Source, ids: Sequence[str], methods: Mapping[str, Method], tag: str = ""
    ) -> Space:
        """The readable ones of some samples in every space; that of random weights is asked of such a network."""
        tables = {
            name: self.table(f"{tag}{name}".replace(" ", "-"), place, source, ids, name, method)
            for name, method in methods.items()
        }
        good = torch.stack([table.readable for table in tables.values()]).all(0)
        known = model_names(self.model, source)
        y = label_numbers(ids, [source.label(i) for i in ids], known, {})
        vectors = {name: table["embedding"] for name, table in tables.items()}
        return Space(tuple(ids), y, vectors, tables["pixels"]["digest"]).only(good)

    def table(
        self, name: str, place: str, source: Source, ids: Sequence[str], space: str, method: Method
    ) -> Table:
        model = self.empty if space.startswith(RANDOM) else self.model
        who = f"{self.address}, {RANDOM}" if model is self.empty else self.address
        recipe = Recipe(method, who, place, limit=len(ids), seed=self.seed)
        return run_maps(name, recipe, ids, model, source, self.folder, self.watch)


def model_names(model: Model, source: Source) -> tuple[str, ...]:
    """The names of classes as the network has them, or else the data."""
    return model.classes or source.label_names()


def run_neighbours(
    plan: Neighbours,
    model: Model,
    source: Source,
    training: Source | None,
    folder: Path,
    watch: Watch = unwatched,
) -> tuple[Space, Space | None]:
    """The data in all three spaces, and the training data where there are some."""
    if unknown := [i for i in plan.ids if i not in source.ids()]:
        raise InputError(f"{plan.data} has no sample {unknown[0]!r}", f"such as {source.ids()[0]!r}")
    methods = {"features": Embed(plan.layer), "pixels": EmbedPixels(), RANDOM: Embed(plan.layer)}
    some = chosen(source.ids(), plan.sample, plan.seed)
    ids = (*plan.ids, *(i for i in some if i not in plan.ids))
    others = () if training is None else chosen(training.ids(), plan.sample, plan.seed)
    enough(ids if training is None else others, plan.k + (training is None))
    looked_into(model)
    claim(folder, repr(plan), model)
    embedder = Embedder(plan.model, model, plan.seed, folder, watch)
    own = embedder.space(plan.data, source, ids, methods)
    if training is None:
        enough(own.ids, plan.k + 1)
        return own, None
    other = embedder.space(plan.training, training, others, methods, "training ")
    enough(other.ids, plan.k)
    return own, other


def enough(ids: Sequence[str], n: int) -> None:
    """Raise where there are fewer images than are asked for."""
    if len(ids) < n:
        raise InputError(
            f"{len(ids)} images are fewer than the {n} that are needed", "more images, or a smaller --k"
        )
