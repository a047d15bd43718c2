"""Runs: every table of results below some folders, sorted and filtered here, a page of rows at a time."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from ..errors import InputError, SpecError, UnfoolError, UnknownName
from ..runs.audit import Audit
from ..runs.recipe import Recipe
from ..runs.table import read_table
from ..spec import Spec, parse
from ..views import from_uint8
from .asked import Asked
from .look import SIDE, squares
from .outcomes import rates

if TYPE_CHECKING:
    from .stage import Answered, Stage

DEEP, MOST, PAGE = 4, 400, 100
"""How many folders deep runs are looked for, how many are listed, and how many rows are sent at once."""
COMPARED = {
    "<": "less",
    "≤": "less_equal",
    "=": "equal",
    "≠": "not_equal",
    "≥": "greater_equal",
    ">": "greater",
}


class Listed(NamedTuple):
    """A run as it is listed: where it is, what it holds, and the text of its recipe."""

    path: Path
    recipe: str

    @property
    def finished(self) -> bool:
        return (self.path / "table.parquet").exists()

    @property
    def plan(self) -> Spec | None:
        """What was run; None where its text means nothing here."""
        try:
            return parse(self.recipe)
        except UnfoolError:
            return None


def runs(stage: "Stage", asked: Asked) -> "Answered":
    """Every folder with a table below those the studio was started with, and what was begun, the latest first."""
    del asked
    listing(stage)
    rows = [
        {
            "id": id,
            "recipe": run.recipe,
            "rows": _count(run.path),
            "begun": not run.finished,
            "report": (run.path / "report.html").is_file(),
        }
        for id, run in stage.runs.items()
    ]
    return {"runs": rows, "folders": list(map(str, stage.setting.runs))}, {}


def listing(stage: "Stage") -> None:
    """Look again at what runs there are."""
    found = [(root, folder) for root in stage.setting.runs for folder in (*_tables(root), *_begun(root))]
    found.sort(key=lambda pair: pair[1].stat().st_mtime, reverse=True)
    stage.runs = {_name(root, folder): Listed(folder, _recipe(folder)) for root, folder in found[:MOST]}


def _begun(root: Path) -> list[Path]:
    """Folders of runs that would have a table once they are finished."""
    found = [
        folder for folder in _holding(root, "recipe.txt") if "parts" not in folder.relative_to(root).parts
    ]
    return [
        folder
        for folder in found
        if not (folder / "table.parquet").exists()
        and isinstance(Listed(folder, _recipe(folder)).plan, Recipe | Audit)
    ]


def _tables(root: Path) -> list[Path]:
    return _holding(root, "table.parquet")


def _holding(root: Path, name: str) -> list[Path]:
    levels = ["/".join(["*"] * n + [name]) for n in range(DEEP)]
    return [path.parent for level in levels for path in sorted(root.glob(level)) if path.is_file()]


def _name(root: Path, folder: Path) -> str:
    return folder.relative_to(root).as_posix() if folder != root else folder.name


def _recipe(folder: Path) -> str:
    try:
        return (folder / "recipe.txt").read_text(encoding="utf-8").strip()[:2000]
    except (OSError, UnicodeDecodeError):
        return ""


def _count(folder: Path) -> int | None:
    try:
        return pq.read_metadata(folder / "table.parquet").num_rows
    except (OSError, pa.ArrowException):
        return None


def listed(stage: "Stage", asked: Asked, name: str = "run") -> Listed:
    id = asked.text(name)
    if id not in stage.runs:
        raise UnknownName("run", id[:80], stage.runs)
    return stage.runs[id]


def rows(stage: "Stage", asked: Asked) -> "Answered":
    """A page of a run's rows, sorted and filtered; and which open model has the run's images."""
    run = listed(stage, asked)
    whole = table_of(run)
    table = (
        whole.filter(_where(whole, asked)) if asked.words.get("where") or asked.text("find", "") else whole
    )
    if column := asked.text("sort", ""):
        _check(column, whole)
        table = table.sort_by([(column, "descending" if asked.flag("down") else "ascending")])
    start = max(0, asked.whole("start", 0))
    page = table.slice(start, PAGE)
    data = getattr(run.plan, "data", None)
    rooms = [k for k, model in enumerate(stage.setting.models) if stage.setting.data(model) == data]
    own = [k for k in rooms if stage.setting.models[k] == getattr(run.plan, "model", None)]
    return {
        "columns": [{"name": field.name, "number": is_number(field.type)} for field in whole.schema],
        "rows": [[_plain(v) for v in row.values()] for row in page.to_pylist()],
        "total": whole.num_rows,
        "rates": rates(whole) if "id" in whole.column_names else {},
        "report": (run.path / "report.html").is_file(),
        "found": table.num_rows,
        "recipe": run.recipe,
        "path": str(run.path),
        "model": next(iter([*own, *rooms]), None),
        "command": f"unfool studio {getattr(run.plan, 'model', 'MODEL')} --data {data or 'DATA'}",
    }, {}


def table_of(run: Listed) -> pa.Table:
    """A run's table. Raises where it is not finished."""
    path = run.path / "table.parquet"
    if not path.exists():
        raise InputError(f"{run.path} is not finished", "go on with it first")
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, stamp: int) -> pa.Table:
    del stamp
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _where(table: pa.Table, asked: Asked) -> pa.ChunkedArray:
    """Which rows are wanted: those whose id holds a text, and for which every comparison is true."""
    wanted: Any = pa.chunked_array([pa.array(np.ones(table.num_rows, dtype=bool))])
    if text := asked.text("find", ""):
        held = pc.MatchSubstringOptions(text, ignore_case=True)
        wanted = _both(wanted, pc.call_function("match_substring", [table["id"]], held))
    for one in asked.words.get("where") or []:
        match one:
            case [str(column), str(how), str(value)] if how in COMPARED:
                _check(column, table)
            case _:
                raise InputError("a filter is a column, a comparison and a value")
        known = pa.scalar(_value(table[column].type, column, value))
        wanted = _both(wanted, pc.call_function(COMPARED[how], [table[column], known]))
    return pc.fill_null(wanted, False)


def _both(a: Any, b: Any) -> Any:
    return pc.call_function("and", [a, b])


def _check(column: str, table: pa.Table) -> None:
    if column not in table.column_names:
        raise UnknownName("column", column[:80], table.column_names)


def _value(kind: pa.DataType, column: str, text: str) -> Any:
    """A filter's value as its column has them."""
    if pa.types.is_boolean(kind):
        return text.strip().lower() in ("1", "true", "yes")
    if not is_number(kind):
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{column} is a number, {text[:20]!r} is none") from None


def is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _plain(value: Any) -> Any:
    """A cell as JSON has it: numbers that are not finite as text."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def run_thumbs(stage: "Stage", asked: Asked) -> "Answered":
    """The images of some rows, and as the attack left them where it was one."""
    run, ids = listed(stage, asked), asked.texts("ids", PAGE)
    data = getattr(run.plan, "data", None)
    pixels: dict[str, Any] = {}
    if isinstance(data, str):
        source = stage.source(data)
        known = set(source.ids())
        shown = [i for i in ids if i in known]
        images = {i: x for i in shown if (x := _image(source, i)) is not None}
        held = list(images)
        pixels["before"] = squares([images[i] for i in held])
        after = _after(run.path, run.path.stat().st_mtime_ns)
        changed = [i for i in held if i in after]
        pixels["after"] = squares([from_uint8(after[i]) for i in changed])
        return {"ids": held, "changed": changed, "side": SIDE}, pixels
    return {"ids": [], "changed": [], "side": SIDE}, {}


def _image(source: Any, id: str) -> torch.Tensor | None:
    try:
        found = source.batch((id,))
        return None if found.errors else found.x[0]
    except (UnfoolError, OSError, ValueError, SyntaxError):
        return None


@lru_cache(maxsize=2)
def _after(folder: Path, stamp: int) -> dict[str, torch.Tensor]:
    """What an attack's run left, by id: 8-bit images."""
    del stamp
    try:
        table = read_table(folder)
    except (UnfoolError, SpecError, OSError, KeyError):
        return {}
    if "adversarial" not in table.columns:
        return {}
    return {
        i: image for i, image in zip(table.ids, table["adversarial"], strict=True) if i not in table.errors
    }


ACTS = {"runs": runs, "rows": rows, "run_thumbs": run_thumbs}
