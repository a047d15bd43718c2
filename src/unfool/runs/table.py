"""The parts of a run as one table of columns."""

import json
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import DataError
from .parts import atomically


@dataclass(frozen=True)
class Table:
    """What a run found: one entry per sample in every column, in the order of the samples.

    Columns of a number per sample are at hand; larger ones, such as images, stay on disk until they are asked for.
    """

    ids: tuple[str, ...]
    columns: Mapping[str, Tensor]
    errors: dict[str, str]
    groups: dict[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> Tensor:
        self._check(name)
        return self.columns[name]

    def at(self, name: str, row: int) -> Tensor:
        """One sample's entry, which is all that is read."""
        self._check(name)
        columns = _holding(self.columns, name)
        return columns.at(name, row) if isinstance(columns, Kept) else columns[name][row]

    def _check(self, name: str) -> None:
        if name not in self.columns:
            raise DataError(f"the run has no column {name!r}", f"there is {', '.join(self.columns)}")

    def __len__(self) -> int:
        return len(self.ids)

    def joined(self, other: "Table") -> "Table":
        """The columns of two runs over the same samples side by side."""
        columns = ChainMap(other.columns, self.columns)  # pyright: ignore[reportArgumentType]  only read
        return Table(self.ids, columns, self.errors | other.errors, self.groups)

    @property
    def scalars(self) -> dict[str, Tensor]:
        """The columns of one number per sample."""
        held = {name: _holding(self.columns, name) for name in self.columns}
        return {
            name: columns[name]
            for name, columns in held.items()
            if (columns.like if isinstance(columns, Kept) else columns)[name].ndim == 1
        }

    @property
    def readable(self) -> Tensor:
        """Which samples could be read: [N] bool."""
        return torch.tensor([i not in self.errors for i in self.ids], dtype=torch.bool)

    @property
    def fair(self) -> Tensor:
        """Which samples count when an attack is judged: readable, and not where it leads to begin with."""
        return self.readable & ~self["started"].bool()


def _holding(columns: Mapping[str, Tensor], name: str) -> Mapping[str, Tensor]:
    """Of two runs side by side the one that has a column."""
    return next(c for c in columns.maps if name in c) if isinstance(columns, ChainMap) else columns


class _File(NamedTuple):
    """One part: how many samples it has, and which columns; none where no sample could be read."""

    path: Path
    rows: int
    names: frozenset[str]


class Kept(Mapping[str, Tensor]):
    """The columns of several parts, read when they are asked for; a part without them has zeros.

    ``like`` has no row of each. What is one number per sample is read at once.
    """

    def __init__(self, files: Sequence[_File], like: Mapping[str, Tensor]):
        self.files, self.like = files, like
        self.ends = np.cumsum([file.rows for file in files])
        self.flat = {name: self._read(name) for name, one in like.items() if one.ndim == 1}

    def __getitem__(self, name: str) -> Tensor:
        return self.flat[name] if name in self.flat else self._read(name)

    def at(self, name: str, row: int) -> Tensor:
        if name in self.flat:
            return self.flat[name][row]
        k = int(np.searchsorted(self.ends, row, side="right"))
        return self._some(self.files[k], name)(row - int(self.ends[k]) + self.files[k].rows)

    def _read(self, name: str) -> Tensor:
        return torch.cat([self._some(file, name)(slice(None)) for file in self.files])

    def _some(self, file: _File, name: str) -> Callable[[Any], Tensor]:
        """One part's column, to be cut to rows before it is read."""

        def rows(which: Any) -> Tensor:
            if name not in file.names:
                like = self.like[name]
                return torch.zeros((file.rows, *like.shape[1:]), dtype=like.dtype)[which]
            with safe_open(file.path, "pt") as opened:
                return opened.get_slice(name)[which]

        return rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.like)

    def __len__(self) -> int:
        return len(self.like)


def read_table(folder: Path) -> Table:
    """All parts written so far, in order."""
    ids, errors, files = list[str](), dict[str, str](), list[_File]()
    groups, like = dict[str, list[str]](), dict[str, Tensor]()
    for path in sorted(folder.glob("part-*.safetensors")):
        with safe_open(path, "pt") as file:
            note, names = json.loads(file.metadata()["unfool"]), frozenset(file.keys())
            if names and not like:
                like = {name: file.get_slice(name)[:1][:0] for name in file.keys()}  # noqa: SIM118
        ids += note["ids"]
        errors |= note["errors"]
        for name, values in note["groups"].items():
            groups.setdefault(name, []).extend(values)
        files.append(_File(path, len(note["ids"]), names))
    if not files:
        raise DataError(f"{folder} holds no finished parts", "was the run stopped at once? Start it again")
    told = {name: tuple(values) for name, values in groups.items()}
    return Table(tuple(ids), Kept(files, like), errors, told)


def write_parquet(table: Table, path: Path) -> None:
    """Ids, groups and the scalar columns as one parquet file that other tools open."""
    scalars = {name: values.numpy() for name, values in table.scalars.items()}
    errors = [table.errors.get(i, "") for i in table.ids]
    columns: dict[str, Any] = {"id": list(table.ids), **table.groups, **scalars, "error": errors}
    atomically(path, lambda draft: pq.write_table(pa.table(columns), draft))
