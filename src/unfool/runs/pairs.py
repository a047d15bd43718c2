"""Images that fooled a network beside what they were before: what alarms learn from."""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..data.base import Sample, Source
from ..method import Columns, Question
from ..model import Model
from ..objectives import label_of
from ..rows import Batch
from ..views import View, from_uint8, to_uint8
from .begin import ids_where
from .table import Table, read_table


class Pairs(Source):
    """Images that fooled a network (label 1) and what they were before (label 0), as attacks' runs have left them."""

    folder: str
    runs: tuple[str, ...]
    noise: tuple[str, ...] = ()
    """Runs whose changed images count as harmless (label 0)."""

    def ids(self) -> tuple[str, ...]:
        fooled = {run: self._fooled(run) for run in self.runs}
        before = dict.fromkeys(i for ids in fooled.values() for i in ids)
        after = [f"{run}/changed/{i}" for run, ids in fooled.items() for i in ids]
        quiet = [f"{run}/changed/{i}" for run in self.noise for i in self._table(run).ids]
        return (*(f"{self.runs[0]}/original/{i}" for i in before), *after, *quiet)

    def sample(self, id: str, view: View) -> Sample:
        run, kind, name = id.split("/", 2)
        table = self._table(run)
        return Sample(from_uint8(table[kind][_places(self.folder, run)[name]]))

    def label(self, id: str) -> int:
        run, kind, _ = id.split("/", 2)
        return int(kind == "changed" and run not in self.noise)

    def _table(self, run: str) -> Table:
        return _read(self.folder, run)

    def _fooled(self, run: str) -> list[str]:
        table = self._table(run)
        return ids_where(table.ids, table["fooled"].bool())


@lru_cache(maxsize=16)
def _read(folder: str, run: str) -> Table:
    return read_table(Path(folder) / run)


@lru_cache(maxsize=16)
def _places(folder: str, run: str) -> dict[str, int]:
    return {i: k for k, i in enumerate(_read(folder, run).ids)}


def as_files(batch: Batch, model: Model) -> Batch:
    """The images as 8-bit files hold them, so that no alarm can tell others by that; unknown labels as predicted."""
    x = from_uint8(to_uint8(batch.x))
    y = batch.y if (batch.y >= 0).all() else Question(model).labels(batch)
    return Batch(batch.ids, x, y, groups=batch.groups, errors=batch.errors)


def changed(model: Model, found: Tensor, batch: Batch) -> Columns:
    """What a run keeps of changed images."""
    saved = to_uint8(found).cpu()
    before, after = (label_of(model(x)).cpu() for x in (batch.x, from_uint8(saved)))
    readable = torch.tensor([i not in batch.errors for i in batch.ids])
    right = (before == batch.y) & readable
    return {
        "original": to_uint8(batch.x).cpu(),
        "changed": saved,
        "right": right,
        "fooled": right & (after != batch.y),
        "y": batch.y,
    }
