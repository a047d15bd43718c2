"""Chunks on workers of Ray: on this machine, or on a cluster that is there."""

import os
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError, EngineError, UnfoolError
from ..engine import Asked, Careful, Chunk, Engine, Rows
from ..parts import HOST, Part, sweep, whole, write_part
from .cluster import connect, host_and_port, line_of
from .ship import packed, ray, unpacked

START = 120
"""Seconds in which the first worker must have started."""
DEATHS = 5
"""How often a chunk is given to another worker when its own has died."""


class Outcome(NamedTuple):
    """What became of a chunk on a worker, which has written it unless ``part`` is there."""

    part: Part | None = None
    unread: tuple[str, ...] = ()
    """Samples that could not be read there."""
    said: tuple[str, str] | None = None
    """An error that the user can put right, and its hint."""


class Worker:
    """Holds what a run asks, model and all, and answers chunk after chunk.

    Two calls run at once: one reads its samples while the other, who has the lock, is answered.
    """

    def __init__(self, home: str):
        self.lock, self.holds = threading.Lock(), threading.Lock()
        self.key = ""
        self.rows: Rows | None = None
        self.answer: Careful | None = None
        with suppress(OSError):  # on another machine it may not exist; whoever reads a relative path says so
            os.chdir(home)

    def ready(self) -> str:
        return version("unfool")

    def do(self, key: str, job: Sequence[Any], chunk: Chunk, mark: Path) -> Outcome:
        """One chunk of the rows behind the reference in ``job``; where ``mark`` is seen, its part is written here."""
        try:
            part, unread = self._part(key, job, chunk)
            if not mark.exists():
                return Outcome(part, unread)
            sweep(chunk.path.parent)
            write_part(chunk.path, chunk.ids, part)
            return Outcome(None, unread)
        except UnfoolError as error:
            return Outcome(said=(str(error), error.hint))

    def _part(self, key: str, job: Sequence[Any], chunk: Chunk) -> tuple[Part, tuple[str, ...]]:
        rows = self._held(key, job)
        if not isinstance(rows, Asked):
            with self.lock:
                return rows(chunk.ids), ()
        batch = rows.read(chunk.ids)
        with self.lock:
            self.answer = self.answer or Careful(rows.answer)
            return self.answer(batch), tuple(batch.errors)

    def _held(self, key: str, job: Sequence[Any]) -> Rows:
        """What is asked; when it changes, the last model goes before the next comes."""
        with self.holds:
            if self.rows is None or self.key != key:
                with self.lock:
                    self.rows = self.answer = None
                    self.rows, self.key = unpacked(ray.get(job[0])), key
            return self.rows


class Ray(Engine):
    """Workers that hold the model, one a GPU, or without GPUs one a core; a chunk whose worker dies goes to another.

    ``address`` is empty for workers of this machine alone, else auto, HOST:PORT or ray://HOST:PORT. Parts are written
    by the workers where they see the run's folder, else they come here and are written here.
    """

    def __init__(self, address: str = "", workers: int | None = None):
        if workers is not None and workers < 1:
            raise EngineError(f"there must be a worker, not {workers}", "--workers 2")
        if address not in ("", "auto"):
            host_and_port(address)
        self.address, self.workers = address, workers
        self.pool: _Pool | None = None

    def do(self, rows: Rows, chunks: Sequence[Chunk], done: Callable[[Chunk], None], together: bool) -> None:
        if self.pool is None:
            connect(self.address, self.workers)
            self.pool = _Pool(self.workers)
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


class _Pool:
    """Workers, started as they are needed; ``idle`` have told that they are there."""

    def __init__(self, workers: int | None):
        have = ray.cluster_resources()
        cores, gpus = int(have.get("CPU", 0)), int(have.get("GPU", 0))
        self.most = workers or gpus or max(1, cores)
        share = min(1.0, gpus / self.most) if gpus else 0.0
        alone = (
            len(ray.nodes()) == 1
        )  # then the cores can be shared out; else nobody knows which machine gets how many
        cpus = max(1, cores // self.most) if alone else 1
        self.how: dict[str, Any] = {
            "num_cpus": cpus,
            "num_gpus": share,
            "max_concurrency": 2,
            "max_restarts": 0,
        }
        self.told = f"the cluster has {cores} cores and {gpus} GPUs; a worker takes {cpus} and {share:g}"
        self.actors: dict[int, Any] = {}
        self.starting: dict[Any, int] = {}
        self.idle = list[int]()

    def grow(self, wanted: int) -> None:
        """Start workers until there are so many, or as many as may be."""
        while len(self.actors) < min(self.most, wanted):
            self.start(max(self.actors, default=-1) + 1)

    def start(self, k: int) -> None:
        self.actors[k] = ray.remote(Worker).options(**self.how).remote(os.getcwd())
        self.starting[self.actors[k].ready.remote()] = k

    def close(self) -> None:
        for actor in self.actors.values():
            with suppress(Exception):  # it may be gone, as may be the cluster
                ray.kill(actor)


class _Run:
    """Hands the chunks of one run to the workers of a pool."""

    def __init__(self, pool: _Pool, rows: Rows, mark: Path, done: Callable[[Chunk], None]):
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
        except Exception as error:  # whatever keeps a process from starting
            reason = str(error).strip().splitlines()[-1][:200]
            raise EngineError(
                f"a worker cannot start: {reason}", "install the same unfool on every machine of the cluster"
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
