"""What the desk's thread works on: the rooms, the dropped pictures, and who answers what."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

import torch

from ..data.address import open_data
from ..errors import InputError, UnknownName
from ..rows import stable_number
from . import by_hand, charted, compare, doing, films, inside, look, tables, touch, units
from .asked import Asked
from .desk import Job
from .own import MOST, Own
from .rooms import Room, Setting

Answered = tuple[Mapping[str, Any], Mapping[str, Any]]
IDLE = Job(None, "", lambda job: None, lambda found: None)
"""What is done while nobody asks for anything."""


class Stage:
    """Answers requests, in one thread."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.own: OrderedDict[str, Own] = OrderedDict()
        self.source = cache(open_data)
        self._rooms: dict[int, Room] = {}
        self.job = IDLE
        self._folder = Path(mkdtemp(prefix="unfool-"))
        finalize(self, rmtree, self._folder, ignore_errors=True)
        self.count = 0
        self.runs: dict[str, tables.Listed] = {}
        assert len(self.room(0).first)

    def __call__(self, job: Job, words: Mapping[str, Any], arrays: Mapping[str, Any]) -> Answered:
        """Do what a request asks for. Raises what the page is to be told."""
        act, given = words.get("do"), words.get("with", {})
        if not isinstance(act, str) or act not in ACTS:
            raise UnknownName("request", str(act)[:40], ACTS)
        if not isinstance(given, dict):
            raise InputError("a request's words must be an object")
        self.job, threads = job, torch.get_num_threads()
        try:
            asked = Asked(given, arrays)
            value, found = ACTS[act](self, asked)
        finally:
            self.job = IDLE
            torch.set_num_threads(threads)
        if "command" in value and "model" in given and self.asked_room(asked).given:
            value = {**value, "command": ""}  # it would have to name a model that has no address
        return value, found

    def folder(self, text: str) -> Path:
        """A folder for what is asked for by ``text``, as long as the studio runs: what was begun goes on there."""
        return self._folder / f"{stable_number(text):016x}"

    def room(self, k: int) -> Room:
        """The room of the model that the page calls by its number."""
        if not 0 <= k < len(self.setting.models):
            raise InputError(
                f"there is no model {k}, there are {len(self.setting.models)}", "reload the page"
            )
        if k not in self._rooms:
            room = Room(self.setting, self.setting.models[k], self.source, self.own)
            room.model.before_pass = lambda: self.job.step()
            self._rooms[k] = room
        return self._rooms[k]

    def asked_room(self, asked: Asked) -> Room:
        """The room; what somebody waits for is computed on one core where images are small.

        Cores then wait for each other longer than they compute, and one of them has the page to draw.
        """
        room = self.room(asked.whole("model", 0))
        if not self.job.idle and room.small:
            torch.set_num_threads(1)
        return room


def begin(stage: Stage, asked: Asked) -> Answered:
    """Which models there are, and how maps can be laid out."""
    return {"models": list(stage.setting.models), "ways": charted.ways()}, {}


def adopt(stage: Stage, asked: Asked) -> Answered:
    """Keep a dropped picture, if the model can be shown it."""
    name = Path(asked.text("name").replace("\\", "/")).name or "picture"
    content: Any = asked.arrays["content"]
    if not isinstance(content, bytes):
        raise InputError("a picture comes by POST", "drop it on the page")
    stage.count += 1
    id = f"own:{stage.count}:{name}"
    stage.own[id] = Own(name, content)
    try:
        found = stage.asked_room(asked).fitted(id)
    except BaseException:
        del stage.own[id]
        raise
    while len(stage.own) > MOST:
        stage.own.popitem(last=False)
    return {"id": id, "name": name, "told": found.told}, {}


ACTS: dict[str, Callable[[Stage, Asked], Answered]] = {
    "begin": begin,
    "adopt": adopt,
    **look.ACTS,
    **touch.ACTS,
    **by_hand.ACTS,
    **films.ACTS,
    **tables.ACTS,
    **inside.ACTS,
    **units.ACTS,
    **charted.ACTS,
    **doing.ACTS,
    **compare.ACTS,
}
