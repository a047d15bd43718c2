"""The files of a run: a part is one safetensors file, there whole or not at all."""

import json
import os
import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import DataError
from ..method import Columns

HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


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


def read_part(path: Path, names: Sequence[str] | None = None) -> tuple[Columns, dict[str, Any]]:
    """What :func:`write_part` wrote: some or all tensors, and the note beside them."""
    with safe_open(path, "pt") as file:
        note = json.loads(file.metadata()["unfool"])
        return {name: file.get_tensor(name) for name in file.keys() if names is None or name in names}, note  # noqa: SIM118


def whole(part: Path) -> bool:
    """Whether a part is there and can be read; a torn one is written again."""
    if not part.exists():
        return False
    try:
        with safe_open(part, "pt") as file:
            return file.metadata() is not None
    except (SafetensorError, OSError):
        return False


def joined(parts: Sequence[Part], lengths: Sequence[int]) -> Part:
    """Pieces of one chunk as the part that it would have been in one; ``lengths`` are their numbers of samples."""
    known = next((part.columns for part in parts if part.columns), {})
    columns = {
        name: torch.cat(
            [p.columns.get(name, blank(like, n)).cpu() for p, n in zip(parts, lengths, strict=True)]
        )
        for name, like in known.items()
    }
    errors = {i: e for part in parts for i, e in part.errors.items()}
    groups = {name: tuple(v for part in parts for v in part.groups[name]) for name in parts[0].groups}
    return Part(columns, errors, groups)


def blank(like: Tensor, n: int) -> Tensor:
    """Rows of nothing, like those of a column: NaN, -1, False or 0, by type."""
    empty = (
        float("nan") if like.is_floating_point() else -1 if like.dtype in (torch.int64, torch.int32) else 0
    )
    return torch.full((n, *like.shape[1:]), empty, dtype=like.dtype)


def atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """A file that is there whole or not at all, whenever the process dies."""
    draft = path.with_name(f".{path.name}.{HOST}.{os.getpid()}.{threading.get_ident()}.tmp")
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


def sweep(folder: Path) -> None:
    """Remove the drafts that killed processes of this machine have left."""
    for draft in folder.glob(f".*.{HOST}.*.tmp"):
        process = draft.name.split(".")[-3]
        if process.isdecimal() and not _alive(int(process)):
            draft.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True
