"""A file of answers: written as they come, by several processes at once where need be.

It begins with a line of JSON that says whose answers it holds. After it comes one record per image: a hash of the
image, the kind and length of the answer, the answer, a checksum. Whoever reads or adds holds a lock, which the system
takes back from a process that dies; what such a process has torn is cut off by the next who adds.
"""

import json
import os
import struct
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from ..errors import DataError, RunConflict

START = b'{"unfool answers of'
HEAD, TAIL = struct.Struct("<16s1sI"), struct.Struct("<I")
KINDS = {b"f": np.dtype("<f4"), b"d": np.dtype("<f8"), b"i": np.dtype("<i8")}
FAR = 2**62
"""Where a lock of some bytes covers none that are ever written."""


class Answers:
    """The answers in a file by the hash of their image, made where there is none; ``end`` is how far it was read."""

    def __init__(self, path: Path, of: str):
        self.path, self.known, self.end = path, dict[bytes, Any](), 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._held(os.O_CREAT) as file:
            first, line, _ = file.readall().partition(b"\n")
            if line:
                _check_owner(first, of, path)
            elif not START.startswith(first[: len(START)]):
                raise DataError(f"{path} is no file of answers", "give a new file to --remember")
            else:  # a new file, or one torn in its first line
                first = json.dumps({"unfool answers of": of}).encode()
                file.truncate(0)
                _write(file, 0, first + b"\n")
            self.end = len(first) + 1
            self._read_on(file)

    def add(self, keys: list[bytes], answers: Any) -> None:
        """Write answers [n, *] down behind all that others have added meanwhile, which is then known here, too."""
        kind = next(
            (k for k, t in KINDS.items() if t == answers.dtype), b"d" if answers.dtype.kind == "f" else b"i"
        )
        answers = answers.astype(KINDS[kind])
        content = b"".join(map(_record, keys, [kind] * len(keys), answers))
        with self._held() as file:
            self._read_on(file)
            _write(file, self.end, content)
        self.end += len(content)
        self.known |= dict(zip(keys, answers, strict=True))

    def _read_on(self, file: FileIO) -> None:
        """Whatever was added since; a torn end is cut off."""
        file.seek(self.end)
        content = file.readall()
        known, whole = _records(content)
        self.known |= known
        self.end += whole
        if whole < len(content):
            file.truncate(self.end)

    @contextmanager
    def _held(self, how: int = 0) -> Generator[FileIO]:
        """The file, while nobody else reads or adds."""
        flags = os.O_RDWR | how | getattr(os, "O_BINARY", 0)
        with FileIO(os.open(self.path, flags, 0o666), "r+") as file, _locked(file.fileno()):
            yield file


def _write(file: FileIO, at: int, content: bytes) -> None:
    file.seek(at)
    while content:
        content = content[file.write(content) or 0 :]


@contextmanager
def _locked(file: int) -> Generator[None]:
    """Alone with a file among those who ask; where the file's system has no locks, everybody is."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_LOCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
        yield
        os.lseek(file, FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file gives the lock back


def _record(key: bytes, kind: bytes, answer: Any) -> bytes:
    told = struct.pack(f"<B{answer.ndim}I", answer.ndim, *answer.shape) + answer.tobytes()
    body = HEAD.pack(key, kind, len(told)) + told
    return body + TAIL.pack(crc32(body))


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
