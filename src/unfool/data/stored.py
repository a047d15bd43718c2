"""Parquet and Arrow files with the pictures' bytes in them, as Hugging Face writes them."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError, UnknownName
from ..views import View
from .base import Sample, Source
from .folder import decoded, open_picture
from .remembered import remembered, stamp_of

AT_ONCE = 16
"""So many rows of pictures are in memory while a file is gone through."""


class Stored(Source):
    """The rows of several files, one after the other; a sample is called by its number."""

    paths: tuple[str, ...]
    image: str = ""
    """The column of pictures: bytes, or bytes with a path; by default the only one there is."""
    label_column: str = ""
    """By default label, or the only column that knows the names of its classes."""
    group_columns: tuple[str, ...] = ()

    def ids(self) -> tuple[str, ...]:
        _ends.cache_clear()  # a file may be another by now
        return tuple(map(str, range(int(_ends(self.paths)[-1]))))

    def prepare(self, ids: Sequence[str]) -> None:
        """The pictures of a batch, in the order of the files: none is gone through twice."""
        wanted: dict[int, dict[int, str]] = {}
        for id in ids:
            file, row = self._place(id)
            wanted.setdefault(file, {})[row] = id
        _at_hand.source, _at_hand.pictures = self, {}
        column = self._image()
        for file, rows in sorted(wanted.items()):
            with suppress(OSError, pa.ArrowException):  # whoever is missing then says why
                for row, picture in _pictures(self.paths[file], column, sorted(rows)):
                    _at_hand.pictures[rows[row]] = picture

    def sample(self, id: str, view: View) -> Sample:
        file, row = self._place(id)
        path, own = self.paths[file], getattr(_at_hand, "source", None) == self
        held = _at_hand.pictures.pop(id, None) if own else None
        found, named = held or next(_pictures(path, self._image(), [row]))[1]
        if found is not None:
            return Sample(view(decoded(BytesIO(found), f"{path}, row {id}")))
        if not named:
            raise DataError(f"{path}, row {id} has no picture")
        return Sample(view(open_picture(Path(path).parent / named)))

    def label(self, id: str) -> str | int | None:
        column = self._label()
        found = None if column is None else self._cell(id, column)
        return found if found is None or isinstance(found, int) else str(found)

    def label_names(self) -> tuple[str, ...]:
        column = self._label()
        names = () if column is None else _class_names(self.paths[0]).get(column, ())
        if names or column is None:
            return names
        return _words(self.paths, column, tuple(stamp_of(Path(path)) for path in self.paths))

    def columns(self) -> tuple[str, ...]:
        """Every column but those of pictures and labels."""
        taken = {*picture_columns(self.paths[0]), self._label()}
        return tuple(name for name in _about(self.paths[0]).schema.names if name not in taken)

    def groups(self, id: str) -> dict[str, str]:
        return {name: self._named(name, self._cell(id, name)) for name in self.group_columns}

    def _named(self, column: str, value: Any) -> str:
        names = _class_names(self.paths[0]).get(column, ())
        known = isinstance(value, int) and 0 <= value < len(names)
        return names[value] if known else "" if value is None else str(value)

    def _cell(self, id: str, column: str) -> Any:
        file, row = self._place(id)
        return _column(self.paths[file], column)[row].as_py()

    def _place(self, id: str) -> tuple[int, int]:
        ends, row = _ends(self.paths), int(id)
        file = int(np.searchsorted(ends, row, side="right"))
        return file, row - (int(ends[file - 1]) if file else 0)

    def _image(self) -> str:
        known = picture_columns(self.paths[0])
        if self.image and self.image not in known:
            raise UnknownName("column of pictures", self.image, known)
        if not known or (not self.image and len(known) > 1):
            told = f"{len(known)} columns of pictures" if known else "no column of pictures"
            hint = (
                f"name one: ?image={known[0]}"
                if known
                else "?image names a column of bytes, or {bytes, path}"
            )
            raise DataError(f"{self.paths[0]} has {told}", hint)
        return self.image or known[0]

    def _label(self) -> str | None:
        schema, named = _about(self.paths[0]).schema, list(_class_names(self.paths[0]))
        if self.label_column and self.label_column not in schema.names:
            raise UnknownName("column", self.label_column, schema.names)
        usual = "label" if "label" in schema.names else named[0] if len(named) == 1 else None
        return self.label_column or usual


_at_hand = threading.local()
"""The pictures of the batch that this thread reads."""

Picture = tuple[bytes | None, str | None]


class _About(NamedTuple):
    rows: int
    schema: pa.Schema


@remembered
def _about(path: str) -> _About:
    """How many rows a file has, and which columns."""
    try:
        if path.endswith(".arrow"):
            table = _arrow(path)
            return _About(table.num_rows, table.schema)
        return _About(pq.read_metadata(path).num_rows, pq.read_schema(path))
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"cannot read {path}: {' '.join(str(error).split())[:160]}", "was it cut short?"
        ) from None


@remembered
def _arrow(path: str) -> pa.Table:
    """An Arrow file as it lies on disk: only what is touched is read."""
    mapped = pa.memory_map(path)
    try:
        return pa.ipc.open_stream(mapped).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(mapped).read_all()


def picture_columns(path: str) -> list[str]:
    """The columns of bytes, or of bytes with a path."""
    return [field.name for field in _about(path).schema if _holds_pictures(field.type)]


def _holds_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(k).name == "bytes" for k in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


@remembered
def _class_names(path: str) -> dict[str, tuple[str, ...]]:
    """The names of classes by column, as Hugging Face notes them."""
    note = (_about(path).schema.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(note).get("info", {}).get("features", {})
    return {
        name: tuple(one["names"])
        for name, one in features.items()
        if isinstance(one, dict) and "names" in one
    }


@remembered
def _column(path: str, column: str) -> pa.ChunkedArray:
    """A column of labels or groups, all of it."""
    if column not in (known := _about(path).schema.names):
        raise UnknownName("column", column, known)
    return _arrow(path)[column] if path.endswith(".arrow") else pq.read_table(path, columns=[column])[column]


@lru_cache(8)
def _words(paths: tuple[str, ...], column: str, stamps: object) -> tuple[str, ...]:
    """The classes of a column of words, of all files together: each counts where one of them lacks a class."""
    del stamps
    kind = _about(paths[0]).schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return ()
    return tuple(
        sorted({word for path in paths for word in _column(path, column).unique().to_pylist() if word})
    )


@lru_cache(8)
def _ends(paths: tuple[str, ...]) -> np.ndarray:
    """Up to which number each file's rows go."""
    return np.cumsum([_about(path).rows for path in paths])


def _pictures(path: str, column: str, rows: Sequence[int]) -> Iterator[tuple[int, Picture]]:
    """The pictures in some rows, ascending."""
    if path.endswith(".arrow"):
        table = _arrow(path)[column]
        yield from ((row, _picture(table[row])) for row in rows)
        return
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        meta = file.metadata
        ends = np.cumsum([meta.row_group(g).num_rows for g in range(meta.num_row_groups)])
        groups = np.searchsorted(ends, rows, side="right")
        for g in dict.fromkeys(groups.tolist()):
            begin = int(ends[g - 1]) if g else 0
            own = [row - begin for row, group in zip(rows, groups, strict=True) if group == g]
            yield from ((begin + row, one) for row, one in _in_group(file, g, column, own))


def _in_group(
    file: pq.ParquetFile, g: int, column: str, rows: Sequence[int]
) -> Iterator[tuple[int, Picture]]:
    """Those of one row group, which is gone through up to the last of them and never held whole."""
    left, at = list(rows), 0
    for batch in file.iter_batches(AT_ONCE, row_groups=[g], columns=[column]):
        while left and left[0] < at + len(batch):
            yield left[0], _picture(batch[0][left.pop(0) - at])
        at += len(batch)
        if not left:
            return


def _picture(cell: Any) -> Picture:
    found = cell.as_py()
    if isinstance(found, dict):
        return found.get("bytes"), found.get("path")
    return found, None
