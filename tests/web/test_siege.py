"""A server in a process of its own, attacked: it refuses with a reason, stays up, and its memory comes back."""

import asyncio
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from unfool.web.app import MOST_PAGES
from unfool.web.desk import Desk
from unfool.web.frames import packed, unpacked
from unfool.web.line import MOST_UNSENT, Line

PROGRAM = """
from unfool.web.serve import serve
serve(lambda: lambda job, words, arrays: ({}, {}), 0, False, lambda text: print(text, flush=True))
"""
MB = 1 << 20


class Server(NamedTuple):
    pid: int
    port: int
    token: str

    def memory(self) -> float:
        """In MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / MB

    def page(self) -> Any:
        return connect(f"ws://127.0.0.1:{self.port}/socket", subprotocols=["unfool", self.token])  # pyright: ignore[reportArgumentType]

    def answers(self) -> bool:
        with self.page() as page:
            page.send(packed({"id": 1, "slot": "a", "do": "begin"}))
            return unpacked(page.recv(timeout=10))[0]["ok"]

    def upload(self, *lines: str, part: bytes) -> tuple[str, int]:
        """Send 1 GB in parts of 1 MB, as much as is taken: what comes back, and how many MB went out."""
        head = "\r\n".join(["POST /picture HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *lines, "", ""])
        sent = 0
        with socket.create_connection(("127.0.0.1", self.port), 10) as line:
            try:
                line.sendall(head.encode())
                while sent < 1024:
                    line.sendall(part)
                    sent += 1
            except OSError:
                pass
            return line.recv(4096).decode(), sent


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        place = urlsplit(running.stdout.readline().strip())
        found = Server(running.pid, place.port or 0, place.fragment)
        assert found.answers()
        yield found
    finally:
        running.terminate()
        running.communicate(timeout=20)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
def test_a_gigabyte_is_refused_early_and_a_thousand_callers_leave_nothing_behind(server: Server):
    before = server.memory()
    token = f"Authorization: Bearer {server.token}"
    chunk = b"100000\r\n" + bytes(MB) + b"\r\n"
    for lines, part, reason in (
        ([token, f"Content-Length: {1 << 30}"], bytes(MB), "may have 32 MB at most"),
        ([token, "Transfer-Encoding: chunked"], chunk, "may have 32 MB at most"),
        ([f"Content-Length: {1 << 30}"], bytes(MB), "the token is missing"),
    ):
        told, sent = server.upload(*lines, part=part)
        assert reason in told
        assert sent < 128  # and the rest is not read
    with ExitStack() as open_:
        for _ in range(500):
            open_.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        pages = [open_.enter_context(server.page()) for _ in range(MOST_PAGES)]
        for _ in range(100):
            with server.page() as late, pytest.raises(ConnectionClosed, match="open already"):
                late.recv(timeout=10)
        pages[0].send(packed({"id": 1, "slot": "a", "do": "begin"}))
        assert unpacked(pages[0].recv(timeout=10))[0]["ok"]
    assert server.answers()
    assert server.memory() < before + 64


def test_a_page_that_takes_no_answers_is_hung_up_on_once():
    class Deaf:
        def __init__(self) -> None:
            self.frames, self.ended, self.said = MOST_UNSENT + 40, asyncio.Event(), list[str]()

        async def receive(self) -> dict[str, Any]:
            self.frames -= 1
            if self.frames < 0:
                await self.ended.wait()
                return {"type": "websocket.disconnect"}
            return {"type": "websocket.receive", "bytes": b""}

        async def send_bytes(self, frame: bytes) -> None:
            await asyncio.Event().wait()

        async def close(self, code: int, reason: str) -> None:
            self.said.append(reason)
            self.ended.set()
            raise RuntimeError("it has gone")

    async def deaf() -> list[str]:
        held: Any = Deaf()
        desk = Desk()
        await asyncio.wait_for(Line(held, desk, lambda *given: ({}, {})).talk(), 10)
        desk.close()
        return held.said

    assert asyncio.run(deaf()) == ["this page does not take its answers"]
