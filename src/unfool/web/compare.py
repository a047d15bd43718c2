"""Runs side by side: over the images of both, what holds in each, and which images changed."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor

from ..analysis.audit import read_audit
from ..analysis.edits import difference
from ..analysis.rates import mean_of, rate
from ..errors import InputError
from ..runs.audit import Audit
from ..spec import options
from .asked import Asked
from .outcomes import UNDER, Told, span, told
from .tables import Listed, is_number, listed, table_of

if TYPE_CHECKING:
    from .stage import Answered, Stage

NAMES = ("label", "label_saved", "layer", "target", "y")
"""Columns whose numbers stand for something: their mean says nothing."""
MOST = 200
"""How many changed images are sent."""


def compare(stage: "Stage", asked: Asked) -> "Answered":
    """Two runs over the images of both; the second less the first, each with n and interval."""
    runs = [listed(stage, asked), listed(stage, asked, "other")]
    tables = [table_of(run) for run in runs]
    both = [told(table) for table in tables]
    rows = shared(*both)
    a, b = (table.take(_places(table, one, at)) for table, one, at in zip(tables, both, rows, strict=True))
    holds = {
        name: (both[0].holds[name][rows[0]], both[1].holds[name][rows[1]])
        for name in both[0].holds
        if name in both[1].holds
    }
    changed, counts = _changed(both[0], rows[0], holds)
    value = {
        "n": len(rows[0]),
        "alone": [len(one.ids) - len(rows[0]) for one in both],
        "differ": differing(*runs),
        "rates": {name: _rates(*pair) for name, pair in holds.items()},
        "means": _means(a, b),
        "same": _same(a, b),
        "changed": changed,
        "counts": counts,
        "curves": _curves(*runs),
        "python": _python(*runs),
        "command": "",
    }
    return value, {}


def shared(a: Told, b: Told) -> tuple[Tensor, Tensor]:
    """The rows of the images that both have, in the order of the first."""
    place = {i: k for k, i in enumerate(b.ids)}
    found = [(k, place[i]) for k, i in enumerate(a.ids) if i in place]
    if not found:
        raise InputError("the two runs have no image in common", "compare runs over the same data")
    one, other = zip(*found, strict=True)
    return torch.tensor(one), torch.tensor(other)


def _places(table: pa.Table, some: Told, at: Tensor) -> list[int]:
    """Where in the whole table the rows lie."""
    where = {i: k for k, i in enumerate(table["id"].to_pylist())}
    return [where[some.ids[k]] for k in at.tolist()]


def _rates(a: Tensor, b: Tensor) -> dict[str, list[float]]:
    return {"first": span(rate(a)), "second": span(rate(b)), "more": [*difference(b, a), len(a)]}


def _means(a: pa.Table, b: pa.Table) -> dict[str, dict[str, list[float]]]:
    """Of columns of numbers in both, over the rows in which both are finite."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in a.column_names:
        if name in NAMES or not _has(a, b, name) or not is_number(a[name].type):
            continue
        x, y = (torch.tensor(t[name].to_pylist(), dtype=torch.float64) for t in (a, b))
        fine = x.isfinite() & y.isfinite()
        if bool(fine.any()):
            each = {"first": x[fine], "second": y[fine], "more": (y - x)[fine]}
            found[name] = {key: list(mean_of(values.tolist())) for key, values in each.items()}
    return found


def _same(a: pa.Table, b: pa.Table) -> dict[str, list[float]]:
    """For how many images both say the same."""
    names = [name for name in ("label", "target") if _has(a, b, name)]
    return {name: span(rate(torch.tensor(_equal(a, b, name)))) for name in names}


def _has(a: pa.Table, b: pa.Table, name: str) -> bool:
    return name in a.column_names and name in b.column_names


def _equal(a: pa.Table, b: pa.Table, name: str) -> list[bool]:
    return [x == y for x, y in zip(a[name].to_pylist(), b[name].to_pylist(), strict=True)]


def _changed(
    one: Told, rows: Tensor, holds: dict[str, tuple[Tensor, Tensor]]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Images of which the last outcome holds in one run alone; how many there are of each of four kinds."""
    if not holds:
        return [], {}
    name = UNDER if UNDER in holds else next(iter(holds))
    a, b = holds[name]
    ids = [one.ids[k] for k in rows.tolist()]
    kinds = {"both": a & b, "first": a & ~b, "second": ~a & b, "neither": ~a & ~b}
    found = [
        {"id": ids[k], "held": kind}
        for kind in ("first", "second")
        for k in kinds[kind].nonzero()[:, 0].tolist()
    ]
    return found[:MOST], {kind: int(flags.sum()) for kind, flags in kinds.items()} | {"of": name}  # pyright: ignore[reportReturnType]


def differing(a: Listed, b: Listed) -> dict[str, list[str]]:
    """In what the recipes differ."""
    one, other = a.plan, b.plan
    if one is None or other is None or type(one) is not type(other):
        return {"recipe": [a.recipe, b.recipe]}
    pairs = {o.name: [repr(getattr(one, o.name)), repr(getattr(other, o.name))] for o in options(type(one))}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _curves(*runs: Listed) -> list[dict[str, Any]] | None:
    """Of two audits the accuracy over the size of the change, under attack and under random changes."""
    if not all(isinstance(run.plan, Audit) for run in runs):
        return None
    return [_curve(run.path, (run.path / "table.parquet").stat().st_mtime_ns) for run in runs]


@lru_cache(maxsize=8)
def _curve(folder: Path, stamp: int) -> dict[str, Any]:
    del stamp
    found = read_audit(folder)
    lines = {name: [span(one) for one in found.curves[name]] for name in ("pgd", "worst-random")}
    return {"radii": list(found.radii), "norm": type(found.audit.within).__name__, **lines}


def _python(a: Listed, b: Listed) -> str:
    lines = ["import pyarrow.parquet as pq", ""]
    lines += [f'{n} = pq.read_table("{run.path}/table.parquet")' for n, run in (("first", a), ("second", b))]
    return "\n".join([*lines, 'both = first.join(second, "id", join_type="inner", right_suffix=", second")'])


ACTS = {"compare": compare}
