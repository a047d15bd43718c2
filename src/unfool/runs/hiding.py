"""Objects hidden from detectors by stickers: the runs behind detection rates and their transfer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..attacks.base import Attack
from ..attacks.gradient import PGD
from ..attacks.hide import Hidden, hide, look_for, sticker_masks
from ..attacks.learned import CONTROLS, Learned, LearnedAttack
from ..attacks.noise import RandomNoise
from ..attacks.patch import Patch
from ..data.base import Source
from ..errors import InputError
from ..method import Columns
from ..model import Model
from ..rows import Batch, Rng, stable_number
from ..spec import Count, Fraction, Natural, Spec, options
from ..transforms import Camera, Transform, moved
from ..views import from_uint8, to_uint8
from .begin import Watch, at_once, chosen, claim, first_image, unwatched
from .engine import Asked
from .fit import Learning, run_fit
from .parts import Part
from .table import Table, read_table
from .work import Reading, work

CLEAN = "clean"
MANY = 32
"""Scenes of a part, at most."""


class Hiding(Spec):
    """From which detectors objects are hidden, and by what."""

    detectors: tuple[str, ...]
    """Addresses; stickers are made on each and shown to all."""
    data: str = "unfool:scenes"
    object: str = ""
    """The class that is hidden, by name; empty: each image's first object."""
    attack: Attack = PGD(steps=40)
    """What makes a sticker for each scene."""
    share: Fraction = 0.5
    """The sticker's width as a share of the object's."""
    sticker: LearnedAttack | None = Patch(side=0.5, shape="square", turn=5.0, zoom=0.0, camera=(Camera(),))
    """What is learned as one sticker for all scenes; None: nothing."""
    learn: str = ""
    """Data to learn it on; empty: what is not judged on."""
    camera: tuple[Transform, ...] = (Camera(),)
    """The view of the photos in which objects are looked for, too."""
    goal: Hidden = Hidden()
    limit: Count = 100
    """How many scenes at most; the learned sticker sees three times as many others."""
    seed: Natural = 0


class Shown(NamedTuple):
    """The tables of a finished run, over the same scenes: with no sticker, by each kind of sticker."""

    plan: Hiding
    tables: dict[str, Table]
    """:data:`CLEAN`, random, plain, from-0 …; learned-0 … and learned-random, learned-plain."""
    learned: tuple[Learned, ...]
    """The sticker learned on each detector."""


def run_hiding(
    plan: Hiding,
    models: Sequence[Model],
    source: Source,
    lessons: Source,
    folder: Path,
    watch: Watch = unwatched,
) -> Shown:
    """Do what is missing in ``folder``; objects to hide are the first of each sample of ``source``."""
    _check(models, plan)
    ids = _readable(source, models[0], plan)
    claim(folder, repr(plan), Model(nn.ModuleList([m.net for m in models]), name="all detectors"))
    many = min(MANY, at_once(first_image(source, ids, models[0].view, models[0])))
    read = Reading(source, models[0].view, models[0].classes)

    def do(name: str, made: Callable[[Batch], Tensor]) -> Table:
        def rows(batch: Batch) -> Part:
            return Part(looked(plan, made(batch), batch, models), {}, batch.groups)

        with watch(name, len(ids)) as progress:
            work(
                f"{name} {plan!r}",
                folder / "parts" / name,
                ids,
                Asked(read, rows),
                chunk=many,
                progress=progress,
            )
        return read_table(folder / "parts" / name)

    tables = {CLEAN: do(CLEAN, lambda batch: batch.x)}
    tables |= {kind: do(kind, lambda b, k=kind: control(plan, k, models[0], b)) for kind in CONTROLS}
    tables |= {
        f"from-{k}": do(f"from-{k}", lambda b, m=m: stuck(plan, plan.attack, m, b))
        for k, m in enumerate(models)
    }
    if plan.sticker is None:
        return Shown(plan, tables, ())
    learned = tuple(_learned(plan, plan.sticker, k, m, lessons, folder, watch) for k, m in enumerate(models))
    others = {f"learned-{kind}": learned[0].instead(kind, plan.seed) for kind in CONTROLS}
    for name, one in ({f"learned-{k}": one for k, one in enumerate(learned)} | others).items():
        tables[name] = do(name, lambda b, one=one: one.put(b.x, seed=plan.seed, ids=b.ids, on=b.victims))
    return Shown(plan, tables, learned)


def _check(models: Sequence[Model], plan: Hiding) -> None:
    names = {m.classes for m in models}
    if len(names) > 1:
        raise InputError("the detectors know different classes", "all must have the same, in the same order")
    known = [name.lower() for name in models[0].classes]
    if plan.object and known and plan.object.lower() not in known:
        told = ", ".join(models[0].classes)
        raise InputError(f"{models[0].name} finds no {plan.object}", f"it finds {told}"[:300])


def _readable(source: Source, model: Model, plan: Hiding) -> tuple[str, ...]:
    """The scenes to judge: as many as wanted of those that can be read and show what is to be hidden."""
    if not (known := source.ids()):
        raise InputError(f"{plan.data} has no boxes", "unfool:scenes, or a .json of COCO's form")
    ids, found = chosen(known, None, plan.seed), list[str]()
    for k in range(0, len(ids), MANY):
        found += source.batch(ids[k : k + MANY], model.view, model.classes).readable().ids
        if len(found) >= plan.limit:
            break
    if not found:
        first_image(source, ids[:MANY], model.view, model)  # says what is wrong with them
    return tuple(found[: plan.limit])


def stuck(plan: Hiding, attack: Attack, model: Model, batch: Batch) -> Tensor:
    """A sticker on each scene's object, by an attack on one detector."""
    mask = sticker_masks(batch.victims, (batch.x.shape[2], batch.x.shape[3]), plan.share)
    how = {"mask": mask, "goal": plan.goal, "seed": plan.seed, "ids": batch.ids}
    return hide(attack, model, batch.x, batch.victims, **how).x.cpu()  # pyright: ignore[reportArgumentType]


def control(plan: Hiding, kind: str, model: Model, batch: Batch) -> Tensor:
    """The same squares of noise, or white."""
    if kind == "random":
        return stuck(plan, RandomNoise("uniform"), model, batch)
    mask = sticker_masks(batch.victims, (batch.x.shape[2], batch.x.shape[3]), plan.share)
    return batch.x.masked_fill(mask, 1.0)


def looked(plan: Hiding, x: Tensor, batch: Batch, models: Sequence[Model]) -> Columns:
    """Whether each detector finds the objects in 8-bit files of scenes, and in fresh photos of those."""
    saved, victims = to_uint8(x).cpu(), batch.victims
    files = from_uint8(saved)
    photos, there = photographed(plan, files, victims, batch.ids)
    plain = [look_for(m, files, victims, plan.goal) for m in models]
    taken = [look_for(m, photos, there, plan.goal) for m in models]
    return {
        "image": saved,
        "victim": victims,
        "seen": torch.stack([~one.hidden.cpu() for one in plain], 1),
        "score": torch.stack([one.score.cpu() for one in plain], 1),
        "photo_seen": torch.stack([~one.hidden.cpu() for one in taken], 1),
    }


def photographed(plan: Hiding, x: Tensor, victims: Tensor, ids: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Scenes through the camera, and their objects where they are then; every kind of sticker has the same draws."""
    rng = Rng.seeded(stable_number(plan.seed, "photo"), ids)
    boxes = moved(victims[:, :4], x, plan.camera, rng)
    for change in plan.camera:
        x = change(x, rng)
    return x.clamp(0, 1), torch.cat([boxes, victims[:, 4:]], 1)


def _learned(
    plan: Hiding,
    fit: LearnedAttack,
    k: int,
    model: Model,
    lessons: Source,
    folder: Path,
    watch: Watch,
) -> Learned:
    """The sticker learned on one detector, from scenes that nothing is judged on."""
    after = 0 if plan.learn else plan.limit
    data = plan.learn or plan.data
    if "loss" in {option.name for option in options(type(fit))}:
        fit = replace(fit, loss=plan.goal)  # pyright: ignore[reportCallIssue]  it has one
    wanted = Learning(fit, plan.detectors[k], data, None, None, after, 3 * plan.limit, plan.seed)
    with watch(f"learn-{k}", len(wanted.ids(lessons)) * fit.epochs) as progress:
        return Learned.read(run_fit(wanted, model, lessons, folder / f"learn-{k}", progress=progress))
