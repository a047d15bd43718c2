"""What alarms tell of images made to fool, of harmless ones, and of those made to get past them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..defences.alarm import Alarm
from ..defences.saliency import Maps, SaliencyAlarm
from ..model import Model
from ..objectives import label_of
from ..runs.detect import ALL, CLEAN, SMALL, Detected, Detection
from ..views import from_uint8
from .bootstrap import difference
from .discrimination import auc
from .rates import Mean, Rate, rate

POINTS = 200
"""Of a curve, at most."""


class Told(NamedTuple):
    """How many images that fooled the network are called suspicious, and how well scores tell them from others."""

    found: Rate
    auroc: Mean


class Evasion(NamedTuple):
    """Of the images that the network has right, how many fool it and are not called suspicious."""

    adaptive: Rate
    plain: Rate
    noise: Rate
    alone: Rate
    """How many the plain attack fools where there is no alarm."""


class Curve(NamedTuple):
    """The share of suspicious images among harmless ones (x) and others (y), at every threshold."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Listener(NamedTuple):
    """All about one alarm."""

    name: str
    alarm: Alarm
    passage: str
    threshold: float
    flagged: dict[str, Rate]
    """How many harmless images are called suspicious, by what was done to them."""
    known: tuple[Told, ...]
    """Of each attack, where it was among those learned from."""
    unknown: tuple[Told, ...]
    """Where it was not."""
    sizes: dict[str, dict[float, Told]]
    """By lesson and size of change."""
    evasion: dict[float, Evasion]
    plain: Curve
    adaptive: Curve


class Gain(NamedTuple):
    """How many more images made by an attack are found by one alarm than by another, the attack being new to both."""

    name: str
    attack: str
    points: Mean


class Case(NamedTuple):
    """One image: unchanged, attacked, attacked past the alarm; the map of each, what it is taken for, its score."""

    id: str
    alarm: str
    threshold: float
    images: Tensor
    maps: Tensor
    labels: tuple[int, ...]
    scores: tuple[float, ...]


class Study(NamedTuple):
    """Everything about some alarms of one network."""

    plan: Detection
    size: float
    """That of the region."""
    n: int
    right: int
    learned: int
    held: int
    classes: tuple[str, ...]
    listeners: tuple[Listener, ...]
    gains: tuple[Gain, ...]
    case: Case | None


def study(found: Detected, model: Model) -> Study:
    plan = found.plan
    size = _main(plan)
    listeners = tuple(_listener(found, k, size) for k in range(len(plan.alarms)))
    n, right = len(found.ids), int(found.made[CLEAN]["right"].sum())
    gains, case = _gains(found), _case(found, model, size)
    return Study(
        plan, size, n, right, found.learned, found.held, tuple(model.classes), listeners, gains, case
    )


def _main(plan: Detection) -> float:
    """The size nearest to that of the region."""
    eps = plan.within.radius
    assert isinstance(eps, float)
    return min(plan.sizes, key=lambda size: abs(size - eps))


def called(alarm: Alarm) -> str:
    """An alarm as people call it."""
    if not isinstance(alarm, SaliencyAlarm):
        return type(alarm).__name__.removesuffix("Alarm")
    own = "" if alarm.attribution == SaliencyAlarm().attribution else f" ({alarm.attribution!r})"
    return {"image": "image alone", "saliency": f"saliency alone{own}", "both": f"image and saliency{own}"}[
        alarm.sees
    ]


def _listener(found: Detected, k: int, size: float) -> Listener:
    plan, alarm = found.plan, found.plan.alarms[k]
    lessons = [ALL] if alarm.harmless_alone else [ALL, SMALL]
    usual, past = _usual(found, ALL, k), found.adaptive[k, size]
    return Listener(
        called(alarm),
        alarm,
        found.passages[k],
        found.thresholds[ALL, k],
        {kind: rate(_flags(found, ALL, k, kind)[found.made[kind].readable]) for kind in harmless_kinds(plan)},
        tuple(_told(found, ALL, k, f"attack-{j}") for j in range(len(plan.attacks))),
        tuple(_told(found, _unseen(alarm, j, found), k, f"attack-{j}") for j in range(len(plan.attacks))),
        {s: {e: _told(found, s, k, f"size-{e:g}") for e in plan.sizes} for s in lessons},
        {e: _evasion(found, k, e) for e in plan.sizes},
        _curve(usual, _fooling(found, ALL, k, f"size-{size:g}")),
        _curve(usual, past["score"][past["fooled"].bool()]),
    )


def harmless_kinds(plan: Detection) -> list[str]:
    changes = [f"harmless-{j}" for j in range(len(plan.harmless))]
    return [CLEAN, *(f"noise-{e:g}" for e in plan.sizes), *changes]


def _unseen(alarm: Alarm, j: int, found: Detected) -> str:
    """The lesson in which an attack was left out; what learns from harmless images alone knows none."""
    return ALL if alarm.harmless_alone or len(found.plan.attacks) < 2 else f"without-{j}"


def _flags(found: Detected, lesson: str, k: int, kind: str) -> Tensor:
    return found.scores[lesson, k][kind] > found.thresholds[lesson, k]


def _usual(found: Detected, lesson: str, k: int) -> Tensor:
    """The scores of images as they are."""
    return found.scores[lesson, k][CLEAN][found.made[CLEAN].readable]


def _fooling(found: Detected, lesson: str, k: int, kind: str) -> Tensor:
    """The scores of images that fooled the network."""
    return found.scores[lesson, k][kind][found.made[kind]["fooled"].bool()]


def _told(found: Detected, lesson: str, k: int, kind: str) -> Told:
    fooled, usual = _fooling(found, lesson, k, kind), _usual(found, lesson, k)
    both = torch.cat([usual, fooled])
    return Told(rate(fooled > found.thresholds[lesson, k]), auc(both, torch.arange(len(both)) >= len(usual)))


def _evasion(found: Detected, k: int, size: float) -> Evasion:
    right = found.made[CLEAN]["right"].bool()

    def quiet(kind: str) -> Rate:
        return rate((found.made[kind]["fooled"].bool() & ~_flags(found, ALL, k, kind))[right])

    alone = rate(found.made[f"size-{size:g}"]["fooled"].bool()[right])
    adaptive = rate(found.adaptive[k, size]["past"].bool())
    return Evasion(adaptive, quiet(f"size-{size:g}"), quiet(f"noise-{size:g}"), alone)


def _curve(usual: Tensor, strange: Tensor) -> Curve:
    if not len(strange):
        return Curve((), ())
    at = torch.cat([usual, strange]).unique().flip(0)
    at = at[torch.linspace(0, len(at) - 1, min(POINTS, len(at))).long()]
    shares = [(t[:, None] >= at).double().mean(0).tolist() for t in (usual, strange)]
    return Curve((0.0, *shares[0], 1.0), (0.0, *shares[1], 1.0))


def _gains(found: Detected) -> tuple[Gain, ...]:
    """What seeing the map adds to seeing the image, of the same images, for each attack that was not learned from."""
    plan = found.plan
    sees = {k: a.sees for k, a in enumerate(plan.alarms) if isinstance(a, SaliencyAlarm)}
    image = next((k for k, what in sees.items() if what == "image"), None)
    if image is None:
        return ()
    gains: list[Gain] = []
    for k, what in sees.items():
        for j, attack in enumerate(plan.attacks) if what != "image" else ():
            lesson, kind = _unseen(plan.alarms[k], j, found), f"attack-{j}"
            fooled = found.made[kind]["fooled"].bool()
            with_map, without = (_flags(found, lesson, i, kind)[fooled].double() for i in (k, image))
            gains.append(
                Gain(called(plan.alarms[k]), repr(attack), difference(with_map, without, seed=plan.seed))
            )
    return tuple(gains)


def _case(found: Detected, model: Model, size: float) -> Case | None:
    """The first image that is found as attacked and gets past the last alarm that sees maps as attacked anew."""
    plan = found.plan
    seen = [k for k, a in enumerate(plan.alarms) if isinstance(a, SaliencyAlarm) and a.sees != "image"]
    if not seen:
        return None
    k, kind = seen[-1], f"size-{size:g}"
    table, places = found.adaptive[k, size], {i: j for j, i in enumerate(found.made[CLEAN].ids)}
    rows = torch.tensor([places[i] for i in table.ids])
    loud = (found.made[kind]["fooled"].bool() & _flags(found, ALL, k, kind))[rows]
    good = (table["past"].bool() & loud).nonzero()[:, 0].tolist()
    if not good or table["changed"].ndim != 4:
        return None
    j, row = good[0], int(rows[good[0]])
    shown = [found.made[CLEAN]["original"][row], found.made[kind]["changed"][row], table["changed"][j]]
    x = from_uint8(torch.stack(shown))
    scores = [found.scores[ALL, k][CLEAN][row], found.scores[ALL, k][kind][row], table["score"][j]]
    alarm = plan.alarms[k]
    assert isinstance(alarm, SaliencyAlarm)
    return _looked(table.ids[j], alarm, found.thresholds[ALL, k], x, scores, model)


def _looked(
    id: str, alarm: SaliencyAlarm, threshold: float, x: Tensor, scores: Sequence[Tensor], model: Model
) -> Case:
    with model.settled():
        label = label_of(model(x))
        maps = Maps(alarm.attribution, model)(x.to(model.device), label).cpu()
    return Case(id, called(alarm), threshold, x, maps, tuple(label.tolist()), tuple(map(float, scores)))
