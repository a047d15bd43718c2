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


def units(page: Page) -> None:
    inside(page)
    page.page.click("#inside .parts >> text=Units")
    page.page.wait_for_timeout(200)
    page.rested()
    page.page.click("#inside .unit >> nth=4")


def unit(page: Page) -> None:
    units(page)
    page.ready()
    page.page.click("#inside >> text=Draw it")


def chart(page: Page) -> None:
    inside(page)
    page.page.click("#inside .parts >> text=Map")
    page.page.wait_for_timeout(200)
    page.rested()
    page.page.click("#inside >> text=Lasso")
    box = page.page.locator("canvas.map").bounding_box()
    for k, (u, v) in enumerate(((0.2, 0.85), (0.2, 0.99), (0.5, 0.99), (0.5, 0.85))):
        page.page.mouse.move(box["x"] + u * box["width"], box["y"] + v * box["height"], steps=6)
        if k == 0:
            page.page.mouse.down()
    page.page.mouse.up()
    page.ready()
    page.page.evaluate("scrollTo(0, 230)")


def grid(page: Page) -> None:
    chart(page)
    page.ready()
    page.page.click("#inside >> text=Grid")
    page.page.check("#inside .key input")


def cue(page: Page) -> None:
    """The mark in the corner that goes with a class in the data this network has learned from."""
    page.page.click("#tab-touch")
    page.ready()
    page.page.click("#thumbs .thumb >> nth=10")
    page.ready()
    drag(page, (0.02, 0.02), (0.14, 0.14))
    page.ready()
    page.page.click("#touch >> text=Take what is drawn")
    page.page.click("#thumbs .thumb >> nth=4")
    page.ready()
    page.page.click("#touch >> text=Stamp it on this image")
    page.ready()
    page.page.click("#touch >> text=Count over the data")


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    box = page.page.locator("#touch .card canvas").first.bounding_box()
    page.page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=5)
    page.page.mouse.up()


def compare(page: Page) -> None:
    page.page.click("#tab-runs")
    for name in ("before", "after"):
        page.page.check(f"#runs .run:has([data-run='audit/{name}']) input")
    page.page.click("#runs >> text=Put two side by side")


def start(page: Page) -> None:
    page.page.click("#tab-runs")
    page.page.click("#runs summary >> text=Start a run")


def runs(page: Page) -> None:
    page.page.click("#tab-runs")
    page.page.click("#runs [data-run='attack/PGD']")
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
    "units": units,
    "unit": unit,
    "map": chart,
    "grid": grid,
    "runs": runs,
    "start": start,
    "compare": compare,
    "series": series,
    "boxes": boxes,
}
SHOWN = ("look", "touch", "units", "map", "runs", "compare")
"""Those of docs/studio.md, of one studio; :func:`cue` is of another."""
MARKED = ("unfool:digits?net=corner", "--data", "unfool:digits?tag=corner")


def shot(
    browser: Any, address: str, view: str, size: tuple[int, int], scheme: str, whole: bool
) -> Image.Image:
    opened = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = Page(opened, address)
    (VIEWS | {"cue": cue})[view](page)
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


def save(browser: Any, address: str, view: str, out: Path, all: bool) -> None:
    if not all:
        picture = shot(browser, address, view, WIDE, "light", False)
        return small(picture, 1000).save(out / f"studio-{view}.png", optimize=True)
    for size, scheme in ((WIDE, "light"), (NARROW, "light"), (WIDE, "dark")):
        shot(browser, address, view, size, scheme, True).save(out / f"{view}-{size[0]}-{scheme}.png")
    return None


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
        few = ["--within", "Linf(0.2)", "--limit", "60", "--level", "quick", "--steps", "8", "--quiet"]
        for name, model in (("before", "unfool:digits"), ("after", "unfool:digits?robust=1")):
            run(["audit", model, "unfool:digits", *few, "--out", f"{folder}/runs/audit/{name}"])
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with started(Path(folder), *MODELS) as address:
            for view in VIEWS if given.all else SHOWN:
                save(browser, address, view, given.out, given.all)
        with started(Path(folder), *MARKED) as address:
            save(browser, address, "cue", given.out, given.all)
        browser.close()


if __name__ == "__main__":
    main()
