"""A run is a recipe and a folder of parts. A part that exists is done; nothing else is remembered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

import torch
from torch import Tensor

from ..data.base import Source
from ..errors import DataError, Lacking, RunConflict
from ..method import Method, Question
from ..rows import Batch
from ..views import View
from .engine import Asked, Chunk, Rows, engine
from .parts import Part, atomically, blank, sweep, whole

OTHER_FOLDER = "give another folder with --out, or remove this one"

Progress = Callable[[int], None]


def work(
    recipe: str,
    folder: Path,
    ids: Sequence[str],
    rows: Rows,
    *,
    chunk: int = 64,
    together: bool = True,
    progress: Progress = lambda n: None,
) -> int:
    """Write the missing parts; ``rows(ids)`` gives one chunk. Returns how many are still missing.

    Chunks do not depend on who does them (see ``engine.py``): a run may go on with more or fewer workers than it began
    with, and two that meet on a part write the same bytes. Some may be missing only without ``together``, where they
    fall to other ranks.
    """
    claim_folder(folder, recipe)
    sweep(folder)
    chunks = [
        Chunk(k, ids[k * chunk : (k + 1) * chunk], folder / f"part-{k:05d}.safetensors")
        for k in range(ceil(len(ids) / chunk))
    ]
    missing = [c for c in chunks if not whole(c.path)]
    progress(len(ids) - sum(len(c.ids) for c in missing))
    if missing:
        engine().do(rows, missing, lambda done: progress(len(done.ids)), together)
    return 0 if together else sum(not whole(c.path) for c in missing)


@dataclass(frozen=True)
class Reading:
    """Samples of a source as a model wants them."""

    source: Source
    view: View | None
    classes: Sequence[str]

    def __call__(self, ids: Sequence[str]) -> Batch:
        return self.source.batch(ids, self.view, self.classes)


def asking(method: Method, question: Question, source: Source) -> Asked:
    """A method's columns of a source's samples."""
    model = question.model
    return Asked(Reading(source, model.view, model.classes), partial(answered, method, question))


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
            (folder / "manifest.json").unlink(missing_ok=True)
            atomically(written, lambda draft: draft.write_text(f"{recipe}\n"))
            return
        raise RunConflict(f"{folder} holds another run: {held}", OTHER_FOLDER)


def _only_begun(folder: Path) -> bool:
    """Whether a run has left its two notes and nothing else."""
    files = [path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return sorted(files) == ["manifest.json", "recipe.txt"]


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
    """Rows put where ``where`` is true; blank elsewhere."""
    if where.all():
        return values
    out = blank(values, len(where))
    out[where] = values
    return out
