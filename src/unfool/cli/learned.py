"""``unfool attack`` where the attack is learned on some pictures and judged on others."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .pictures import Shown, panels, right_text, run_over
from .shared import Job, opened

if TYPE_CHECKING:
    from ..analysis.poses import Poses
    from ..attacks.learned import Learned, LearnedAttack
    from ..rows import Batch
    from ..runs.table import Table

POSED = 100
"""How many pictures are seen at every angle and size."""


def learn_and_judge(fit: "LearnedAttack", job: Job, learn: str | None, size_cm: float, pictures: int) -> None:
    """Learn, judge beside both controls, draw, and write what can be printed."""
    from ..attacks.learned import CONTROLS, Apply, Learned
    from ..runs.recipe import Recipe

    learn = learn or its_own_split(job.data)
    job = job if learn else halved(job)
    file = learned_file(fit, job, learn)
    names = {"": "learned", **{kind: f"{kind} control" for kind in CONTROLS}}
    runs: dict[str, Shown] = {}
    for kind, name in names.items():
        method, place = Apply(str(file), kind), job.out / (kind or "applied")  # pyright: ignore[reportArgumentType]
        recipe = Recipe(method, job.model, job.data, None, job.target, job.limit, job.seed)
        runs[name] = run_over(recipe, job.network, place, job.output, pictures)
    learned = Learned.read(file)
    runs["learned"]._replace(folder=job.out).draw(lambda _, k: beside(runs, k))
    numbers = {name: rates(shown.table) for name, shown in runs.items()}
    poses = drawn(fit, job, learned, runs["learned"].table) if learned.picture.ndim == 3 else None
    if learned.picture.ndim == 3:
        from ..show.printed import save_printable

        save_printable(learned.picture, size_cm, job.out / "print")
    say(fit, job, numbers, poses)


def beside(runs: "dict[str, Shown]", k: int) -> list[tuple[str, Any]]:
    """Image, the change, the image with it, and the image with each control of its size."""
    shown = [panels(run, k) for run in runs.values()]
    before, _, change, _ = shown[0]
    after = [(f"{name} {each[-1][0]}", each[-1][1]) for name, each in zip(runs, shown, strict=True)]
    return [before, change, *after]


def its_own_split(data: str) -> str | None:
    """Embedded data have a split of their own to learn on."""
    if not data.startswith("unfool:") or "split=" in data:
        return None
    return data + ("&" if "?" in data else "?") + "split=train"


def halved(job: Job) -> Job:
    """Judging on half of the data at most, so that the rest can be learned from."""
    n = len(opened(job.data).ids())
    if n < 2:
        raise DataError(
            "one picture cannot be learned from and judged on", "--learn names data to learn from"
        )
    return job._replace(limit=min(job.limit or n // 2, n - 1))


def learned_file(fit: "LearnedAttack", job: Job, learn: str | None) -> Path:
    """What was learned: on ``learn``, or without it on those of the data that are not judged on."""
    from ..runs.fit import Learning, run_fit

    data, after = (job.data, job.limit or 0) if learn is None else (learn, 0)
    wanted = Learning(fit, job.model, data, job.within, job.target, after, seed=job.seed)
    source = opened(data)
    with job.output.watching() as watch:
        many = len(wanted.ids(source)) * fit.epochs
        with watch(type(fit).__name__, many) as progress:
            return run_fit(wanted, job.network, source, job.out / "learned", progress=progress)


def rates(table: "Table") -> dict[str, Any]:
    """How many pictures were not there to begin with, and success with those as floats and as 8-bit files."""
    from ..analysis.rates import rate

    fair = table.fair
    return {
        "right": rate(fair[table.readable]),
        "success": rate(table["success"][fair].bool()),
        "as_8_bit": rate(table["success_saved"][fair].bool()),
    }


def drawn(fit: "LearnedAttack", job: Job, learned: "Learned", table: "Table") -> "Poses | None":
    """The map of success and the contact sheet over angles and sizes."""
    from ..analysis.poses import not_there_yet, seen_at_poses
    from ..runs.reading import Reader
    from ..runs.work import atomically
    from ..show.grid import save_panels
    from ..show.image import enlarged
    from ..show.poses import pose_map

    ids = [i for i, fine in zip(table.ids, table.readable.tolist(), strict=True) if fine]
    model, known = job.network, (getattr(fit, "turn", 0.0), getattr(fit, "zoom", 0.0))
    batch: Batch = not_there_yet(Reader(opened(job.data), model)(ids[: 2 * POSED]), model, job.target)
    if not len(batch):
        job.output.say("no picture to show: every one is where the attack leads to begin with")
        return None
    poses = seen_at_poses(learned, model, some(batch), job.target, job.seed)
    cells = [[cell.interval for cell in row] for row in poses.cells]
    text = pose_map(poses.degrees, poses.scales, cells, poses.cells[0][0].n, known)
    atomically(job.out / "poses.svg", lambda draft: draft.write_text(text))
    rows = [
        [
            (f"{angle:g}°, {scale:g}: {model.label_name(label)}", enlarged(picture, 128))
            for angle, picture, label in zip(poses.degrees, pictures, labels, strict=True)
        ]
        for scale, pictures, labels in zip(poses.scales, poses.pictures, poses.labels, strict=True)
    ]
    save_panels(job.out / "contact-sheet.png", rows)
    return poses


def some(batch: "Batch") -> "Batch":
    import torch

    return batch[torch.arange(min(len(batch), POSED))]


def say(fit: "LearnedAttack", job: Job, numbers: dict[str, Any], poses: "Poses | None") -> None:
    output, aim = job.output, "away from the label" if job.target is None else f"towards class {job.target}"
    rows = [[name, str(found["success"]), str(found["as_8_bit"])] for name, found in numbers.items()]
    output.say(right_text(numbers["learned"]["right"], job.target))
    output.table(f"{type(fit).__name__}, {aim}", ["", "reaches the goal", "as 8-bit files"], rows)
    files = [
        "learned/learned.safetensors",
        "print.png",
        "print.pdf",
        *(["poses.svg", "contact-sheet.png"] if poses else []),
    ]
    output.say(f"\n{', '.join(files)} in {job.out}")
    found = {name: {k: r.as_dict() for k, r in each.items()} for name, each in numbers.items()}
    cells = [[cell.as_dict() for cell in row] for row in poses.cells] if poses else None
    grid = {"degrees": poses.degrees, "scales": poses.scales, "cells": cells} if poses else None
    output.document({"fit": repr(fit), "rates": found, "poses": grid, "folder": str(job.out)})
