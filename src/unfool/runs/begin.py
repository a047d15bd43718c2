"""What every run begins with: which samples, how many at a time, whose weights, and who watches."""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.base import Source
from ..data.labels import label_numbers
from ..errors import InputError, RunConflict
from ..method import Method
from ..model import Model
from ..regions import Region
from ..rows import Batch, stable_number
from ..views import View
from .work import OTHER_FOLDER, Progress, atomically, claim_folder

Watch = Callable[[str, int], AbstractContextManager[Progress]]
"""Told the name of a step and its number of samples, gives what is called with each number done."""


@contextmanager
def unwatched(name: str, total: int) -> Generator[Progress]:
    yield lambda done: None


class Step(NamedTuple):
    """One run of an audit: which method, on which samples, within which region, how many at a time."""

    name: str
    method: Method
    ids: Sequence[str]
    within: Region
    chunk: int


def at_once(image: Tensor) -> int:
    """How many images go together: so many that a backward pass through a large network fits in a few GB."""
    return max(4, min(128, 4_000_000 // image.numel()))


def chosen(ids: Sequence[str], limit: int | None, seed: int) -> tuple[str, ...]:
    """The first ``limit`` of a shuffle that depends on ids and seed alone."""
    if not ids:
        raise InputError("the data hold no samples")
    return tuple(sorted(ids, key=lambda i: stable_number(seed, "chosen", i))[:limit])


STARTS = 20
"""From how many images of the data a search towards a class may begin."""


def starts(source: Source, model: Model, target: int, seed: int) -> Tensor | None:
    """Images [N, C, *] of the data that are labelled as the target, then others without a label; None without any.

    They depend on the data and the seed alone, not on which images are attacked.
    """
    ids = chosen(source.ids(), None, seed)
    names = model.classes or source.label_names()
    labels = label_numbers(ids, [source.label(i) for i in ids], names, {}).tolist()
    own, unknown = ([i for i, y in zip(ids, labels, strict=True) if y == kind] for kind in (target, -1))
    some = (own + unknown)[:STARTS]
    held = source.batch(some, model.view, model.classes).readable() if some else ()
    return held.x if isinstance(held, Batch) and len(held) else None


def first_image(source: Source, ids: Sequence[str], view: View | None, model: Model) -> Tensor:
    """One image as the model will see it: [C, *space]."""
    problems: dict[str, str] = {}
    for i in ids:
        batch = source.batch([i], view, model.classes)
        if not batch.errors:
            return batch.x[0]
        problems |= batch.errors
    raise InputError(f"none of the {len(ids)} samples could be read: {next(iter(problems.values()))}")


def ids_where(ids: Sequence[str], flags: Tensor) -> list[str]:
    return [i for i, flag in zip(ids, flags.tolist(), strict=True) if flag]


def claim(folder: Path, text: str, model: Model) -> None:
    """Note what the audit is and of which weights; a folder that holds another is refused."""
    claim_folder(folder, text)
    manifest, weights = folder / "manifest.json", fingerprint(model)
    if not manifest.exists():
        versions = {"unfool": version("unfool"), "torch": torch.__version__}
        note = {**versions, "weights": weights, "model": model.name, "classes": list(model.classes)}
        atomically(manifest, lambda draft: draft.write_text(json.dumps(note, indent=1)))
    if (held := json.loads(manifest.read_text())["weights"]) != weights:
        raise RunConflict(
            f"{folder} was begun with other weights ({held[:12]}, not {weights[:12]})", OTHER_FOLDER
        )


def fingerprint(model: Model) -> str:
    """A hash of every weight."""
    digest = sha256()
    for name, value in sorted(model.net.state_dict().items()):
        digest.update(
            name.encode() + value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
