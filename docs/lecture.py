"""The pictures of docs/lecture.md, of the page itself in Debian's chromium: python docs/lecture.py docs/pictures."""

import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.web.browser import CHROMIUM, MISSING, started

SHOWN = {"lecture-grad-cam": ("grad-cam", False), "lecture-printed": ("create", True)}
DONE = "document.querySelector('figure img')?.naturalWidth > 100 && !document.querySelector('.wait')"


def main() -> None:
    if CHROMIUM is None:
        sys.exit(MISSING)
    from playwright.sync_api import sync_playwright

    out = Path(sys.argv[1])
    with (
        TemporaryDirectory() as folder,
        started(Path(folder), verb="lecture") as address,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        wait(page)
        for name, (key, printed) in SHOWN.items():
            page.evaluate(f"location.hash = '#/{key}'")
            page.wait_for_timeout(300)
            wait(page)
            if printed:
                page.keyboard.press("p")
                page.wait_for_timeout(300)
                wait(page)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            small = picture.resize((1080, 675), Image.Resampling.LANCZOS)
            few = small.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
            few.save(out / f"{name}.png", optimize=True)
        browser.close()


def wait(page: Any) -> None:
    for _ in range(2400):
        if page.evaluate(DONE):
            return
        page.wait_for_timeout(100)
    raise AssertionError("no picture")


if __name__ == "__main__":
    main()
