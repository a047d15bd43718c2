"""The pictures of docs/studio.md and of the README, of the page itself in Debian's chromium.

python docs/studio.py docs/pictures            # those the docs show
python docs/studio.py /tmp/views --all         # every view, wide and narrow, light and dark
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.web.browser import CHROMIUM, MISSING, Page, started

from unfool.cli.main import run

WIDE, NARROW = (1280, 900), (390, 844)
MODELS = ("unfool:digits", "unfool:lesions", "unfool:cine", "unfool:scenes")


def look(page: Page) -> None:
    """A film with a finding, and a network that looks at the tube."""
    page.page.select_option("#model", "1")
    page.until("studio.room?.address === 'unfool:lesions' && studio.seen")
    page.rested()
    page.page.click(f"#thumbs .thumb[data-id='{tubed(page)}']")


def tubed(page: Page) -> str:
    """The first film with a tube and a finding."""
    label = "[...document.querySelectorAll('#thumbs .thumb')].filter((n) => n.textContent === 'finding')[0].dataset.id"
    return page.page.evaluate(label)


def touch(page: Page) -> None:
    page.page.click("#tab-touch")
    page.ready()
    page.page.fill("#exact", "0.13")
    page.page.keyboard.press("Enter")


def hide(page: Page) -> None:
    touch(page)
    page.rested()
    page.page.locator("#touch .card canvas").first.focus()
    for _ in range(4):
        page.page.keyboard.press("Shift+ArrowUp")
    page.page.evaluate("document.activeElement.blur()")


def inside(page: Page) -> None:
    page.page.click("#tab-inside")


def runs(page: Page) -> None:
    page.page.click("#tab-runs")
    page.page.click("#runs .list [data-run]")
    page.page.wait_for_selector("#runs tbody canvas")
    page.page.click("#runs th button >> text=confidence")
    page.page.wait_for_timeout(500)


def series(page: Page) -> None:
    page.page.select_option("#model", "2")
    page.until("studio.room?.address === 'unfool:cine' && studio.seen")


def boxes(page: Page) -> None:
    page.page.select_option("#model", "3")
    page.until("studio.room?.address === 'unfool:scenes' && studio.seen")


VIEWS: dict[str, Callable[[Page], None]] = {
    "look": look,
    "touch": touch,
    "hide": hide,
    "inside": inside,
    "runs": runs,
    "series": series,
    "boxes": boxes,
}
SHOWN = ("look", "touch", "runs")


def shot(
    browser: Any, address: str, view: str, size: tuple[int, int], scheme: str, whole: bool
) -> Image.Image:
    opened = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = Page(opened, address)
    VIEWS[view](page)
    page.ready()
    page.rested()
    page.page.mouse.move(size[0] - 2, size[1] - 2)
    page.page.wait_for_timeout(300)
    picture = Image.open(io.BytesIO(opened.screenshot(full_page=whole)))
    opened.close()
    assert not page.said, page.said
    return picture


def small(picture: Image.Image, wide: int) -> Image.Image:
    """A picture for the docs: few colours, few bytes."""
    smaller = picture.convert("RGB").resize(
        (wide, round(picture.height * wide / picture.width)), Image.Resampling.LANCZOS
    )
    return smaller.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("out", type=Path)
    asked.add_argument("--all", action="store_true")
    given = asked.parse_args()
    if CHROMIUM is None:
        sys.exit(MISSING)
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, sync_playwright() as play:
        words = ["attack", "PGD", "unfool:digits", "--limit", "40", "--pictures", "0", "--quiet"]
        run([*words, "--out", f"{folder}/runs/attack/PGD"])
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with started(Path(folder), *MODELS) as address:
            for view in VIEWS if given.all else SHOWN:
                if not given.all:
                    small(shot(browser, address, view, WIDE, "light", False), 1000).save(
                        given.out / f"studio-{view}.png", optimize=True
                    )
                    continue
                for size, scheme in ((WIDE, "light"), (NARROW, "light"), (WIDE, "dark")):
                    shot(browser, address, view, size, scheme, True).save(
                        given.out / f"{view}-{size[0]}-{scheme}.png"
                    )
        browser.close()


if __name__ == "__main__":
    main()
