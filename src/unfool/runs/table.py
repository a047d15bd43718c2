"""The parts of a run as one table of columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ..errors import DataError
from ..method import Columns
from .work import atomically, read_part


@dataclass(frozen=True)
class Table:
    """What a run found: one entry per sample in every column, in the order of the samples."""

    ids: tuple[str, ...]
    columns: Columns
    errors: dict[str, str]
    groups: dict[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.columns:
            raise DataError(f"the run has no column {name!r}", f"there is {', '.join(self.columns)}")
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.ids)

    def joined(self, other: "Table") -> "Table":
        """The columns of two runs over the same samples side by side."""
        return Table(self.ids, self.columns | other.columns, self.errors | other.errors, self.groups)

    @property
    def readable(self) -> Tensor:
        """Which samples could be read: [N] bool."""
        return torch.tensor([i not in self.errors for i in self.ids], dtype=torch.bool)

    @property
    def fair(self) -> Tensor:
        """Which samples count when an attack is judged: readable, and not where it leads to begin with."""
        return self.readable & ~self["started"].bool()


def read_table(folder: Path, names: Sequence[str] | None = None) -> Table:
    """All parts written so far, in order; ``names`` reads only some of the columns."""
    parts = list(_parts(folder, names))
    if not parts:
        raise DataError(f"{folder} holds no finished parts", "was the run stopped at once? Start it again")
    ids = tuple(i for part in parts for i in part.ids)
    errors = {i: e for part in parts for i, e in part.errors.items()}
    full = [part for part in parts if part.columns]
    known = full[0].columns if full else {}
    columns = {name: torch.cat([_column(part, name, known) for part in parts]) for name in known}
    groups = {name: tuple(v for part in parts for v in part.groups[name]) for name in parts[0].groups}
    return Table(ids, columns, errors, groups)


def _parts(folder: Path, names: Sequence[str] | None) -> Iterator[Table]:
    for path in sorted(folder.glob("part-*.safetensors")):
        columns, note = read_part(path, names)
        yield Table(tuple(note["ids"]), columns, note["errors"], note["groups"])


def _column(part: Table, name: str, known: Columns) -> Tensor:
    """A part's column; zeros where none of its samples could be read."""
    like = known[name]
    return part.columns.get(name, torch.zeros((len(part.ids), *like.shape[1:]), dtype=like.dtype))


def write_parquet(table: Table, path: Path) -> None:
    """Ids, groups and the scalar columns as one parquet file that other tools open."""
    scalars = {name: values.tolist() for name, values in table.columns.items() if values.ndim == 1}
    errors = [table.errors.get(i, "") for i in table.ids]
    columns: dict[str, Any] = {"id": list(table.ids), **table.groups, **scalars, "error": errors}
    atomically(path, lambda draft: pq.write_table(pa.table(columns), draft))
