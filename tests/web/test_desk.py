"""The desk: of each slot the latest only; what nobody waits for is ended; idle work waits and gives way."""

from threading import Event
from typing import Any

import pytest

from unfool.errors import InputError
from unfool.web.desk import MOST, Desk, Job


class Work:
    """Jobs that go on, pass by pass, until they are let finish."""

    def __init__(self) -> None:
        self.desk, self.found, self.begun = Desk(), list[Any](), list[str]()
        self.ended, self.on = Event(), Event()

    def job(
        self, name: str, who: object = 1, slot: str = "a", idle: bool = False, at_once: bool = False
    ) -> Job:
        def do(job: Job) -> str:
            self.begun.append(name)
            while not (at_once or self.on.wait(0.005)):
                job.step()
            return name

        def done(found: Any) -> None:
            self.found.append(found)
            self.ended.set()

        return Job(who, slot, do, done, idle=idle)

    def until(self, n: int) -> list[Any]:
        while len(self.found) < n:
            assert self.ended.wait(5)
            self.ended.clear()
        return self.found

    def until_begun(self, name: str) -> None:
        for _ in range(1000):
            if name in self.begun:
                return
            Event().wait(0.005)
        raise AssertionError(name)


@pytest.fixture
def work():
    work = Work()
    yield work
    work.desk.close()


def test_a_newer_request_of_a_slot_ends_the_one_that_runs_and_those_that_wait(work: Work):
    work.desk.put(work.job("first"))
    work.until_begun("first")
    for name in ("second", "third"):
        work.desk.put(work.job(name))
    work.desk.put(work.job("other slot", slot="b"))
    work.desk.put(work.job("other page", who=2))
    work.on.set()
    assert work.until(3) == ["third", "other slot", "other page"]
    assert "second" not in work.begun or work.begun.count("second") == 1


def test_a_page_that_goes_takes_all_it_asked_for_with_it(work: Work):
    work.desk.put(work.job("running"))
    work.until_begun("running")
    work.desk.put(work.job("waiting", slot="b"))
    work.desk.put(work.job("another's", who=2, at_once=True))
    work.desk.drop(1)
    assert work.until(1) == ["another's"]
    assert "waiting" not in work.begun


def test_idle_work_gives_way_and_begins_again(work: Work):
    work.desk.put(work.job("idle", slot="b", idle=True))
    work.until_begun("idle")
    work.desk.put(work.job("asked", at_once=True))
    assert work.until(1) == ["asked"]
    work.on.set()
    assert work.until(2) == ["asked", "idle"]
    assert work.begun == ["idle", "asked", "idle"]


def test_an_error_is_what_came_of_it_and_the_thread_goes_on(work: Work):
    def fail(job: Job) -> None:
        raise ZeroDivisionError("oh")

    work.desk.put(Job(1, "a", fail, work.found.append))
    work.desk.put(work.job("next", slot="b", at_once=True))
    work.until(2)
    assert isinstance(work.found[0], ZeroDivisionError)
    assert work.found[1] == "next"


def test_what_may_wait_is_bounded(work: Work):
    work.desk.put(work.job("running", slot="run"))
    work.until_begun("running")
    for k in range(MOST):
        work.desk.put(work.job("waiting", slot=str(k)))
    with pytest.raises(InputError, match="wait already"):
        work.desk.put(work.job("too many", slot="more"))
    work.desk.drop(1)
