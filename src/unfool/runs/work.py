"""A run is a recipe and a folder of parts. A part that exists is done; nothing else is remembered."""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import DataError, Lacking, RunConflict
from ..method import Columns, Method, Question
from ..rows import Batch

OTHER_FOLDER = "give another folder with --out, or remove this one"

Progress = Callable[[int], None]


def work(
    recipe: str,
    folder: Path,
    ids: Sequence[str],
    rows: Callable[[Sequence[str]], "Part"],
    *,
    chunk: int = 64,
    rank: int = 0,
    world: int = 1,
    progress: Progress = lambda n: None,
) -> None:
    """Write the missing parts that fall to this worker; ``rows(ids)`` gives one chunk.

    Chunks do not depend on ``world``: a run may go on with more or fewer workers than it began with, and two that meet
    on a part write the same bytes.
    """
    claim_folder(folder, recipe)
    for k in range(ceil(len(ids) / chunk)):
        some, part = ids[k * chunk : (k + 1) * chunk], folder / f"part-{k:05d}.safetensors"
        if k % world == rank and not whole(part):
            write_part(part, some, rows(some))
        progress(len(some))


class Part(NamedTuple):
    """A chunk's columns, what went wrong with which sample, and the samples' groups."""

    columns: Columns
    errors: dict[str, str]
    groups: dict[str, tuple[str, ...]]


def write_part(path: Path, ids: Sequence[str], part: Part) -> None:
    """One safetensors file; what is not a tensor is one JSON note in it, so that the same part is the same bytes."""
    note = json.dumps({"errors": part.errors, "groups": part.groups, "ids": list(ids)}, sort_keys=True)
    tensors = {name: part.columns[name].detach().cpu().contiguous() for name in sorted(part.columns)}
    atomically(path, lambda draft: save_file(tensors, draft, {"unfool": note}))


def claim_folder(folder: Path, recipe: str) -> None:
    """Write the recipe where there is none; a folder in which another one has left results is refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make the folder {folder}: {error.strerror}", "give another with --out"
        ) from None
    written = folder / "recipe.txt"
    if not written.exists():
        atomically(written, lambda draft: draft.write_text(f"{recipe}\n"))
    if (held := written.read_text().strip()) != recipe:
        if _only_begun(folder):  # and stopped by an error: nothing is lost
            (folder / "manifest.json").unlink()
            atomically(written, lambda draft: draft.write_text(f"{recipe}\n"))
            return
        raise RunConflict(f"{folder} holds another run: {held}", OTHER_FOLDER)


def _only_begun(folder: Path) -> bool:
    """Whether a run has left its two notes and nothing else."""
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    return sorted(files) == ["manifest.json", "recipe.txt"]


def whole(part: Path) -> bool:
    """Whether a part is there and can be read; a torn one is written again."""
    if not part.exists():
        return False
    try:
        with safe_open(part, "pt") as file:
            return file.metadata() is not None
    except (SafetensorError, OSError):
        return False


def atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """A file that is there whole or not at all, whenever the process dies."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(draft)
        os.replace(draft, path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}", "is the disk full?") from None
    except SafetensorError as error:
        raise DataError(f"cannot write {path}: {error}", "is the disk full?") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def answered(method: Method, question: Question, batch: Batch) -> Part:
    """A method's columns for a batch; rows that could not be read or are left out are blank and say why.

    So are those that turn out to lack what is asked about: the others are asked again without them.
    """
    errors = method.left_out(question, batch) | batch.errors
    while True:
        usable = torch.tensor([i not in errors for i in batch.ids], dtype=torch.bool)
        if not usable.any():
            return Part({}, errors, batch.groups)
        some = batch[usable]
        try:
            columns = method.columns(question, some)
            break
        except Lacking as lacks:
            errors |= {some.ids[k]: reason for k, reason in lacks.reasons.items()}
    spread = {name: _spread(values.cpu(), usable) for name, values in columns.items()}
    return Part(spread, errors, batch.groups)


def _spread(values: Tensor, where: Tensor) -> Tensor:
    """Rows put where ``where`` is true; elsewhere NaN, -1, False or 0, by type."""
    if where.all():
        return values
    blank = (
        float("nan")
        if values.is_floating_point()
        else -1
        if values.dtype in (torch.int64, torch.int32)
        else 0
    )
    out = torch.full((len(where), *values.shape[1:]), blank, dtype=values.dtype)
    out[where] = values
    return out
