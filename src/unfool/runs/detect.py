"""Alarms that tell images made to fool from others: what they learn from, what they are asked, who gets past them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..attacks.boundary import DeepFool
from ..attacks.gradient import FGSM, PGD
from ..attacks.learned import read_fit
from ..attacks.noise import RandomNoise
from ..data.base import Source
from ..defences.alarm import Alarm, guarded, suspicion
from ..defences.baselines import MahalanobisAlarm, NeighbourAlarm, SqueezeAlarm
from ..defences.evasion import Unnoticed
from ..defences.saliency import SaliencyAlarm
from ..errors import DataError, InputError
from ..method import Columns
from ..model import Model
from ..query import Query
from ..regions import Linf, Region
from ..rows import Batch, Rng, column
from ..spec import Count, Fraction, Natural, Positive, Spec
from ..transforms import Brightness, Noise, Rotate, Shift, Transform
from ..views import from_uint8, to_uint8
from .begin import Watch, at_once, chosen, claim, first_image, ids_where, unwatched
from .fit import Learning, run_fit
from .pairs import Pairs, as_files, changed
from .table import Table, read_table
from .work import Part, work

ALL, SMALL = "all", "small"
CLEAN = "clean"
Maker = Callable[[Batch], Tensor]
"""Images in [0, 1] made of a batch's."""


class Detection(Spec):
    """Which alarms learn from what, are asked about what, and are attacked how."""

    model: str
    data: str
    training: str = ""
    """Images to learn from; by default those of the data that nothing is judged on."""
    alarms: tuple[Alarm, ...] = (
        SaliencyAlarm(sees="image"),
        SaliencyAlarm(sees="saliency"),
        SaliencyAlarm(sees="both"),
        SqueezeAlarm(),
        MahalanobisAlarm(),
        NeighbourAlarm(),
    )
    attacks: tuple[Attack, ...] = (PGD(steps=40), FGSM(), DeepFool())
    """Each is left out once; the first is tried at every size."""
    adaptive: tuple[Attack, ...] = (PGD(steps=40, random_start=False, momentum=0.75),)
    """Through network and alarm together; the first that gets past counts."""
    within: Region = Linf(0.2)
    sizes: tuple[Positive, ...] = (0.05, 0.1, 0.2, 0.3)
    harmless: tuple[Transform, ...] = (Noise(0.05), Brightness(0.2), Shift(0.06), Rotate(8.0))
    """Changes that nobody means to fool with."""
    noisy: bool = False
    """Whether alarms are taught that random changes within the region are harmless."""
    false: Fraction = 0.05
    """The share of unchanged images that may be called suspicious."""
    sample: Count = 2000
    """How many images at most are learned from and calibrated on."""
    limit: Count = 500
    """How many images at most are judged on."""
    seed: Natural = 0


class Detected(NamedTuple):
    """The tables of a finished run."""

    plan: Detection
    ids: tuple[str, ...]
    """The images that are judged on."""
    made: dict[str, Table]
    """By kind of change: images as 8-bit files before and after it, whether the network was right, and was fooled."""
    scores: dict[tuple[str, int], Table]
    """By lesson and alarm: how suspicious each image is, one column for each kind of change."""
    thresholds: dict[tuple[str, int], float]
    adaptive: dict[tuple[int, float], Table]
    """By alarm and size, over the images that the network has right."""
    passages: tuple[str, ...]
    """How the attack's slope passes through each alarm."""
    learned: int
    held: int


def run_detection(
    plan: Detection, model: Model, source: Source, training: Source, folder: Path, watch: Watch = unwatched
) -> Detected:
    """Do what is missing in ``folder``."""
    model.need("gradients", "an alarm's attacker")
    ids = chosen(source.ids(), plan.limit, plan.seed)
    if all(source.label(i) is None for i in ids):
        raise InputError(
            f"none of {len(ids)} images has a label: nothing tells which the network has right",
            "a folder of class folders, a column of labels in a table, or y in an .npz",
        )
    rest = training.ids() if plan.training else tuple(i for i in source.ids() if i not in {*ids})
    learn, held = _split(rest, plan)
    claim(folder, repr(plan), model)
    run = _Runner(plan, model, folder.resolve(), watch, at_once(first_image(source, ids, model.view, model)))
    for name, make in _lessons_made(plan, model).items():
        run.made(name, training, learn, make)
    quiet = run.made("held", training, held, lambda batch: batch.x)
    made = {name: run.made(name, source, ids, make) for name, make in _tests(plan, model).items()}
    made[CLEAN] = run.made(CLEAN, source, ids, lambda batch: batch.x)
    right = ids_where(made[CLEAN].ids, made[CLEAN]["right"].bool())
    if not right:
        raise InputError(f"{model.name} has none of {len(ids)} images right", "do the data have labels?")
    scores, thresholds, adaptive = dict[tuple[str, int], Table](), dict[tuple[str, int], float](), {}
    for lesson, k, pairs in _lessons(plan, folder.resolve()):
        alarm, learned = run.learned(lesson, k, pairs)
        ear = alarm.listening(learned, model)
        score = lambda x, ear=ear: suspicion(model, ear, x)  # noqa: E731
        known = run.scored(f"held-{lesson}-{k}", {"score": quiet}, score)["score"]
        thresholds[lesson, k] = threshold(known, plan.false)
        scores[lesson, k] = run.scored(f"scores-{lesson}-{k}", made, score)
        if lesson == ALL:
            for size in plan.sizes:
                adaptive[k, size] = run.evaded(k, size, alarm, learned, thresholds[lesson, k], right, source)
    x = from_uint8(made[CLEAN]["original"][:2])
    passages = tuple(alarm.passage(model, x) for alarm in plan.alarms)
    return Detected(plan, ids, made, scores, thresholds, adaptive, passages, len(learn), len(held))


def _split(ids: Sequence[str], plan: Detection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Four fifths to learn from, the others to set the threshold on."""
    some = chosen(ids, plan.sample, plan.seed) if ids else ()
    cut = len(some) - len(some) // 5
    if len(some) - cut < (least := math.ceil(1 / plan.false) - 1):
        raise DataError(
            f"{len(some) - cut} images to set a threshold on are too few for a false-alarm rate of {plan.false:g}",
            f"{5 * least} images to learn from and calibrate on (--training), or a higher --false",
        )
    return some[:cut], some[cut:]


def threshold(known: Tensor, false: float) -> float:
    """Above what at most a share ``false`` of images like the known ones will lie, on average."""
    rank = math.ceil((len(known) + 1) * (1 - false))
    return float(known.sort().values[min(rank, len(known)) - 1])


def _attacked(plan: Detection, model: Model, attack: Attack, region: Region) -> Maker:
    def make(batch: Batch) -> Tensor:
        return attack(model, batch.x, batch.y, within=region, seed=plan.seed, ids=batch.ids).x

    return make


def _lessons_made(plan: Detection, model: Model) -> dict[str, Maker]:
    least = plan.within.sized(min(plan.sizes))
    made = {f"learn-{k}": _attacked(plan, model, a, plan.within) for k, a in enumerate(plan.attacks)}
    made[f"learn-{SMALL}"] = _attacked(plan, model, plan.attacks[0], least)
    return made | ({"learn-noise": _attacked(plan, model, RandomNoise(), plan.within)} if plan.noisy else {})


def _tests(plan: Detection, model: Model) -> dict[str, Maker]:
    """Kinds of changed images: each attack, the first at every size, random signs, harmless changes."""
    made = {f"attack-{k}": _attacked(plan, model, a, plan.within) for k, a in enumerate(plan.attacks)}
    for size in plan.sizes:
        region = plan.within.sized(size)
        made[f"size-{size:g}"] = _attacked(plan, model, plan.attacks[0], region)
        made[f"noise-{size:g}"] = _attacked(plan, model, RandomNoise(), region)
    for k, change in enumerate(plan.harmless):
        made[f"harmless-{k}"] = lambda b, c=change: c(b.x, Rng.seeded(plan.seed, b.ids))
    return made


def _lessons(plan: Detection, folder: Path) -> list[tuple[str, int, Pairs]]:
    """What each alarm learns from: all attacks, the first at the smallest size, all but one."""
    every = tuple(f"learn-{k}" for k in range(len(plan.attacks)))
    without = {f"without-{k}": every[:k] + every[k + 1 :] for k in range(len(every)) if len(every) > 1}
    runs = {ALL: every, SMALL: (f"learn-{SMALL}",)} | without
    noise = ("learn-noise",) if plan.noisy else ()
    return [
        (lesson, k, Pairs(str(folder / "parts"), some, noise))
        for lesson, some in runs.items()
        for k, alarm in enumerate(plan.alarms)
        if lesson == ALL or not alarm.harmless_alone
    ]


class _Runner:
    """Does the missing steps of one plan in one folder."""

    def __init__(self, plan: Detection, model: Model, folder: Path, watch: Watch, many: int):
        self.plan, self.model, self.folder, self.watch, self.many = plan, model, folder, watch, many

    def step(self, name: str, ids: Sequence[str], rows: Callable[[Sequence[str]], Part]) -> Table:
        place = self.folder / "parts" / name
        with self.watch(name, len(ids)) as progress:
            work(f"{name} {self.plan!r}", place, ids, rows, chunk=self.many, progress=progress)
        return read_table(place)

    def made(self, name: str, source: Source, ids: Sequence[str], make: Maker) -> Table:
        """Images before and after a change, as 8-bit files hold them; those that cannot be read are left out."""

        def rows(some: Sequence[str]) -> Part:
            batch = as_files(source.batch(some, self.model.view, self.model.classes), self.model)
            return Part(changed(self.model, make(batch), batch), batch.errors, batch.groups)

        return self.step(name, ids, rows)

    def learned(self, lesson: str, k: int, pairs: Pairs) -> tuple[Alarm, Columns]:
        alarm, name = self.plan.alarms[k], f"{lesson}-{k}"
        wanted = Learning(alarm, self.plan.model, repr(pairs), seed=self.plan.seed)
        if not any(pairs.label(i) for i in pairs.ids()):
            raise InputError(
                f"no attack of the lesson {lesson!r} fools: there is nothing to learn", "a larger --within"
            )
        with self.watch(f"learn {name}", alarm.epochs * len(wanted.ids(pairs))) as progress:
            path = run_fit(wanted, self.model, pairs, self.folder / "learned" / name, progress=progress)
        return read_fit(path, Alarm)

    def scored(self, name: str, tables: dict[str, Table], score: Callable[[Tensor], Tensor]) -> Table:
        first = next(iter(tables.values()))
        places = {i: k for k, i in enumerate(first.ids)}

        def rows(some: Sequence[str]) -> Part:
            at = torch.tensor([places[i] for i in some])
            return Part({kind: score(from_uint8(t["changed"][at])) for kind, t in tables.items()}, {}, {})

        return self.step(name, first.ids, rows)

    def evaded(
        self,
        k: int,
        size: float,
        alarm: Alarm,
        learned: Columns,
        above: float,
        ids: Sequence[str],
        source: Source,
    ) -> Table:
        both, ear = guarded(self.model, alarm, learned, above), alarm.listening(learned, self.model)
        region = self.plan.within.sized(size)

        def rows(some: Sequence[str]) -> Part:
            batch = as_files(source.batch(some, self.model.view, self.model.classes), self.model)
            found = past(self.plan, both, batch, region)
            columns = changed(self.model, found, batch)
            score = suspicion(self.model, ear, from_uint8(columns["changed"]))
            return Part(
                columns | {"score": score, "past": columns["fooled"] & (score <= above)}, {}, batch.groups
            )

        return self.step(f"adaptive-{k}-{size:g}", ids, rows)


def past(plan: Detection, both: Model, batch: Batch, region: Region) -> Tensor:
    """Images that fool a guarded network unnoticed, by the first attack that finds one, as 8-bit files hold them."""
    x, y = batch.x.to(both.device), batch.y.to(both.device)
    best, done = x.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for attack in plan.adaptive:
        within = attack.region(x, region)
        with both.settled():
            query = Query(both, Unnoticed(), y, Rng.seeded(plan.seed, batch.ids, both.device), who="an alarm")
            found = from_uint8(to_uint8(attack.found(query, within, within.around(x))))
            best = torch.where(column(done, x), best, found)
            done = query.reached(best)
    return best
