"""One page's socket, and what is asked for without one."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from .calls import Act, Calls
from .desk import Desk, Job

MOST_UNSENT = 64
"""Answers that a page has not taken; one that takes none is hung up on."""


class Line:
    """A socket and what it is told."""

    def __init__(self, socket: WebSocket, desk: Desk, act: Act):
        self.socket = socket
        self.out: asyncio.Queue[bytes] = asyncio.Queue(MOST_UNSENT)
        self.loop = asyncio.get_running_loop()
        self.calls = Calls(desk, act, self._later)
        self.ending: asyncio.Task[None] | None = None

    async def talk(self) -> None:
        """Until the page goes; what it waits for is then dropped."""
        sender = asyncio.create_task(self._send())
        try:
            while True:
                self.calls.take(await self._frame())
        except WebSocketDisconnect:
            pass
        finally:
            self.calls.end()
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

    def _later(self, frame: bytes) -> None:
        """From any thread; not once the server has ended."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._put, frame)

    def _put(self, frame: bytes) -> None:
        try:
            self.out.put_nowait(frame)
        except asyncio.QueueFull:
            self.ending = self.ending or self.loop.create_task(self._hang_up())

    async def _hang_up(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # it has gone already
            await self.socket.close(1013, "this page does not take its answers")


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
