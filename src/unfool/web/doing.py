"""Runs that are started from the page: what the command does, in a folder that the command goes on with, too."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.audit import read_audit
from ..attacks.base import Attack
from ..attributions.base import Attribution
from ..data.base import Source
from ..errors import DataError, InputError
from ..objectives import Objective
from ..regions import Region
from ..report.written import write_all
from ..rows import stable_number
from ..runs.audit import Audit, run_audit
from ..runs.local import run_recipe
from ..runs.recipe import Recipe
from ..spec import parse
from .asked import Asked
from .charted import keep
from .lines import begun, loads, said
from .rooms import Room
from .tables import listed, listing

if TYPE_CHECKING:
    from .stage import Answered, Stage

KINDS = ("attack", "explain", "audit")
Plan = Recipe | Audit


def start(stage: "Stage", asked: Asked) -> "Answered":
    """Do an attack, an explanation or an audit over the images; what is there of it already is not done again."""
    room = stage.asked_room(asked)
    data = keep(stage, room, name) if (name := asked.text("slice", "")) else room.data
    plan = planned(room, asked, data)
    return done(stage, room, plan, stage.setting.runs[0] / place(plan))


def place(plan: Plan) -> Path:
    """The folder of a plan below that of the runs: another for other settings."""
    if isinstance(plan, Audit):
        verb, name = "audit", plan.model
    else:
        verb, name = _verb(plan), type(plan.method).__name__
    short = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[-40:]
    return Path(verb) / f"{short}-{stable_number(repr(plan)) & 0xFFFFFFFF:08x}"


def _verb(plan: Recipe) -> str:
    return "attack" if isinstance(plan.method, Attack) else "explain"


def planned(room: Room, asked: Asked, data: str) -> Plan:
    """What the form says, checked."""
    kind = asked.text("kind")
    if kind not in KINDS:
        raise InputError(f"a run is one of {', '.join(KINDS)}, not {kind[:20]!r}")
    limit, seed = asked.place("limit"), asked.place("seed") or 0
    if limit == 0:
        raise InputError("no images are no run", "1 or more, or nothing for all of them")
    within = parse(text, Region) if (text := asked.text("within", "").strip()) else None
    if kind == "audit":
        steps, restarts, level = (
            asked.whole("steps", 40),
            asked.whole("restarts", 3),
            asked.text("level", "standard"),
        )
        how: Any = {"level": level, "steps": steps, "restarts": restarts, "limit": limit, "seed": seed}
        return Audit(room.address, data, within or room.region, **how)
    # the fewer are lost when somebody looks at something meanwhile
    chunk = 64 if room.small else 8
    target, how = asked.place("target"), {"limit": limit, "seed": seed, "chunk": chunk}
    if kind == "explain":
        method, text = asked.spec("method", Attribution), asked.text("objective", "").strip()
        objective = parse(text, Objective) if text else room.objective
        return Recipe(method, room.address, data, target=target, objective=objective, **how)
    attack = asked.spec("method", Attack)
    if within is None and not attack.nearest:
        within = room.region
    return Recipe(attack, room.address, data, within, target, **how)


def resume(stage: "Stage", asked: Asked) -> "Answered":
    """Go on with a run that was begun, here or by a command."""
    run = listed(stage, asked)
    plan = run.plan
    if not isinstance(plan, Recipe | Audit):
        raise InputError(f"{run.path} holds no run that the studio knows", "go on by its command")
    if plan.model not in stage.setting.models:
        raise InputError(f"{plan.model} is not open here", f"unfool studio {plan.model}")
    return done(stage, stage.room(stage.setting.models.index(plan.model)), plan, run.path)


def done(stage: "Stage", room: Room, plan: Plan, folder: Path) -> "Answered":
    """Do what is missing of a plan."""
    source, command = stage.source(plan.data), command_of(stage, plan, folder)
    if isinstance(plan, Audit):
        run_audit(plan, room.model, source, folder, stage.job.watch)
        with stage.job.watch("report", 1):
            write_all(read_audit(folder), folder, command)
    else:
        _rows(stage, room, plan, source, folder)
    listing(stage)
    name = next(id for id, run in stage.runs.items() if run.path == folder)
    return {"id": name, "python": _python(room, plan, folder), "command": command}, {}


def _rows(stage: "Stage", room: Room, plan: Recipe, source: Source, folder: Path) -> None:
    n = min(plan.limit or len(source.ids()), len(source.ids()))
    with stage.job.watch(type(plan.method).__name__, n) as progress:
        table = run_recipe(plan, room.model, source, folder, progress)
    if len(table.errors) == len(table):
        raise DataError(f"none of the {len(table)} samples can be used: {next(iter(table.errors.values()))}")


def command_of(stage: "Stage", plan: Plan, folder: Path) -> str:
    """What does the same in the same folder."""
    flags: dict[str, Any]
    if isinstance(plan, Audit):
        parts = ["unfool", "audit", plan.model, plan.data]
        flags = {"within": plan.within, "level": plan.level, "steps": plan.steps, "restarts": plan.restarts}
    else:
        parts = ["unfool", _verb(plan), repr(plan.method), plan.data, "--model", plan.model]
        flags = {
            "within": plan.within,
            "target": plan.target,
            "objective": plan.objective,
            "chunk": plan.chunk,
        }
    flags |= {"limit": plan.limit, "seed": plan.seed, "out": folder}
    for name, value in flags.items():
        if value is not None:
            parts += [f"--{name}", str(value)]
    return said(parts) + stage.setting.flags


def _python(room: Room, plan: Plan, folder: Path) -> str:
    """The same by the library."""
    what = "audit" if isinstance(plan, Audit) else "recipe"
    module, run = ("audit", "run_audit") if isinstance(plan, Audit) else ("local", "run_recipe")
    return "\n".join(
        [
            "from pathlib import Path",
            f"from unfool import {', '.join(loads(room))}",
            f"from unfool.runs.{module} import {run}",
            "from unfool.spec import parse",
            f"from unfool.runs.{what} import {type(plan).__name__}",
            "",
            f"plan = parse({repr(plan)!r}, {type(plan).__name__})",
            begun(room),
            f"{run}(plan, model, open_data(plan.data), Path({str(folder)!r}))",
        ]
    )


def report_of(stage: "Stage", asked: Asked) -> "Answered":
    """Where a run's report lies."""
    path = listed(stage, asked).path / "report.html"
    if not path.is_file():
        raise InputError("this run has no report", "unfool audit writes one")
    return {"path": str(path)}, {}


ACTS = {"start": start, "resume": resume, "report_of": report_of}
