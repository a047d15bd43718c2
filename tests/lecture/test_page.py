"""The lecture in a browser, from files and live: keys turn slides, sliders change pictures, nobody else is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.web.browser import CHROMIUM, MISSING, NARROW, WIDE, started

from unfool.lecture.export import export
from unfool.runs.begin import unwatched

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]
FIRST = "document.querySelector('figure img')?.src"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three slides as files, the second with a switch."""
    place = tmp_path_factory.mktemp("lecture")
    export(place, unwatched, ("panda", "create", "fairness"), small=8, workers=1)
    return place


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that must have kept silent, and asked nobody but this machine, by the end of the test."""
    opened, said, asked = browser.new_page(viewport=WIDE), list[str](), list[str]()
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    assert said == []
    assert {urlsplit(url).hostname for url in asked if urlsplit(url).scheme not in ("data", "blob")} <= {
        None,
        "",
        "127.0.0.1",
    }
    opened.close()


def until(page: Any, condition: str, seconds: float = 60) -> None:
    for _ in range(int(20 * seconds)):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def drawn(page: Any) -> str:
    """The first picture, once it is there and has a size."""
    until(
        page, "document.querySelector('figure img')?.naturalWidth > 100 && !document.querySelector('.wait')"
    )
    return page.evaluate(FIRST)


def test_keys_turn_the_pages_of_files(page: Any, folder: Path):
    page.goto((folder / "01-panda.html").as_uri())
    drawn(page)
    for key, title in (
        ("ArrowRight", "Create"),
        ("ArrowRight", "Fairness"),
        ("ArrowLeft", "Create"),
        ("Home", "lecture"),
    ):
        page.keyboard.press(key)
        page.wait_for_selector(f"h1:has-text('{title}')")
        page.wait_for_load_state()
    assert page.locator(".contents li").count() == 3


def test_sliders_and_the_switch_change_the_picture_in_files(page: Any, folder: Path):
    page.goto((folder / "01-panda.html").as_uri())
    before = drawn(page)
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    until(page, f"{FIRST} !== {before!r}")
    assert "01-panda" in page.url  # the arrow was the slider's
    assert page.locator("output").first.inner_text() == "0.15"
    page.goto((folder / "05-create.html").as_uri())
    right = drawn(page)
    page.click("text=zeros")
    until(page, f"{FIRST} !== {right!r}")
    page.keyboard.press("p")
    until(page, "document.querySelector('.as-printed')")
    assert "E1" in page.inner_text(".errata")
    assert page.is_checked("#printed")
    assert "took" in page.inner_text(".facts")


def test_a_page_of_files_fits_a_phone(page: Any, folder: Path):
    page.set_viewport_size(NARROW)
    page.goto((folder / "05-create.html").as_uri())
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(tmp_path_factory.mktemp("live"), verb="lecture") as found:
        yield found


def test_live_sliders_make_new_pictures(page: Any, address: str):
    page.goto(address)
    before = drawn(page)
    page.locator("input[type=range]").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    until(page, f"{FIRST} !== {before!r} && document.getElementById('state').textContent === 'Ready'")
    # Between the stops; no older answer moves it back.
    assert page.locator("output").first.inner_text() == "0.13"
    until(page, "document.querySelectorAll('pre')[1].textContent.includes('Linf(0.13)')")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    until(page, "location.hash === '#/negative'")
    assert drawn(page) != before
    page.goto(f"{address.split('#')[0]}#/fairness")
    until(page, "document.querySelector('h1')?.textContent.startsWith('Fairness')")
    drawn(page)


def test_live_without_the_token_nothing_is_told(browser: Any, address: str):
    opened = browser.new_context().new_page()
    opened.goto(address.split("#")[0])
    until(opened, "!document.getElementById('alarm').hidden")
    assert "does not let this page in" in opened.inner_text("#alarm")
    opened.close()
