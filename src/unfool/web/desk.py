"""One thread does what pages ask for, one thing after the other: of each slot the latest only.

A request takes the place of an older one for the same slot of the same page, waiting or running. What runs is ended at
its next pass through the network, by :meth:`Job.step`. Idle requests wait for all others, and give way to them.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Thread
from time import monotonic
from typing import Any, NamedTuple

from ..errors import InputError

MOST = 24
"""How many requests of one page may wait."""


class Stopped(BaseException):
    """Raised where a job is that nobody waits for any more; no ``except Exception`` of a method keeps it."""


class Doing(NamedTuple):
    """A step of something long: how many of its samples are done."""

    step: str = ""
    done: int = 0
    total: int = 0


@dataclass(eq=False)
class Job:
    """Something to do for a slot of a page; ``done`` is told what came of it, a value or the error, in the thread."""

    who: object
    slot: str
    do: Callable[["Job"], Any]
    done: Callable[[Any], None]
    told: Callable[["Job"], None] = lambda job: None
    """Told now and then, for how many passes it took so far and what it is doing."""
    idle: bool = False
    passes: int = 0
    stopped: bool = False
    doing: Doing = field(default_factory=Doing)
    _spoke: float = field(default_factory=monotonic)

    def step(self) -> None:
        """Called before every pass through a network."""
        self.passes += 1
        self.rest()

    def rest(self) -> None:
        """Called where it may end, and the page may be told how far it is."""
        if self.stopped:
            raise Stopped
        if monotonic() - self._spoke > 0.25:
            self._spoke = monotonic()
            self.told(self)

    @contextmanager
    def watch(self, name: str, total: int) -> Generator[Callable[[int], None]]:
        """A step of so many samples; gives what is called with each number done."""

        def progress(done: int) -> None:
            self.doing = Doing(name, self.doing.done + done, total)
            self.rest()

        self.doing = Doing(name, 0, total)
        self.rest()
        yield progress

    def run(self) -> None:
        try:
            found = self.do(self)
        except Stopped:
            return
        except (
            Exception
        ) as error:  # a bug of ours or of the user's network: the page is told, the thread goes on
            found = error
        if not self.stopped:
            self.done(found)


class Desk:
    """The thread and what waits for it."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._open, self._changed = True, Condition()
        self._thread = Thread(target=self._work, name="unfool", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Let a job wait. Raises :class:`InputError` where too many do."""
        with self._changed:
            self._drop(lambda old: old.who is job.who and old.slot == job.slot)
            if sum(old.who is job.who for old in self._waiting) >= MOST:
                raise InputError(f"{MOST} requests of this page wait already", "wait for their answers")
            self._waiting.append(job)
            if not job.idle and (now := self._running) and now.idle and not now.stopped:
                now.stopped = True  # it begins again when there is nothing else to do
                self._waiting.append(Job(now.who, now.slot, now.do, now.done, now.told, True))
            self._changed.notify()

    def drop(self, who: object, slot: str | None = None) -> None:
        """End what a page has asked for, all of it or a slot's."""
        with self._changed:
            self._drop(lambda old: old.who is who and slot in (None, old.slot))

    def _drop(self, where: Callable[[Job], bool]) -> None:
        for old in (*self._waiting, *([self._running] if self._running else [])):
            if where(old):
                old.stopped = True
        self._waiting = [old for old in self._waiting if not old.stopped]

    def close(self, patience: float = 5.0) -> None:
        with self._changed:
            self._open = False
            self._drop(lambda _: True)
            self._changed.notify()
        self._thread.join(patience)

    def _work(self) -> None:
        while job := self._next():
            job.run()
            with self._changed:
                self._running = None

    def _next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open)
            if not self._open:
                return None
            job = min(self._waiting, key=lambda job: job.idle)
            self._waiting.remove(job)
            self._running = job
            return job
