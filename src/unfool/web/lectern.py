"""The lecture, live: outlines, and states made as they are asked for."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, UnknownName
from ..lecture.deck import slide_called
from ..lecture.export import parts_of
from ..lecture.kit import Kit
from ..lecture.making import made
from .asked import Asked
from .desk import Job

KEPT = 200
"""How many states are remembered."""


class Lectern:
    """Answers requests, in one thread."""

    def __init__(self, folder: Path):
        self.kit = Kit(folder)
        self.states: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def __call__(
        self, job: Job, words: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        given = words.get("with", {})
        if not isinstance(given, dict):
            raise InputError("a request's words must be an object")
        asked = Asked(given, arrays)
        match words.get("do"):
            case "begin":
                return {"parts": parts_of()}, {}
            case "make":
                return self._made(job, asked), {}
            case other:
                raise UnknownName("request", str(other)[:40], ("begin", "make"))

    def _made(self, job: Job, asked: Asked) -> dict[str, Any]:
        slide, wanted = slide_called(asked.text("key")), asked.words.get("settings", {})
        if not isinstance(wanted, dict):
            raise InputError("settings must be an object")
        settings = slide.settings(wanted, asked.flag("printed"))
        name = f"{slide.key} {sorted(settings.items())}"
        if name not in self.states:
            self.kit.step = job.step
            try:
                self.states[name] = made(slide, self.kit, settings)
            finally:
                self.kit.step = lambda: None
        self.states.move_to_end(name)
        while len(self.states) > KEPT:
            self.states.popitem(last=False)
        return self.states[name]
