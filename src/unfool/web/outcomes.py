"""What a run's table says of each image: right to begin with, and right under attack; and rates of that."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from ..analysis.rates import Rate, rate

BEGIN, UNDER = "right to begin with", "right under attack"


class Told(NamedTuple):
    """A table's rows that could be read: ids, and by name what holds of each image."""

    ids: tuple[str, ...]
    holds: dict[str, Tensor]


def told(table: pa.Table) -> Told:
    """The outcomes that a table has; none of a table that is about something else."""
    fine = _readable(table)
    some = table.filter(fine)
    return Told(tuple(some["id"].to_pylist()), _holds(some))


def _readable(table: pa.Table) -> Any:
    if "error" not in table.column_names:
        return pa.chunked_array([pa.array(np.ones(table.num_rows, dtype=bool))])
    return pc.equal(table["error"], "")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]


def _holds(table: pa.Table) -> dict[str, Tensor]:
    names = {*table.column_names}
    if {"started", "success"} <= names:
        begun = ~flags(table, "started")
        return {BEGIN: begun, UNDER: begun & ~flags(table, "success")}
    if {"correct", "flipped_by"} <= names:
        held = torch.tensor([name == "" for name in table["flipped_by"].to_pylist()], dtype=torch.bool)
        return {BEGIN: flags(table, "correct"), UNDER: held}
    return {"right": flags(table, "correct")} if "correct" in names else {}


def flags(table: pa.Table, column: str) -> Tensor:
    return torch.tensor([bool(v) for v in table[column].to_pylist()], dtype=torch.bool)


def rates(table: pa.Table) -> dict[str, list[float]]:
    """The share of images of which each outcome holds, with its interval and number."""
    return {name: span(rate(held)) for name, held in told(table).holds.items()}


def span(one: Rate) -> list[float]:
    return [one.value if one.n else 0.0, one.low, one.high, one.n]
