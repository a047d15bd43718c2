"""Debian's chromium on a studio or lecture started as a user does; tests that need it are skipped where it is not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, canvas[role=img]')]
    .filter((n) => !(n.getAttribute('aria-label') || n.textContent.trim() || n.labels?.length || n.title))
    .map((n) => n.outerHTML.slice(0, 120))"""
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 800}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "no chromium here: apt-get install chromium"

DATA = "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
PIXELS = f"""(at) => {{
    const d = ({DATA})(document.querySelector(at)), out = [];
    for (let i = 0; i < d.length; i += 4) out.push(d[i] * 65536 + d[i + 1] * 256 + d[i + 2]);
    return out;
}}"""

DRAWN = f"""(at) => {{
    const d = ({DATA})(document.querySelector(at)), seen = new Set();
    let sum = 0;
    for (let i = 0; i < d.length; i += 4) {{
        const c = d[i] * 65536 + d[i + 1] * 256 + d[i + 2];
        seen.add(c);
        sum = (31 * sum + c) % 4294967291;
    }}
    return [seen.size, sum];
}}"""


@contextmanager
def started(folder: Path, *arguments: str, verb: str = "studio") -> Iterator[str]:
    """A studio, or the lecture, in a process of its own; gives the address it prints."""
    command = [sys.executable, "-m", "unfool", verb, *arguments, "--port", "0", "--no-browser"]
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert running.stdout is not None
        yield running.stdout.readline().strip()
    finally:
        running.terminate()
        running.communicate(timeout=20)


class Page:
    """A page of the studio, and all it did: requests, and what it wrote to the console."""

    def __init__(self, page: Any, address: str):
        self.page, self.requests, self.said = page, list[str](), list[str]()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(address)
        self.until("Boolean(window.studio && studio.seen)", 120)
        self.ready()

    def until(self, condition: str, seconds: float = 60) -> None:
        """Wait by asking again and again: what the page may run is its own files alone."""
        for _ in range(int(20 * seconds)):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never: {condition}")

    def ready(self) -> None:
        """Until nothing is being worked out but idle work."""
        self.page.wait_for_timeout(150)
        self.until("document.getElementById('state').textContent === 'Ready'")
        self.page.wait_for_timeout(80)

    def rested(self) -> None:
        """Until nothing at all is being worked out."""
        self.until("[...studio.wire.slots.values()].every((one) => one.over)")

    def colours(self, canvas: str) -> int:
        """How many different colours a canvas shows."""
        return len(set(self.pixels(canvas)))

    def pixels(self, canvas: str) -> list[int]:
        """A canvas as numbers, one a pixel."""
        return self.page.evaluate(PIXELS, canvas)

    def drawn(self, canvas: str) -> tuple[int, int]:
        """How many colours a large canvas shows, and a number that is another for another picture."""
        colours, digest = self.page.evaluate(DRAWN, canvas)
        self.said = [text for text in self.said if "willReadFrequently" not in text]  # tests alone read it
        return colours, digest

    def sent(self) -> int:
        return self.page.evaluate("studio.wire.sent")

    def text(self, at: str) -> str:
        return self.page.inner_text(at)
