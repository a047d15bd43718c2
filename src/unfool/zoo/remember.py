"""What a black box has answered, kept on disk as it comes: a run that was cut short asks nothing twice."""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ..blackbox import BlackBox
from ..errors import DataError, InputError
from ..model import Model
from ..objectives import label_of
from .answers import Answers

BATCH = 64
"""How many images the black box is given at a time; after each its answers are on disk."""


class Remembered:
    """A function of numpy images that asks ``f`` only about images it has no answer to.

    ``asked`` counts the images that ``f`` was given, ``replayed`` those answered from the file.
    """

    def __init__(self, f: Callable[[Any], Any], path: Path, of: str):
        self.f, self.path, self.asked, self.replayed = f, path, 0, 0
        try:
            self.answers = Answers(path, of)
        except OSError as error:
            raise DataError(
                f"cannot use {path}: {error.strerror or error}", "give another file to --remember"
            ) from None

    def __call__(self, x: Any) -> Any:
        keys = [key_of(image) for image in x]
        new = {
            key: k for k, key in enumerate(keys) if key not in self.answers.known
        }  # of equal images one is asked
        places = list(new.values())
        for some in (places[k : k + BATCH] for k in range(0, len(places), BATCH)):
            self._ask(x[some], [keys[k] for k in some])
        self.replayed += len(x) - len(new)
        return np.stack([self.answers.known[key] for key in keys])

    def _ask(self, x: Any, keys: list[bytes]) -> None:
        answer = self.f(x)
        answers = np.asarray(answer.cpu() if isinstance(answer, torch.Tensor) else answer)
        if len(answers) != len(x):
            raise InputError(f"the black box gave {len(answers)} answers for {len(x)} images")
        self.asked += len(x)
        try:
            self.answers.add(keys, answers)
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}", "is the disk full?") from None

    def __str__(self) -> str:
        return f"{self.asked} images asked, {self.replayed} answered from {self.path}"


def key_of(image: Any) -> bytes:
    """A hash of an image's bytes, type and shape."""
    digest = blake2b(f"{image.dtype.str}{image.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.digest()


def remembered(model: Model, path: Path) -> Model:
    """The same black box, whose answers are kept in a file and not asked for again."""
    if not isinstance(model.net, BlackBox):
        told = f"only the answers of a black box are remembered, {model.name} is a network"
        raise InputError(told, "--only labels makes it one")
    f = Remembered(model.net.f, path, f"{model.name}, {model.access}")
    return model.around(BlackBox(f, model.net.classes))


def memory_of(model: Model) -> Remembered | None:
    """What counts the questions of a model that remembers."""
    return model.net.f if isinstance(model.net, BlackBox) and isinstance(model.net.f, Remembered) else None


def only(model: Model, access: Literal["scores", "labels"]) -> Model:
    """The same model as one who may only ask would know it: by its scores, or by its labels alone."""

    def told(x: Any) -> Any:
        logits = model(torch.from_numpy(x))
        shown = (
            torch.nn.functional.one_hot(label_of(logits), logits.shape[1]).float()
            if access == "labels"
            else logits
        )
        return shown.cpu().numpy()

    if access == "scores":
        model.need("scores", "--only scores")
    how = {"name": model.name, "view": model.view, "capacity": model.capacity}
    veiled = Model.scores(told, model.classes, outputs="logits", **how)
    veiled.access = access
    return veiled
