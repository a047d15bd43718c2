"""How often detectors still find what stickers hide, on their own and on each other's."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..detections import told
from ..model import Model
from ..runs.hiding import CLEAN, Hiding, Shown
from ..runs.table import Table
from ..views import from_uint8
from .rates import Rate, rate
from .transfer import short_names

Cells = dict[str, tuple[Rate, ...]]
"""By row one rate for each detector."""


class Seen(NamedTuple):
    """One picture as one detector sees it."""

    image: Tensor
    boxes: Tensor
    scores: Tensor
    labels: Tensor
    found: bool
    """Whether the object is."""
    score: float
    """The best score on it."""


class Scene(NamedTuple):
    """One scene with every kind of sticker, as every detector sees it."""

    id: str
    label: int
    rows: dict[str, tuple[Seen, ...]]


class Hidings(NamedTuple):
    """Everything about stickers on objects."""

    plan: Hiding
    names: tuple[str, ...]
    """The detectors, by short names."""
    classes: tuple[str, ...]
    n: int
    common: int
    """How many objects all detectors find on the scenes as they are."""
    detected: Cells
    """Of all objects, by what lies on them; stickers made on each detector itself."""
    photos: Cells
    """The same in photos of the scenes."""
    hidden: Cells
    """Of the common objects, by the detector that each scene's sticker was made on; both controls."""
    learned_hidden: Cells
    """The same for stickers learned on other scenes."""
    scenes: tuple[Scene, ...]
    stickers: tuple[Tensor, ...]
    """The learned ones: [C, side, side] each."""


WHITE, NOISE, OWN, LEARNED = "white", "random", "adversarial", "learned"


def compare_hiding(found: Shown, models: Sequence[Model], scenes: int) -> Hidings:
    """All rates, and some ``scenes`` of those that all detectors see as they are."""
    plan, tables, n = found.plan, found.tables, len(models)
    common = tables[CLEAN]["seen"].bool().all(1)
    names = short_names(plan.detectors)
    detected, photos = (_detected(tables, column, n) for column in ("seen", "photo_seen"))
    hidden, learned = (_hidden(tables, common, start, plan, names) for start in ("", "learned-"))
    typical = _typical(tables, common, n)[:scenes]
    return Hidings(
        plan,
        tuple(names[a] for a in plan.detectors),
        tuple(models[0].classes),
        len(common),
        int(common.sum()),
        detected,
        photos,
        hidden,
        learned,
        tuple(_scene(tables, models, k) for k in typical),
        tuple(one.picture for one in found.learned),
    )


def kinds(tables: dict[str, Table]) -> dict[str, tuple[str, str]]:
    """By the name of a kind of sticker where its tables are: one for all detectors, or one for each."""
    found = {CLEAN: (CLEAN, ""), NOISE: ("random", ""), WHITE: ("plain", ""), OWN: ("from-", "own")}
    if "learned-0" not in tables:
        return found
    return found | {
        LEARNED: ("learned-", "own"),
        f"{LEARNED}: {NOISE}": ("learned-random", ""),
        f"{LEARNED}: {WHITE}": ("learned-plain", ""),
    }


def _detected(tables: dict[str, Table], column: str, n: int) -> Cells:
    return {
        name: tuple(rate(tables[f"{place}{k}" if own else place][column][:, k].bool()) for k in range(n))
        for name, (place, own) in kinds(tables).items()
    }


def _hidden(
    tables: dict[str, Table], common: Tensor, start: str, plan: Hiding, names: dict[str, str]
) -> Cells:
    """Rows are the sources, then both controls."""
    way = start or "from-"
    sources = {f"{way}{k}": names[a] for k, a in enumerate(plan.detectors)}
    places = sources | {f"{start}random": NOISE, f"{start}plain": WHITE}
    return {
        name: tuple(rate(~flags) for flags in tables[place]["seen"].bool()[common].T)
        for place, name in places.items()
        if place in tables
    }


def _typical(tables: dict[str, Table], common: Tensor, n: int) -> list[int]:
    """Rows of scenes, first those in which as many detectors lose the object as in the median one."""
    own = torch.stack([~tables[f"from-{k}"]["seen"].bool()[:, k] for k in range(n)], 1).sum(1)
    rows = common.nonzero()[:, 0]
    if not len(rows):
        return []
    far = (own[rows] - own[rows].median()).abs()
    return rows[far.argsort(stable=True)].tolist()


def _scene(tables: dict[str, Table], models: Sequence[Model], k: int) -> Scene:
    clean = tables[CLEAN]
    shown = {name: at for name, at in kinds(tables).items() if ":" not in name}
    rows = {
        name: tuple(
            _seen(tables[f"{place}{d}" if own else place], model, k, d) for d, model in enumerate(models)
        )
        for name, (place, own) in shown.items()
    }
    return Scene(clean.ids[k], int(clean["victim"][k, 4]), rows)


def _seen(table: Table, model: Model, k: int, d: int) -> Seen:
    image = from_uint8(table["image"][k])
    boxes, scores, labels = told(model, image[None])[0]
    return Seen(image, boxes, scores, labels, bool(table["seen"][k, d]), float(table["score"][k, d]))
