"""Pictures listed in a table, with labels, masks and groups."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import torch
from PIL import Image

from ..errors import DataError, UnknownName
from ..views import View
from .base import Sample, Source
from .folder import open_picture, read_picture
from .remembered import remembered
from .scans import Scan, is_nifti, is_scan, read_scan

NOTHING = 255
"""What a pixel of a map of classes says that belongs to none."""


class Table(Source):
    """A csv or parquet file with a column of paths, beside which relative ones are found."""

    path: str
    column: str = "path"
    label_column: str = "label"
    mask_column: str = "mask"
    class_column: str = "classes"
    """Of pictures whose values are classes, 255 none; what the mask column names is yes where it is not black."""
    group_columns: tuple[str, ...] = ()
    """By default every other column of few different words."""
    scan: Scan = Scan()
    """How its DICOM and NIfTI files are read."""

    def ids(self) -> tuple[str, ...]:
        return tuple(_rows(self.path, self.column))

    def sample(self, id: str, view: View) -> Sample:
        home, row = Path(self.path).parent, self._row(id)
        named = row.get(self.mask_column)
        mask = home / str(named) if named else None
        if is_scan(home / id.partition("#")[0]):
            drawn = mask if mask is not None and is_nifti(mask) else None
            found = read_scan(home / id, self.scan, view, drawn)
        else:
            found, drawn = Sample(read_picture(home / id, view)), None
        if mask is not None and drawn is None:
            found.mask = _fitting(_mask(mask, view), found.x, mask)
        elif map_of_classes := row.get(self.class_column):
            place = home / str(map_of_classes)
            found.mask = _fitting(_classes(place, view), found.x, place)
        return found

    def label(self, id: str) -> str | int | None:
        found = self._row(id).get(self.label_column)
        return found if found is None or isinstance(found, int) else str(found)

    def groups(self, id: str) -> dict[str, str]:
        row = self._row(id)
        return {
            name: "" if row[name] is None else str(row[name]) for name in self.group_columns or self._words()
        }

    def columns(self) -> tuple[str, ...]:
        """Every column that says something else of an image than its path, label and mask."""
        taken = {self.column, self.label_column, self.mask_column, self.class_column}
        return tuple(name for name in _read(self.path).column_names if name not in taken)

    def _row(self, id: str) -> dict[str, Any]:
        return _rows(self.path, self.column)[id]

    def _words(self) -> tuple[str, ...]:
        taken = {self.column, self.label_column, self.mask_column, self.class_column}
        return tuple(name for name in _few_words(self.path) if name not in taken)


def _mask(path: Path, view: View) -> torch.Tensor:
    """A mask cut as its picture is: [1, H, W] bool."""
    with open_picture(path) as picture:
        drawn = Image.fromarray(((np.asarray(picture.convert("L")) > 0) * 255).astype(np.uint8))
        return View(view.resize, view.crop, 1)(drawn) > 0.5


def _classes(path: Path, view: View) -> torch.Tensor:
    """A map of classes cut as its picture is, nothing where it says 255: [1, H, W] int64."""
    with open_picture(path) as picture:
        if picture.mode not in ("L", "P", "I", "I;16"):
            raise DataError(f"{path}: a map of classes has one number a pixel, not {picture.mode}")
        found = view.numbers(picture)
    return found.where(found != NOTHING, 0)


def _fitting(mask: torch.Tensor, x: torch.Tensor, path: Path) -> torch.Tensor:
    if mask.shape[1:] != x.shape[1:]:
        raise DataError(
            f"{path}: the mask is {list(mask.shape[1:])} and its image {list(x.shape[1:])}",
            "give it the image's size",
        )
    return mask


@remembered
def _rows(path: str, column: str) -> dict[str, dict[str, Any]]:
    """Rows by the value of their path column."""
    table = _read(path)
    if column not in table.column_names:
        raise UnknownName("column", column, table.column_names)
    rows = {str(row[column]): row for row in table.to_pylist()}
    if not rows:
        raise DataError(f"{path} lists no samples")
    if len(rows) < table.num_rows:
        twice = next(
            name for name, times in Counter(map(str, table[column].to_pylist())).items() if times > 1
        )
        raise DataError(f"{path} lists {twice} more than once", "one row for each picture")
    return rows


@remembered
def _few_words(path: str) -> tuple[str, ...]:
    table = _read(path)
    words = [n for n in table.column_names if pa.types.is_string(table.schema.field(n).type)]
    return tuple(n for n in words if len(table[n].unique()) <= max(2, min(50, len(table) // 2)))


@remembered
def _read(path: str) -> pa.Table:
    try:
        return csv.read_csv(path) if path.lower().endswith(".csv") else pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = "".join(c for c in " ".join(str(error).split()) if c.isprintable() and c != "\ufffd")
        raise DataError(f"cannot read the table {path}: {reason[:160]}", "a .csv or .parquet file") from None
