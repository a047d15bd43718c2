"""Something learned from data, in a folder: stopped at any moment, it goes on from there to the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..checks import checked_labels
from ..data.base import Source
from ..errors import DataError
from ..method import Columns, Fit, Question
from ..model import Model
from ..regions import Region
from ..spec import Count, Natural, Spec
from .begin import chosen, claim
from .reading import Reader
from .work import Progress, atomically, whole

LEARNED, SO_FAR = "learned.safetensors", "state.safetensors"
STEP = "step"
"""The name of the number of updates done in the file of the state so far."""


class Learning(Spec):
    """What is learned of which model from which data, and how: one line of text, as a recipe is."""

    fit: Fit
    model: str
    data: str
    within: Region | None = None
    target: Natural | None = None
    """A class to lead to; by default away from each image's label."""
    after: Natural = 0
    """How many samples of the shuffle are left out, for others to judge on."""
    limit: Count | None = None
    """How many of the rest are learned from; None takes all."""
    seed: Natural = 0

    def ids(self, source: Source) -> tuple[str, ...]:
        """The samples learned from: those of the shuffle of a recipe with this seed that come ``after``."""
        rest = chosen(source.ids(), None, self.seed)[self.after :]
        if not rest:
            raise DataError(
                f"of {len(source.ids())} samples {self.after} are kept to judge: none is left to learn from"
            )
        return rest[: self.limit]


def run_fit(
    learning: Learning,
    model: Model,
    source: Source,
    folder: Path,
    *,
    every: int = 20,
    progress: Progress = lambda n: None,
) -> Path:
    """The file of what was learned; the state is written down every so many updates."""
    claim(folder, repr(learning), model)
    done, fit = folder / LEARNED, learning.fit
    if whole(done):
        return done
    ids, question = learning.ids(source), Question(model, learning.within, learning.target, learning.seed)
    reader = Reader(source, model)
    with model.settled():
        learned = fit.finish(_folded(fit, question, ids, reader, folder / SO_FAR, every, progress))
    atomically(done, lambda draft: save_file(plain(learned), draft, fit.note()))
    (folder / SO_FAR).unlink(missing_ok=True)
    return done


def _folded(
    fit: Fit, question: Question, ids: Sequence[str], read: Reader, path: Path, every: int, progress: Progress
) -> Any:
    first = read(ids[: fit.rows])
    if not len(first):
        raise DataError(f"none of the first {len(ids[: fit.rows])} samples to learn from could be read")
    if question.target is not None:
        checked_labels(question.target, first.x, question.model(first.x[:1]).shape[1], "targets")
    state, begun = _resumed(fit, fit.start(question, first), path)
    for step, (asked, some) in enumerate(fit.lessons(question, ids), 1):
        if step > begun:
            batch = read(some)
            state = fit.update(asked, state, batch) if len(batch) else state
            if step % every == 0:
                tensors = {**plain(fit.written(state)), STEP: torch.tensor(step)}
                atomically(path, lambda draft, tensors=tensors: save_file(tensors, draft, {"unfool": "{}"}))
        progress(len(some))
    return state


def _resumed(fit: Fit, state: Any, path: Path) -> tuple[Any, int]:
    """The state so far and the number of its updates; a torn file is as none."""
    if not whole(path):
        return state, 0
    held = load_file(path)
    done = int(held.pop(STEP))
    return fit.taken_up(state, held), done


def plain(tensors: dict[str, Tensor]) -> Columns:
    """Tensors as a file holds them."""
    return {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
