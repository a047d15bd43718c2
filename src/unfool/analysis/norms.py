"""The same images attacked within several norms: how often it works, and how large each change is in every norm."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..attacks.base import NORMS
from ..regions import Region
from ..rows import Batch
from ..runs.inspect import Norms, Tables
from ..runs.table import Table
from ..views import from_uint8
from .rates import Rate, rate


class Budget(NamedTuple):
    """One region: how often the attack and random changes of equal size succeed within it."""

    region: Region
    success: Rate
    saved: Rate  # as 8-bit files
    random: Rate
    sizes: dict[str, float]  # median over the changes that succeeded, by norm
    attack: Table
    noise: Table


class Panel(NamedTuple):
    """One changed image, and what the model says of it as an 8-bit file."""

    image: Tensor
    change: Tensor
    label: int
    confidence: float
    sizes: dict[str, float]


class Case(NamedTuple):
    """One image under every region: attack and control."""

    id: str
    image: Tensor
    y: int
    confidence: float
    attacked: tuple[Panel, ...]
    random: tuple[Panel, ...]


class Compared(NamedTuple):
    """Everything about norms."""

    plan: Norms
    classes: tuple[str, ...]
    n: int
    right: Rate
    budgets: tuple[Budget, ...]
    cases: tuple[Case, ...]


def compare(plan: Norms, tables: Tables, classes: tuple[str, ...], shown: Batch) -> Compared:
    """``shown`` are the images to draw; each row's id is one of the attacked."""
    budgets = tuple(
        _budget(region, tables[f"attack-{k}"], tables[f"random-{k}"]) for k, region in enumerate(plan.regions)
    )
    cases = tuple(_case(tables["predict"], budgets, shown, k) for k in range(len(shown)))
    correct = tables["predict"]["correct"][tables["predict"].readable].bool()
    return Compared(plan, classes, len(budgets[0].attack), rate(correct), budgets, cases)


NAMES = {norm.__name__.lower(): norm.__name__ for norm in NORMS}


def _budget(region: Region, attack: Table, noise: Table) -> Budget:
    done = attack["success"].bool()
    sizes = {
        told: float(attack[name][done].double().median()) if done.any() else float("nan")
        for name, told in NAMES.items()
    }
    return Budget(
        region,
        rate(done),
        rate(attack["success_saved"].bool()),
        rate(noise["success"].bool()),
        sizes,
        attack,
        noise,
    )


def telling(tables: Tables, count: int, regions: int) -> list[str]:
    """The first images that every region's attack flips; where there are too few, others follow."""
    ids = tables["attack-0"].ids
    all_flip = torch.stack([tables[f"attack-{k}"]["success_saved"].bool() for k in range(regions)]).all(0)
    first = [i for i, flag in zip(ids, all_flip.tolist(), strict=True) if flag]
    return (first + [i for i in ids if i not in first])[:count]


def _case(predict: Table, budgets: tuple[Budget, ...], shown: Batch, k: int) -> Case:
    id, image = shown.ids[k], shown.x[k]
    before = float(predict["confidence"][predict.ids.index(id)])
    attacked = tuple(_panel(b.attack, id, image) for b in budgets)
    noisy = tuple(_panel(b.noise, id, image) for b in budgets)
    return Case(id, image, int(shown.y[k]), before, attacked, noisy)


def _panel(table: Table, id: str, image: Tensor) -> Panel:
    row = table.ids.index(id)
    found = from_uint8(table["adversarial"][row])
    sizes = {told: float(table[name][row]) for name, told in NAMES.items()}
    return Panel(found, found - image, int(table["label_saved"][row]), float(table["confidence"][row]), sizes)
