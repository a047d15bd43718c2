"""How quickly the studio's page follows a hand, on the embedded network, in Debian's chromium.

    python bench/studio.py [--model unfool:digits] [--seconds 5] [--json]

Starts ``unfool studio`` as a user does and drives its page: a drag of eps counted in different pictures of the changed
image that the canvas showed; a key press of eps until the canvas shows another picture; opacity with the requests it
took; the page's first paint, with torch not imported yet. Medians of ``--times``, with the shortest and the longest.
"""

import argparse
import json
import sys
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
SET = """(value) => {
    const slider = document.querySelector('#eps');
    slider.value = value;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
}"""
DRAG = """(seconds) => new Promise((done) => {
    const slider = document.querySelector('#eps'), start = performance.now();
    let k = 0;
    window.shown.length = 0;
    const moves = setInterval(() => {
        slider.value = 30 + 50 * Math.abs(((k++ / 60) % 2) - 1);
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        if (performance.now() - start < 1000 * seconds) return;
        clearInterval(moves);
        done(window.shown.length / (performance.now() - start) * 1000);
    }, 1000 / 60);
})"""
PRESS = """(key) => new Promise((done) => {
    const before = window.shown.length, start = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    const wait = () => window.shown.length > before ? done(window.shown[before] - start) : requestAnimationFrame(wait);
    wait();
    setTimeout(() => done(5000), 5000);
})"""


def drag(page: Page, seconds: float) -> float:
    """Pictures a second while the slider moves to and fro, sixty times a second as under a hand.

    The page itself moves it: a mouse that is driven from outside waits for the page, and tells of itself 18 times.
    """
    return page.page.evaluate(DRAG, seconds)


def measured(browser: Any, address: str, seconds: float, times: int) -> dict[str, Any]:
    page = Page(browser.new_page(viewport={"width": 1280, "height": 900}), address)
    page.page.click("#tab-touch")
    page.ready()
    page.rested()
    page.page.evaluate(WATCH)
    rates = [drag(page, seconds) for _ in range(3)]
    page.page.evaluate(SET, 60)  # from here on up a key's step is more than one of 255 levels
    page.page.wait_for_timeout(1000)  # an answer that comes now would be taken for that of the first key
    keys = ["ArrowUp", "ArrowDown"]
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
