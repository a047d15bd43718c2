"""How quickly the studio's page follows a hand, on the embedded network, in Debian's chromium.

    python bench/studio.py [--model unfool:digits] [--seconds 5] [--json]

Starts ``unfool studio`` as a user does and drives its page: a drag of eps counted in different pictures of the changed
image that the canvas showed; a key press of eps until the canvas shows another picture; opacity with the requests it
took; the page's first paint, with torch not imported yet. Medians of ``--times``, with the shortest and the longest.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.web.browser import CHROMIUM, DATA, MISSING, Page, started

CHANGED = "#touch .card:nth-child(3) canvas"
WATCH = f"""() => {{
    const canvas = document.querySelector('{CHANGED}'), put = CanvasRenderingContext2D.prototype.putImageData;
    let last = null, due = false;
    window.shown = [];
    const frame = () => {{
        const now = new Uint32Array(({DATA})(canvas).buffer);
        due = false;
        if (last && now.every((v, i) => v === last[i])) return;
        last = now;
        window.shown.push(performance.now());
    }};
    CanvasRenderingContext2D.prototype.putImageData = function (...given) {{
        put.apply(this, given);
        if (this.canvas === canvas && !due) due = Boolean(requestAnimationFrame(frame));
    }};
}}"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
PRESS = """(key) => new Promise((done) => {
    const before = window.shown.length, start = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    const wait = () => window.shown.length > before ? done(window.shown[before] - start) : requestAnimationFrame(wait);
    wait();
    setTimeout(() => done(5000), 5000);
})"""


def drag(page: Page, seconds: float) -> float:
    """Pictures a second while the slider moves to and fro."""
    box = page.page.locator("#eps").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.page.mouse.down()
    page.page.evaluate("window.shown.length = 0")
    start, k = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        share = 0.3 + 0.5 * abs((k / 60) % 2 - 1)
        page.page.mouse.move(box["x"] + box["width"] * share, middle)
        page.page.wait_for_timeout(16)  # as often as a mouse tells of itself
        k += 1
    spent = time.perf_counter() - start
    pictures = page.page.evaluate("window.shown.length")
    page.page.mouse.up()
    return pictures / spent


def measured(browser: Any, address: str, seconds: float, times: int) -> dict[str, Any]:
    page = Page(browser.new_page(viewport={"width": 1280, "height": 900}), address)
    page.page.click("#tab-touch")
    page.ready()
    page.rested()
    page.page.evaluate(WATCH)
    rates = [drag(page, seconds) for _ in range(3)]
    page.ready()
    page.page.wait_for_timeout(500)  # an answer that comes now would be taken for that of the first key
    keys = ["ArrowDown", "ArrowUp"]
    presses = [page.page.evaluate(PRESS, key) for key in keys for _ in range(times // 2)]
    page.page.click("#tab-look")
    page.rested()
    sent = page.sent()
    page.page.locator("#opacity").focus()
    for _ in range(20):
        page.page.keyboard.press("ArrowLeft")
    return {
        "pictures_per_second": spread(rates),
        "key_to_picture_ms": spread(presses),
        "requests_of_opacity": page.sent() - sent,
        "off_host": [url for url in page.requests if "127.0.0.1" not in url],
    }


def spread(values: list[float]) -> dict[str, float]:
    return {"median": round(median(values), 1), "least": round(min(values), 1), "most": round(max(values), 1)}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--model", default="unfool:digits")
    asked.add_argument("--seconds", type=float, default=5)
    asked.add_argument("--times", type=int, default=40)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    if CHROMIUM is None:
        sys.exit(MISSING)
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with started(Path(folder), given.model) as address:
            first = browser.new_page()
            first.goto(address)
            first.wait_for_timeout(1500)
            paint = first.evaluate(PAINT)
            first.close()
            found = measured(browser, address, given.seconds, given.times)
        browser.close()
    found["first_paint_ms"] = None if paint is None else round(paint)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        for name, value in found.items():
            print(f"{name:<20} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
