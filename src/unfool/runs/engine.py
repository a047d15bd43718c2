"""Who does the chunks of a run: this process, one of several ranks (``ranks.py``), or workers of Ray (``ray.py``)."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from ..errors import OutOfMemory
from ..memory import give_back, out_of_memory
from ..rows import Batch
from .parts import Part, joined, whole, write_part

Rows = Callable[[Sequence[str]], Part]
"""What a run finds of some samples."""

SMALLER = "smaller pictures (--view), fewer steps or samples of the method at once, or another --device"


class Chunk(NamedTuple):
    """A fixed slice of a run's samples, whoever does it, and the file of its part."""

    number: int
    ids: Sequence[str]
    path: Path


@dataclass(frozen=True)
class Asked:
    """Rows in two halves: the next samples are read while these are asked about."""

    read: Callable[[Sequence[str]], Batch]
    answer: Callable[[Batch], Part]
    """One entry per sample in every column: a batch that does not fit in memory is halved."""

    def __call__(self, ids: Sequence[str]) -> Part:
        return Careful(self.answer)(self.read(ids))


class Engine(ABC):
    """Who writes the parts of a run."""

    @abstractmethod
    def do(self, rows: Rows, chunks: Sequence[Chunk], done: Callable[[Chunk], None], together: bool) -> None:
        """Write the parts that are missing and tell ``done`` of each.

        With ``together`` all are there afterwards, also those that fall to others.
        """


class Local(Engine):
    """This process does it all."""

    def do(self, rows: Rows, chunks: Sequence[Chunk], done: Callable[[Chunk], None], together: bool) -> None:
        del together
        for chunk, part in made(rows, (c for c in chunks if not whole(c.path))):
            write_part(chunk.path, chunk.ids, part)
            done(chunk)


def made(rows: Rows, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Part]]:
    """Each chunk's part; while one is made, a thread reads the samples of the next."""
    if not isinstance(rows, Asked):
        yield from ((chunk, rows(chunk.ids)) for chunk in chunks)
        return
    answer, coming = Careful(rows.answer), deque[tuple[Chunk, Future[Batch]]]()
    reader = ThreadPoolExecutor(1, "reader")
    try:
        for chunk in chunks:
            coming.append((chunk, reader.submit(rows.read, chunk.ids)))
            if len(coming) == 2:
                yield _next(coming, answer)
        while coming:
            yield _next(coming, answer)
    finally:
        reader.shutdown(cancel_futures=True)


def _next(coming: deque[tuple[Chunk, Future[Batch]]], answer: Callable[[Batch], Part]) -> tuple[Chunk, Part]:
    chunk, batch = coming.popleft()
    return chunk, answer(batch.result())


class Careful:
    """Answers of a batch, which is halved where memory does not suffice; the size that fits is remembered."""

    def __init__(self, answer: Callable[[Batch], Part]):
        self.answer, self.most = answer, 1 << 30

    def __call__(self, batch: Batch) -> Part:
        if len(batch) <= self.most and (part := self._tried(batch)) is not None:
            return part
        found, lengths, begun = list[Part](), list[int](), 0
        while begun < len(batch):
            some = batch[torch.arange(begun, min(begun + self.most, len(batch)))]
            if (part := self._tried(some)) is not None:
                found.append(part)
                lengths.append(len(some))
                begun += len(some)
        return joined(found, lengths)

    def _tried(self, batch: Batch) -> Part | None:
        """The answer, or None where there was no memory for it: the next try is then half as large."""
        try:
            return self.answer(batch)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            told = str(error).split("\n")[0][:160]
        if len(batch) == 1:
            raise OutOfMemory(f"out of memory with a single image, {batch.ids[0]}: {told}", SMALLER)
        self.most = (len(batch) + 1) // 2
        give_back()  # only here: until its error is gone, the failed pass holds what it had
        return None


_engine: ContextVar[Engine | None] = ContextVar("engine", default=None)


def engine() -> Engine:
    """Who does the runs that are started now: this process, unless :func:`spread` says otherwise."""
    return _engine.get() or Local()


@contextmanager
def spread(by: Engine) -> Generator[None]:
    """All runs started inside are done by this engine."""
    token = _engine.set(by)
    try:
        yield
    finally:
        _engine.reset(token)
