"""What a black box has answered, kept on disk as it comes: a run that was cut short asks nothing twice.

The file begins with a line of JSON that says whose answers it holds. After it comes one record per image: a hash of the
image, the kind and length of the answer, the answer, a checksum. A record that was torn by the end of a process is cut
off when the file is opened again.
"""

import json
import os
import struct
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
import torch

from ..blackbox import BlackBox
from ..errors import DataError, InputError, RunConflict
from ..model import Model
from ..objectives import label_of

BATCH = 64
"""How many images the black box is given at a time; after each its answers are on disk."""
START = b'{"unfool answers of'
HEAD, TAIL = struct.Struct("<16s1sI"), struct.Struct("<I")
KINDS = {b"f": np.dtype("<f4"), b"d": np.dtype("<f8"), b"i": np.dtype("<i8")}


class Remembered:
    """A function of numpy images that asks ``f`` only about images it has no answer to.

    ``asked`` counts the images that ``f`` was given, ``replayed`` those answered from the file.
    """

    def __init__(self, f: Callable[[Any], Any], path: Path, of: str):
        self.f, self.path, self.asked, self.replayed = f, path, 0, 0
        self.known = _opened(path, of)

    def __call__(self, x: Any) -> Any:
        keys = [key_of(image) for image in x]
        new = {key: k for k, key in enumerate(keys) if key not in self.known}  # of equal images one is asked
        places = list(new.values())
        for some in (places[k : k + BATCH] for k in range(0, len(places), BATCH)):
            self._ask(x[some], [keys[k] for k in some])
        self.replayed += len(x) - len(new)
        return np.stack([self.known[key] for key in keys])

    def _ask(self, x: Any, keys: list[bytes]) -> None:
        answer = self.f(x)
        answers = np.asarray(answer.cpu() if isinstance(answer, torch.Tensor) else answer)
        if len(answers) != len(x):
            raise InputError(f"the black box gave {len(answers)} answers for {len(x)} images")
        self.asked += len(x)
        kind = next(
            (k for k, t in KINDS.items() if t == answers.dtype), b"d" if answers.dtype.kind == "f" else b"i"
        )
        answers = answers.astype(KINDS[kind])
        self.known |= dict(zip(keys, answers, strict=True))
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(b"".join(map(_record, keys, [kind] * len(keys), answers)))
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}", "is the disk full?") from None

    def __str__(self) -> str:
        return f"{self.asked} images asked, {self.replayed} answered from {self.path}"


def key_of(image: Any) -> bytes:
    """A hash of an image's bytes, type and shape."""
    digest = blake2b(f"{image.dtype.str}{image.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.digest()


def _record(key: bytes, kind: bytes, answer: Any) -> bytes:
    told = struct.pack(f"<B{answer.ndim}I", answer.ndim, *answer.shape) + answer.tobytes()
    body = HEAD.pack(key, kind, len(told)) + told
    return body + TAIL.pack(crc32(body))


def _opened(path: Path, of: str) -> dict[bytes, Any]:
    """The answers in a file, made where there is none; a torn end is cut off."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        first, line, rest = content.partition(b"\n")
        if not line:  # a new file, or one torn in its first line
            if not START.startswith(content[: len(START)]):
                raise DataError(f"{path} is no file of answers", "give a new file to --remember")
            path.write_bytes(json.dumps({"unfool answers of": of}).encode() + b"\n")
            return {}
        _check_owner(first, of, path)
        known, whole = _records(rest)
        if whole < len(rest):
            os.truncate(path, len(first) + 1 + whole)
    except DataError:
        raise
    except OSError as error:
        raise DataError(
            f"cannot use {path}: {error.strerror or error}", "give another file to --remember"
        ) from None
    return known


def _check_owner(line: bytes, of: str, path: Path) -> None:
    try:
        held = json.loads(line)["unfool answers of"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is no file of answers", "give a new file to --remember") from None
    if held != of:
        raise RunConflict(
            f"{path} holds the answers of {held}, not of {of}", "give each model a file of its own"
        )


def _records(content: bytes) -> tuple[dict[bytes, Any], int]:
    """The answers by key, and where the last whole record ends."""
    known, at = dict[bytes, Any](), 0
    while at + HEAD.size <= len(content):
        key, kind, length = HEAD.unpack_from(content, at)
        end = at + HEAD.size + length
        if kind not in KINDS or content[end : end + TAIL.size] != TAIL.pack(crc32(content[at:end])):
            break
        known[key] = _answer(content[at + HEAD.size : end], KINDS[kind])
        at = end + TAIL.size
    return known, at


def _answer(told: bytes, kind: Any) -> Any:
    sides = told[0]
    shape = struct.unpack_from(f"<{sides}I", told, 1)
    return np.frombuffer(told, kind, offset=1 + 4 * sides).reshape(shape)


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
