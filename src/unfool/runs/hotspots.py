"""A run that explains images by several methods, to see where their hot spots are."""

from pathlib import Path
from typing import NamedTuple

from ..attributions.base import Attribution
from ..attributions.cam import GradCAM
from ..attributions.gradient import Gradient
from ..attributions.occlusion import Occlusion
from ..data.base import Source
from ..errors import InputError
from ..measures.predict import Predict
from ..method import Method
from ..model import Model
from ..spec import Count, Natural, Spec
from .begin import Watch, chosen, claim, unwatched
from .recipe import Recipe
from .shortcuts import run_maps
from .table import Table


class Hotspots(Spec):
    """Which images are explained by which methods, to see whether false positives come from an artefact."""

    model: str
    data: str
    target: Natural = 1
    """The finding: images of another class that are taken for it are the false positives."""
    methods: tuple[Attribution, ...] = (Occlusion(), Gradient(), GradCAM())
    tolerance: Natural = 2
    """So many pixels beside the artefact still count as on it."""
    sample: Count = 1000
    """How many images at most, drawn by the seed."""
    images: Count = 3
    """How many false positives are shown."""
    seed: Natural = 0


class Found(NamedTuple):
    """What the model says of all images, and each method's maps of those that are explained."""

    said: Table
    maps: list[Table]


MOST = 200
"""So many false positives are explained at most, and a tenth as many true ones."""


def run_hotspots(
    plan: Hotspots, model: Model, source: Source, folder: Path, watch: Watch = unwatched
) -> Found:
    """The answers, and of the surest false positives and a few true ones each method's map for the finding."""
    claim(folder, repr(plan), model)
    ids = chosen(source.ids(), plan.sample, plan.seed)

    def recipe(method: Method, n: int) -> Recipe:
        return Recipe(method, plan.model, plan.data, target=plan.target, limit=n, seed=plan.seed)

    said = run_maps("answers", recipe(Predict(), len(ids)), ids, model, source, folder, watch)
    taken = said.readable & (said["label"] == plan.target)
    order = said["confidence"].argsort(descending=True, stable=True)
    false, true = (
        [
            said.ids[k]
            for k in order.tolist()
            if taken[k] and said["y"][k] >= 0 and (said["y"][k] == plan.target) == kind
        ]
        for kind in (False, True)
    )
    if not false:
        raise InputError(
            f"the model takes no image wrongly for {model.label_name(plan.target)}",
            "more images, or another --target",
        )
    some = [*false[:MOST], *true[: MOST // 10]]
    names = [f"{type(method).__name__.lower()}-{k + 1}" for k, method in enumerate(plan.methods)]
    maps = [
        run_maps(name, recipe(method, len(some)), some, model, source, folder, watch)
        for name, method in zip(names, plan.methods, strict=True)
    ]
    return Found(said, maps)
