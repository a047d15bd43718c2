"""A slow network: the page goes on answering, says that it waits, and never shows what is out of date."""

from collections.abc import Iterator
from typing import Any

import pytest

from .browser import CHROMIUM, MISSING, WIDE, Page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]
SLOW = """(() => {
    window.held = [];
    window.slow = false;
    const of = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
    Object.defineProperty(WebSocket.prototype, 'onmessage', { ...of, set(call) {
        of.set.call(this, (message) => (window.slow ? window.held.push(() => call(message)) : call(message)));
    } });
})()"""
"""While ``slow`` is on answers stay on their way."""
IMAGE, MAP = "#look .card:nth-child(1) canvas", "#look .card:nth-child(2) canvas"
CHANGED = "#touch .card:nth-child(3) canvas"
DIM = "(at) => Number(getComputedStyle(document.querySelector(at)).opacity)"


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport=WIDE)
    opened.add_init_script(SLOW)
    page = Page(opened, address)
    page.rested()
    yield page
    assert page.said == []
    opened.close()


def slow(page: Page) -> None:
    page.page.evaluate("window.slow = true")


def quick(page: Page) -> None:
    """What is on its way arrives."""
    page.page.evaluate("window.slow = false; for (const call of window.held.splice(0)) call()")
    page.ready()


def one(page: Page) -> None:
    """The next answer comes, and nothing after it."""
    page.until("window.held.length > 0")
    page.page.evaluate("window.held.shift()()")
    page.page.wait_for_timeout(60)


def waits(page: Page, at: str) -> None:
    page.page.wait_for_timeout(600)
    assert page.page.evaluate(DIM, at) < 0.6
    assert page.text("#state") == "Working"


def test_the_page_answers_while_an_answer_is_awaited(page: Page):
    slow(page)
    page.page.select_option("#target", "3")
    waits(page, MAP)
    before, sent = page.pixels(MAP), page.sent()
    page.page.locator("#opacity").focus()
    page.page.keyboard.press("Home")
    assert page.pixels(MAP) != before
    assert page.sent() == sent
    assert page.page.evaluate(DIM, MAP) < 0.6  # drawn anew, and still of the class before
    page.page.locator("#tab-look").focus()
    for key, view in (("2", "touch"), ("3", "inside"), ("4", "runs"), ("1", "look")):
        page.page.keyboard.press(key)
        assert page.page.evaluate("studio.view") == view
    page.page.keyboard.press("?")
    assert page.page.evaluate("document.getElementById('help').open")
    page.page.keyboard.press("Escape")
    quick(page)
    assert page.page.evaluate(DIM, MAP) == 1
    assert page.text("#look .card:nth-child(2) .facts").startswith("3,")


def test_another_image_is_never_shown_with_the_maps_of_the_last(page: Page):
    first, ids = page.pixels(IMAGE), page.page.evaluate("studio.ids")
    slow(page)
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")  # waits for the answer about the one between
    waits(page, IMAGE)
    assert page.text("#look .card h3") == ids[0]
    one(page)
    assert page.pixels(IMAGE) == first  # an older answer that came late
    assert page.page.evaluate("studio.seen.id") == ids[0]
    one(page)
    page.until(f"studio.seen.id === {ids[2]!r}")
    assert page.page.evaluate(DIM, IMAGE) > 0.6
    before = page.pixels(MAP)
    page.page.locator("#opacity").focus()
    page.page.keyboard.press("Home")
    assert page.pixels(MAP) == before  # there is no map of this image yet to draw otherwise
    waits(page, MAP)
    quick(page)
    assert page.pixels(MAP) == page.pixels(IMAGE)  # at no opacity
    assert page.page.evaluate(DIM, MAP) == 1


def test_a_change_is_shown_with_the_size_that_it_is_of_and_no_other_attack_s(page: Page):
    page.page.keyboard.press("2")
    page.ready()
    page.rested()
    slow(page)
    before = page.pixels(CHANGED)
    page.page.fill("#exact", "0.2")
    page.page.keyboard.press("Enter")
    page.page.fill("#exact", "0.3")
    page.page.keyboard.press("Enter")
    waits(page, CHANGED)
    one(page)  # of 0.2, which a slow drag passes
    assert "Linf 0.2," in page.text("#touch .card:nth-child(3)")
    assert page.pixels(CHANGED) != before
    page.page.wait_for_timeout(600)
    assert page.page.evaluate(DIM, CHANGED) < 0.6
    before = page.pixels(CHANGED)
    page.page.select_option("#touch .panel select >> nth=0", "PGD")  # while 0.3 is on its way
    one(page)
    assert page.pixels(CHANGED) == before
    page.page.wait_for_timeout(300)
    assert page.text("#touch .verdict") == "Being worked out"
    quick(page)
    assert page.page.evaluate(DIM, CHANGED) == 1
    assert "PGD" in page.text("#touch pre")
    page.page.wait_for_timeout(300)
    assert page.text("#touch .verdict") != "Being worked out"
