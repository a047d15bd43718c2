"""One page's socket: frames in become jobs at the desk, what comes of them goes out."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import InputError, UnfoolError
from .desk import Desk, Job
from .frames import Array, packed, unpacked

MOST_UNSENT = 64
"""Answers that a page has not taken; one that takes none is hung up on."""


class Line:
    """A socket and what it is told."""

    def __init__(
        self, socket: WebSocket, desk: Desk, act: Callable[[Job, dict[str, Any], dict[str, Any]], Any]
    ):
        self.socket, self.desk, self.act = socket, desk, act
        self.out: asyncio.Queue[bytes] = asyncio.Queue(MOST_UNSENT)
        self.loop = asyncio.get_running_loop()

    async def talk(self) -> None:
        """Until the page goes; what it waits for is then dropped."""
        sender = asyncio.create_task(self._send())
        try:
            while True:
                self._take(await self._frame())
        except WebSocketDisconnect:
            pass
        finally:
            self.desk.drop(self)
            sender.cancel()

    async def _frame(self) -> bytes:
        message = await self.socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1000)
        return message.get("bytes") or b""

    async def _send(self) -> None:
        try:
            while True:
                await self.socket.send_bytes(await self.out.get())
        except (WebSocketDisconnect, RuntimeError):  # it has gone: talk() is told as well
            return

    def _take(self, frame: bytes) -> None:
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

    def _job(self, words: dict[str, Any], slot: str, arrays: dict[str, Array]) -> Job:
        def done(found: Any) -> None:
            self._later(lambda: self._told(words, found))

        def told(job: Job) -> None:
            progress = packed({"id": words["id"], "slot": slot, "passes": job.passes, "doing": job.doing})
            self._later(lambda: self._put(progress))

        return Job(
            self, slot, lambda job: self.act(job, words, arrays), done, told, words.get("idle") is True
        )

    def _later(self, call: Callable[[], None]) -> None:
        """From the desk's thread; not once the server has ended."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(call)

    def _told(self, words: dict[str, Any], found: Any) -> None:
        header, arrays = answer_of(words, found)
        self._put(packed(header, arrays))

    def _put(self, frame: bytes) -> None:
        try:
            self.out.put_nowait(frame)
        except asyncio.QueueFull:
            self.loop.create_task(self.socket.close(1013, "this page does not take its answers"))


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


async def awaited(desk: Desk, do: Callable[[Job], Any]) -> Any:
    """What comes of a job that no page's slot waits for."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def done(found: Any) -> None:
        loop.call_soon_threadsafe(lambda: answer.done() or answer.set_result(found))

    who = object()
    desk.put(Job(who, "one", do, done))
    try:
        return await answer
    finally:
        desk.drop(who)
