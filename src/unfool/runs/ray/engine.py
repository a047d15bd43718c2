"""Chunks on workers of Ray: on this machine, or on a cluster that is there."""

import os
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...errors import DataError, EngineError
from ..engine import Asked, Chunk, Engine, Rows
from ..parts import HOST, whole, write_part
from .cluster import checked, connect, line_of, ray
from .ship import packed
from .worker import Pool

START = 120
"""Seconds in which the first worker must have started."""
STILLBORN = 2
"""How many workers are started again that have died before they were there."""
DEATHS = 5
"""How often a chunk is given to another worker when its own has died."""


class Ray(Engine):
    """Workers that hold the model, one a GPU, or without GPUs one a core; a chunk whose worker dies goes to another.

    ``address`` is empty for workers of this machine alone, else auto, HOST:PORT or ray://HOST:PORT. Parts are written
    by the workers where they see the run's folder, else they come here and are written here.
    """

    def __init__(self, address: str = "", workers: int | None = None, pool: Pool | None = None):
        checked(address, workers)
        self.address, self.workers = address, workers
        self.pool = pool

    def do(self, rows: Rows, chunks: Sequence[Chunk], done: Callable[[Chunk], None], together: bool) -> None:
        if self.pool is None:
            connect(self.address, self.workers)
            self.pool = Pool(self.workers)
        folder = chunks[0].path.parent.absolute()
        mark = mark_in(folder)
        mark.touch()
        try:
            _Run(self.pool, rows, mark, done).all([c._replace(path=folder / c.path.name) for c in chunks])
        except BaseException:
            self.close()  # what is still asked is not wanted any more
            raise
        finally:
            mark.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the workers go."""
        if self.pool is not None:
            self.pool.close()
        self.pool = None


def mark_in(folder: Path) -> Path:
    """By what workers see that they see the run's folder; of a driver that was killed it is swept with the drafts."""
    return folder / f".seen.{HOST}.{os.getpid()}.{secrets.token_hex(8)}.tmp"


class _Run:
    """Hands the chunks of one run to the workers of a pool."""

    def __init__(self, pool: Pool, rows: Rows, mark: Path, done: Callable[[Chunk], None]):
        self.pool, self.rows, self.mark, self.done = pool, rows, mark, done
        self.key, self.job = mark.name, [ray.put(packed(rows))]
        self.left, self.busy = deque[Chunk](), dict[Any, tuple[int, Chunk]]()
        self.deaths: Counter[int] = Counter()

    def all(self, chunks: Sequence[Chunk]) -> None:
        self.left.extend(chunks)
        self.pool.grow(len(chunks))
        for k in (*self.pool.idle, *self.pool.idle):
            self._feed(k)
        begun = time.monotonic()
        while self.left or self.busy:
            ready, _ = ray.wait([*self.busy, *self.pool.starting], num_returns=1, timeout=1.0)
            for ref in ready:
                if ref in self.pool.starting:
                    self._started(ref)
                else:
                    self._finished(ref)
            if not self.pool.idle and time.monotonic() - begun > START:
                raise EngineError(f"no worker has started within {START} s", self.pool.told)

    def _feed(self, k: int) -> None:
        """Another chunk to a worker: it has two at a time, one of which it reads.

        A chunk that a worker has died with goes out alone, so that the next death is its own and no neighbour's.
        """
        if not self.left:
            return
        held = [chunk for j, chunk in self.busy.values() if j == k]
        alone = any(self.deaths[chunk.number] for chunk in (*held, self.left[0]))
        if len(held) < (1 if alone else 2):
            chunk = self.left.popleft()
            self.busy[self.pool.actors[k].do.remote(self.key, self.job, chunk, self.mark)] = k, chunk

    def _started(self, ref: Any) -> None:
        k = self.pool.starting.pop(ref)
        try:
            theirs = ray.get(ref)
        except Exception as error:  # whatever keeps a process from starting, which may have been killed
            self.pool.stillborn += 1
            if self.pool.stillborn <= STILLBORN and isinstance(error, ray.exceptions.RayActorError):
                self.pool.start(k)
                return
            reason = str(error).strip().splitlines()[-1][:200]
            raise EngineError(
                f"a worker cannot start: {reason}",
                "is the cluster still there (ray status), with the same unfool on every machine?",
            ) from None
        if theirs != version("unfool"):
            raise EngineError(
                f"a worker has unfool {theirs}, here is {version('unfool')}", "install the same everywhere"
            )
        self.pool.idle.append(k)
        self._feed(k)
        self._feed(k)

    def _finished(self, ref: Any) -> None:
        k, chunk = self.busy.pop(ref)
        try:
            outcome = ray.get(ref)
        except ray.exceptions.RayActorError as error:
            self._died(k, chunk, line_of(error))
            return
        if outcome.said is not None:
            raise EngineError(*outcome.said) from None
        if outcome.unread:
            self._check_unread(outcome.unread, chunk)
        if outcome.part is not None:
            write_part(chunk.path, chunk.ids, outcome.part)
        elif not whole(chunk.path):
            raise EngineError(
                f"a worker has written {chunk.path}, which is not seen here", "is the disk full?"
            )
        self.done(chunk)
        self._feed(k)
        self._feed(k)

    def _died(self, k: int, chunk: Chunk, reason: str) -> None:
        """The chunk goes back, and another worker comes."""
        self.deaths[chunk.number] += 1
        if self.deaths[chunk.number] > DEATHS:
            raise EngineError(
                f"{DEATHS + 1} workers have died of chunk {chunk.number}: {reason}",
                "is there memory for fewer --workers?",
            )
        self.left.appendleft(chunk)
        if k in self.pool.idle:  # not for the second chunk that it had
            self.pool.idle.remove(k)
            self.pool.start(k)

    def _check_unread(self, unread: Sequence[str], chunk: Chunk) -> None:
        """What a worker cannot read but this process can is no bad sample: the data are not where the worker is."""
        assert isinstance(self.rows, Asked)
        here = self.rows.read(unread)
        if fine := [i for i in unread if i not in here.errors]:
            chunk.path.unlink(missing_ok=True)
            raise DataError(
                f"a worker cannot read {fine[0]}, here it can be read",
                "put the data at one path on all machines",
            )
