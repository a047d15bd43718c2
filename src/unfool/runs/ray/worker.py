"""What runs on a worker. What is heavy is imported by the worker itself, while whoever asks is still at its own."""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import UnfoolError
from .cluster import checked, connect, ray

if TYPE_CHECKING:
    from ..engine import Careful, Chunk, Rows
    from ..parts import Part


class Outcome(NamedTuple):
    """What became of a chunk on a worker, which has written it unless ``part`` is there."""

    part: "Part | None" = None
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
        import_module("unfool.runs.work")
        return version("unfool")

    def do(self, key: str, job: Sequence[Any], chunk: "Chunk", mark: Path) -> Outcome:
        """One chunk of the rows behind the reference in ``job``; where ``mark`` is seen, its part is written here."""
        from ..parts import sweep, write_part

        try:
            part, unread = self._part(key, job, chunk)
            if not mark.exists():
                return Outcome(part, unread)
            sweep(chunk.path.parent)
            write_part(chunk.path, chunk.ids, part)
            return Outcome(None, unread)
        except UnfoolError as error:
            return Outcome(said=(str(error), error.hint))

    def _part(self, key: str, job: Sequence[Any], chunk: "Chunk") -> "tuple[Part, tuple[str, ...]]":
        from ..engine import Asked, Careful

        rows = self._held(key, job)
        if not isinstance(rows, Asked):
            with self.lock:
                return rows(chunk.ids), ()
        batch = rows.read(chunk.ids)
        with self.lock:
            self.answer = self.answer or Careful(rows.answer)
            return self.answer(batch), tuple(batch.errors)

    def _held(self, key: str, job: Sequence[Any]) -> "Rows":
        """What is asked; when it changes, the last model goes before the next comes."""
        from .ship import unpacked

        with self.holds:
            if self.rows is None or self.key != key:
                with self.lock:
                    self.rows = self.answer = None
                    self.rows, self.key = unpacked(ray.get(job[0])), key
            return self.rows


class Pool:
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
        self.idle, self.stillborn = list[int](), 0

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


def ahead(address: str, workers: int | None) -> Pool:
    """Workers on their way while this process imports what it needs itself: neither waits for the other."""
    checked(address, workers)
    own = threading.Thread(target=import_module, args=("unfool.families",))
    own.start()
    try:
        connect(address, workers)
        pool = Pool(workers)
        pool.grow(workers or 0)  # how many chunks there are is not known yet
    finally:
        own.join()
    return pool
