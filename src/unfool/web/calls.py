"""What a page asks for: frames in become jobs at the desk, what comes of them goes out."""

from collections.abc import Callable
from typing import Any

from ..errors import InputError, UnfoolError
from .desk import Desk, Job
from .frames import Array, packed, unpacked

Act = Callable[[Job, dict[str, Any], dict[str, Any]], Any]
"""Does what a request asks for, in the desk's thread: given its words and arrays."""


class Calls:
    """One page's requests; ``put`` is given every frame that answers one, often in the desk's thread."""

    def __init__(self, desk: Desk, act: Act, put: Callable[[bytes], None]):
        self.desk, self.act, self.put = desk, act, put

    def take(self, frame: bytes) -> None:
        """Put a job where the frame is one; a frame that is none is answered with the reason."""
        words: dict[str, Any] = {}
        try:
            words, arrays = unpacked(frame)
            slot = words.get("slot")
            if not isinstance(slot, str) or not 0 < len(slot) < 80 or type(words.get("id")) is not int:
                raise InputError("a request needs a slot and an id")
            if words.get("do") == "drop":
                return self.desk.drop(self, slot)
            self.desk.put(self._job(words, slot, arrays))
        except UnfoolError as error:
            self._told(words, error)

    def end(self) -> None:
        """The page has gone: nobody waits for what it asked for."""
        self.desk.drop(self)

    def _job(self, words: dict[str, Any], slot: str, arrays: dict[str, Array]) -> Job:
        def done(found: Any) -> None:
            self._told(words, found)

        def told(job: Job) -> None:
            self.put(packed({"id": words["id"], "slot": slot, "passes": job.passes, "doing": job.doing}))

        return Job(
            self, slot, lambda job: self.act(job, words, arrays), done, told, words.get("idle") is True
        )

    def _told(self, words: dict[str, Any], found: Any) -> None:
        try:
            frame = packed(*answer_of(words, found))
        except ValueError as error:  # what cannot be said in JSON, such as a number that is none
            frame = packed(*answer_of(words, error))
        self.put(frame)


def answer_of(words: dict[str, Any], found: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """What a page is told: a value and arrays, or what went wrong and the way out."""
    known = {key: words[key] for key in ("id", "slot") if isinstance(words.get(key), (int, str))}
    if isinstance(found, UnfoolError):
        return {**known, "ok": False, "error": str(found), "hint": found.hint}, {}
    if isinstance(found, Exception):
        first = (str(found).splitlines() or [""])[0][:300]
        told = f"{type(found).__name__}: {first}"
        return {**known, "ok": False, "error": told, "hint": "the terminal shows where it happened"}, {}
    value, arrays = found
    return {**known, "ok": True, "value": value}, arrays
