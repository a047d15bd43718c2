"""Which class's trigger is too small to be chance, and how often that is so of networks whose truth is known."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..attacks.learned import Learned
from ..data.address import split_address
from ..runs.backdoor import Scanned
from ..samples import stamp
from .rates import Rate, rate

NORMAL = 1.4826
"""The standard deviation of normal numbers in units of their median distance from the median."""


class Scan(NamedTuple):
    """The triggers of one network's classes."""

    address: str
    sizes: Tensor
    """How many pixels each class's trigger covers in all: [K]."""
    works: Tensor
    """Whether it turned as many images as it should: [K] bool."""
    anomaly: Tensor
    """How many standard deviations each size is from the median, by the median distance: [K]."""
    suspects: tuple[int, ...]
    """The classes that need much less than the others, the smallest first."""
    smallest: int
    """The class that needs least."""
    truth: int | None
    """The class of the planted backdoor, where the address says one."""
    near: bool | None
    """Whether the middle of that class's trigger lies in the planted one's place, a pixel to spare."""


class Class(NamedTuple):
    """One class of the network in question."""

    label: int
    size: float
    anomaly: float
    works: bool
    turned: Rate
    """How many images, of other classes and not seen before, the trigger turns to it."""
    random: Rate
    """How many noise in the same place turns."""
    box: tuple[int, int, int, int]
    """Top, left, bottom and right of where it covers at least half of its most."""
    picture: Tensor


class Told(NamedTuple):
    """Everything about one scan."""

    scanned: Scanned
    own: Scan
    classes: tuple[Class, ...]
    clean: tuple[Scan, ...]
    planted: tuple[Scan, ...]
    false: Rate
    """How many clean networks have a suspect."""
    hit: Rate
    """How many planted backdoors are the first suspect."""
    place: Rate
    """How many of all planted ones are where the smallest trigger of that class is."""


def told(found: Scanned) -> Told:
    plan = found.plan
    scans = {address: _scan(found, address) for address in found.found}
    own = scans[plan.model]
    clean, planted = ([scans[a] for a in some] for some in (plan.clean, plan.planted))
    return Told(
        found,
        own,
        tuple(_class(found, own, k) for k in range(len(found.classes))),
        tuple(clean),
        tuple(planted),
        rate(torch.tensor([bool(s.suspects) for s in clean], dtype=torch.bool)),
        rate(torch.tensor([s.suspects[:1] == (s.truth,) for s in planted], dtype=torch.bool)),
        rate(torch.tensor([bool(s.near) for s in planted], dtype=torch.bool)),
    )


def anomalies(sizes: Tensor) -> Tensor:
    """Distances from the median in units of the median distance, as of normal numbers: [K]."""
    apart = (sizes - sizes.median()).abs()
    return apart / (NORMAL * apart.median()).clamp_min(1e-12)


def _scan(found: Scanned, address: str) -> Scan:
    triggers, aim = found.found[address], found.plan.trigger.aim
    sizes = torch.stack([t.tensors["cover"].sum() for t in triggers]).double()
    works = torch.stack([t.tensors["hits"] for t in triggers]) >= aim
    anomaly = anomalies(sizes)
    small = (anomaly > found.plan.index) & (sizes < sizes.median()) & works
    order = sizes.argsort().tolist()
    truth = _truth(address)
    near = (
        None if truth is None or truth not in found.classes else _near(triggers[found.classes.index(truth)])
    )
    suspects = tuple(found.classes[k] for k in order if small[k])
    return Scan(address, sizes, works, anomaly, suspects, found.classes[order[0]], truth, near)


def _truth(address: str) -> int | None:
    place, options = split_address(address)
    return int(options["backdoor"]) if place.startswith("unfool:") and "backdoor" in options else None


def _near(trigger: Learned) -> bool:
    cover = trigger.tensors["cover"][0, 0]
    marked = stamp(torch.zeros(1, 1, *cover.shape))[0, 0] > 0
    top, left, bottom, right = _box(marked.to(cover))
    down, across = (
        float((cover.sum(1 - axis) * torch.arange(cover.shape[axis])).sum() / cover.sum()) for axis in (0, 1)
    )
    return top - 1 <= down <= bottom and left - 1 <= across <= right


def _class(found: Scanned, own: Scan, k: int) -> Class:
    label, trigger = found.classes[k], found.found[own.address][k]
    turned, random = (_turned(found, name, label) for name in ("trigger", "random"))
    return Class(
        label,
        float(own.sizes[k]),
        float(own.anomaly[k]),
        bool(own.works[k]),
        turned,
        random,
        _box(trigger.tensors["cover"][0, 0]),
        trigger.picture,
    )


def _turned(found: Scanned, name: str, label: int) -> Rate:
    table = found.tables[f"{name}-{label}"]
    return rate(table["success_saved"].bool()[table.fair])


def _box(cover: Tensor) -> tuple[int, int, int, int]:
    """Top, left, bottom and right, the last two behind it, of where there is at least half of the most."""
    there = cover >= 0.5 * cover.max()
    rows, columns = there.any(1).nonzero()[:, 0], there.any(0).nonzero()[:, 0]
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def spread_of(sizes: Tensor) -> tuple[float, float]:
    """The median of sizes, and their standard deviation by the median distance from it."""
    middle = sizes.median()
    return float(middle), float(NORMAL * (sizes - middle).abs().median())


def indices(scans: Sequence[Scan]) -> list[float]:
    """Of each network the index of the class that needs least."""
    return [float(s.anomaly[int(s.sizes.argmin())]) for s in scans]
