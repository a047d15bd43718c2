"""``unfool attack`` where the attack is learned on some pictures and judged on others."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DataError
from .pictures import run_over
from .shared import OutputOptions, opened

if TYPE_CHECKING:
    from ..analysis.poses import Poses
    from ..attacks.learned import LearnedAttack
    from ..model import Model
    from ..regions import Region
    from ..rows import Batch
    from ..runs.table import Table

POSED = 100
"""How many pictures are seen at every angle and size."""


class Plan(NamedTuple):
    """What is learned from which pictures and judged on which."""

    fit: "LearnedAttack"
    model: str
    data: str
    learn: str | None
    target: int | None
    within: "Region | None"
    limit: int | None
    seed: int
    out: Path


def learn_and_judge(plan: Plan, model: "Model", output: OutputOptions, size_cm: float) -> None:
    """Learn, judge beside both controls, draw, and write what can be printed."""
    from ..attacks.learned import CONTROLS, Apply, Learned
    from ..runs.recipe import Recipe

    plan = halved(plan)
    file = learned_file(plan, model, output)
    names = {"": "learned", **{kind: f"{kind} control" for kind in CONTROLS}}
    tables: dict[str, Table] = {}
    for kind, name in names.items():
        method, place = Apply(str(file), kind), plan.out / (kind or "applied")  # pyright: ignore[reportArgumentType]
        recipe = Recipe(method, plan.model, plan.data, None, plan.target, plan.limit, plan.seed)
        tables[name] = run_over(recipe, model, place, output, 0).table
    learned = Learned.read(file)
    numbers = {name: rates(table) for name, table in tables.items()}
    poses = drawn(plan, learned, model, tables["learned"], output) if learned.picture.ndim == 3 else None
    if learned.picture.ndim == 3:
        from ..show.printed import save_printable

        save_printable(learned.picture, size_cm, plan.out / "print")
    say(plan, numbers, poses, output)


def halved(plan: Plan) -> Plan:
    """The plan with where to learn settled: the train split of embedded data, else the half that is not judged on."""
    if plan.learn is not None:
        return plan
    if plan.data.startswith("unfool:") and "split=" not in plan.data:
        return plan._replace(learn=plan.data + ("&" if "?" in plan.data else "?") + "split=train")
    n = len(opened(plan.data).ids())
    if n < 2:
        raise DataError(
            "one picture cannot be learned from and judged on", "--learn names data to learn from"
        )
    return plan._replace(limit=min(plan.limit or n // 2, n - 1))


def learned_file(plan: Plan, model: "Model", output: OutputOptions) -> Path:
    from ..runs.fit import Learning, run_fit

    data, after = (plan.data, plan.limit or 0) if plan.learn is None else (plan.learn, 0)
    wanted = Learning(plan.fit, plan.model, data, plan.within, plan.target, after, seed=plan.seed)
    source = opened(data)
    with output.watching() as watch:
        many = len(wanted.ids(source)) * plan.fit.epochs
        with watch(type(plan.fit).__name__, many) as progress:
            return run_fit(wanted, model, source, plan.out / "learned", progress=progress)


def rates(table: "Table") -> dict[str, Any]:
    """Success as floats and as 8-bit files, of the pictures that were not there to begin with."""
    from ..analysis.rates import rate

    fair = table.readable & ~table["started"].bool()
    return {
        "success": rate(table["success"][fair].bool()),
        "as_8_bit": rate(table["success_saved"][fair].bool()),
    }


def drawn(plan: Plan, learned: Any, model: "Model", table: "Table", output: OutputOptions) -> "Poses | None":
    """The map of success and the contact sheet over angles and sizes."""
    from ..analysis.poses import not_there_yet, seen_at_poses
    from ..runs.fit import Reader
    from ..runs.work import atomically
    from ..show.grid import save_panels
    from ..show.image import enlarged
    from ..show.poses import pose_map

    ids = [i for i, fine in zip(table.ids, table.readable.tolist(), strict=True) if fine]
    batch: Batch = not_there_yet(Reader(opened(plan.data), model)(ids[: 2 * POSED]), model, plan.target)
    if not len(batch):
        output.say("no picture to show: every one is where the attack leads to begin with")
        return None
    poses = seen_at_poses(learned, model, some(batch), plan.target, plan.seed)
    cells = [[(cell.value, cell.low, cell.high) for cell in row] for row in poses.cells]
    known = getattr(plan.fit, "turn", 0.0), getattr(plan.fit, "zoom", 0.0)
    text = pose_map(poses.degrees, poses.scales, cells, poses.cells[0][0].n, known)
    atomically(plan.out / "poses.svg", lambda draft: draft.write_text(text))
    rows = [
        [
            (f"{angle:g}°, {scale:g}: {model.label_name(label)}", enlarged(picture, 128))
            for angle, picture, label in zip(poses.degrees, pictures, labels, strict=True)
        ]
        for scale, pictures, labels in zip(poses.scales, poses.pictures, poses.labels, strict=True)
    ]
    save_panels(plan.out / "contact-sheet.png", rows)
    return poses


def some(batch: "Batch") -> "Batch":
    import torch

    return batch[torch.arange(min(len(batch), POSED))]


def say(plan: Plan, numbers: dict[str, Any], poses: "Poses | None", output: OutputOptions) -> None:
    rows = [[name, str(found["success"]), str(found["as_8_bit"])] for name, found in numbers.items()]
    aim = "away from the label" if plan.target is None else f"towards class {plan.target}"
    output.table(f"{type(plan.fit).__name__}, {aim}", ["", "reaches the goal", "as 8-bit files"], rows)
    files = [
        "learned/learned.safetensors",
        "print.png",
        "print.pdf",
        *(["poses.svg", "contact-sheet.png"] if poses else []),
    ]
    output.say(f"\n{', '.join(files)} in {plan.out}")
    found = {name: {k: r.as_dict() for k, r in each.items()} for name, each in numbers.items()}
    cells = [[cell.as_dict() for cell in row] for row in poses.cells] if poses else None
    grid = {"degrees": poses.degrees, "scales": poses.scales, "cells": cells} if poses else None
    output.document({"fit": repr(plan.fit), "rates": found, "poses": grid, "folder": str(plan.out)})
