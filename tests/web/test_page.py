"""The page in a browser: something real is drawn, by keys too; nothing is asked of anybody else."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .browser import CHROMIUM, DATA, MISSING, NAMELESS, NARROW, Page, started

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]
CHANGED = "#touch .card:nth-child(3) canvas"
WATCH = f"""() => {{
    window.seen = new Set();
    const look = () => window.seen.add(({DATA})(document.querySelector('{CHANGED}')).join());
    window.timer = setInterval(look, 5);
}}"""
MAP = "#look .card:nth-child(2) canvas"


def test_every_view_draws_something_real_and_fits_at_both_widths(page: Page):
    assert page.colours("#look canvas") > 50
    assert page.colours(MAP) > 50
    grey = [p for p in page.pixels(MAP) if len({p >> 16, p >> 8 & 255, p & 255}) == 1]
    assert 0 < len(grey) < 1024  # the map is there in colour, and not everywhere
    for key, canvas in (
        ("2", CHANGED),
        ("3", "#inside .near canvas"),
        ("3", "#inside .filters figure:nth-child(3) canvas"),
    ):
        page.page.keyboard.press(key)
        if "filters" in canvas:
            page.page.click("#inside .parts >> text=Filters")
        page.ready()
        page.until(f"document.querySelector({canvas!r})")
        assert page.colours(canvas) > 1
    page.page.keyboard.press("4")
    page.page.click("#runs .list [data-run]")
    page.until("document.querySelector('#runs tbody canvas')")
    assert page.colours("#runs tbody canvas") > 10
    page.page.set_viewport_size(NARROW)
    for key in "1234":
        page.page.keyboard.press(key)
        page.ready()
        assert page.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], key


def test_how_a_map_is_drawn_asks_nobody(page: Page):
    page.rested()
    before, sent = page.pixels(MAP), page.sent()
    requests = len(page.requests)
    page.page.locator("#opacity").focus()
    for key in ("Home", "End", "ArrowLeft"):
        page.page.keyboard.press(key)
        drawn = page.pixels(MAP)
        assert drawn != before
        before = drawn
    page.page.locator("#opacity").focus()
    page.page.keyboard.press("Home")
    assert all(len({p >> 16, p >> 8 & 255, p & 255}) == 1 for p in page.pixels(MAP))  # the grey image alone
    for button in ("against", "alone", "shared"):
        page.page.click(f"#look .choice >> text={button}")
    page.page.select_option("#look select >> nth=1", "Viridis")
    assert page.colours(MAP) > 0
    assert page.sent() == sent
    assert len(page.requests) == requests


def test_a_drag_shows_what_it_passes_and_ends_where_the_slider_is(page: Page):
    page.page.keyboard.press("2")
    page.ready()
    page.page.evaluate(WATCH)
    box = page.page.locator("#eps").bounding_box()
    page.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    page.page.mouse.down()
    for k in range(40):
        page.page.mouse.move(box["x"] + box["width"] * (0.5 + 0.01 * k), box["y"] + box["height"] / 2)
        page.page.wait_for_timeout(25)
    page.page.mouse.up()
    page.ready()
    assert page.page.evaluate("clearInterval(window.timer) || window.seen.size") > 8
    eps = page.page.input_value("#exact")
    assert f"Linf(eps={eps.rstrip('0')}" in page.text("#touch pre")
    assert re.search(rf"at most {eps}", page.text("#touch .card:nth-child(2)"))
    assert "not fooled" not in page.text("#touch .verdict")


def test_all_of_it_by_keys(page: Page):
    press = page.page.keyboard.press
    first = page.page.evaluate("studio.image")
    press("ArrowRight")
    page.until(f"studio.image !== {first!r} && studio.seen")
    page.ready()
    press("ArrowLeft")
    page.until(f"studio.image === {first!r}")
    press("2")
    page.ready()
    before = page.page.input_value("#eps")
    for _ in range(3):
        press("ArrowUp")
    assert int(page.page.input_value("#eps")) == int(before) + 3
    page.page.locator("#touch .card canvas").first.focus()
    press("Shift+ArrowRight")  # a box to hide
    page.ready()
    assert "of the image is hidden" in page.text("#touch .card:nth-child(3)")
    assert "random other places" in page.text("#touch")
    page.page.locator("#tab-touch").focus()
    press("ArrowLeft")
    assert page.page.evaluate("studio.view") == "look"
    press("?")
    assert page.page.evaluate("document.getElementById('help').open")
    press("Escape")
    page.page.locator("#look canvas").first.focus()
    press("ArrowDown")
    assert re.search(r"at \d+, \d+", page.text("#look .card:nth-child(2)"))  # the cursor is shared


def test_everything_that_can_be_used_has_a_name(page: Page):
    for key in "1234":
        page.page.keyboard.press(key)
        page.ready()
    assert page.page.evaluate(NAMELESS) == []


def test_what_goes_wrong_is_said_in_the_page_with_the_way_out(page: Page, tmp_path: Path):
    page.page.click("#look .card:nth-child(2) summary")
    page.page.fill("#look .card:nth-child(2) input[aria-label='Method as Python']", "GradCAM('nowhere')")
    page.page.keyboard.press("Enter")
    page.until("document.querySelector('#look .card:nth-child(2) .error')")
    assert page.text("#look .card:nth-child(2) .error").startswith("no layer is called 'nowhere'")
    assert "there is" in page.text("#look .card:nth-child(2) .error small")
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    page.page.set_input_files("#own", tmp_path / "a.svg")
    page.until("document.querySelector('#picker .error')")
    assert "not a picture that can be read" in page.text("#picker .error")
    page.said[:] = [text for text in page.said if "422" not in text]  # the browser's own note of the refusal


def test_an_own_picture_is_shown_and_said_how_it_was_fitted(page: Page, tmp_path: Path):
    Image.effect_noise((90, 60), 90).convert("RGB").save(tmp_path / "mine.png")
    page.page.set_input_files("#own", tmp_path / "mine.png")
    page.until("studio.image.startsWith('own:')")
    page.ready()
    assert "90x60 in colour: made grey, shorter side scaled to 32, middle 32x32 kept." in page.text(
        "#look .card"
    )
    assert page.colours(MAP) > 50
    assert "mine.png" in page.text("#look pre")


def test_a_row_of_a_run_opens_in_look_and_a_detector_shows_boxes(page: Page):
    page.page.keyboard.press("4")
    page.page.click("#runs .list [data-run]")
    page.page.wait_for_selector("#runs tbody tr")
    wanted = page.page.get_attribute("#runs tbody tr >> nth=2", "data-id")
    page.page.click("#runs th button >> text=confidence")
    page.ready()
    sure = [float(text) for text in page.page.locator("#runs tbody tr td:nth-child(3)").all_inner_texts()]
    assert sure == sorted(sure, reverse=True)
    page.page.click(f"#runs tbody tr[data-id='{wanted}']")
    page.until(f"studio.view === 'look' && studio.image === {wanted!r}")
    page.page.select_option("#model", "1")
    page.until("studio.room && studio.room.kind === 'boxes' && studio.seen", 60)
    page.ready()
    assert page.page.locator("#look .card svg path").count() >= 4
    assert "as the data have it" in page.text("#look .card")


def test_without_the_token_the_page_says_what_to_open(browser: Any, address: str):
    opened = browser.new_page()
    opened.goto(address.partition("#")[0])
    opened.wait_for_selector("#alarm:not([hidden])")
    assert "open the address that unfool studio printed" in opened.inner_text("#alarm")
    opened.goto(address)  # in the same tab
    opened.wait_for_selector("#alarm[hidden]", state="attached")
    for _ in range(100):
        if opened.url == address.partition("#")[0]:
            break
        opened.wait_for_timeout(50)
    assert opened.url == address.partition("#")[0]  # the token does not stay in the address bar
    opened.close()


def test_a_model_that_gives_labels_only_offers_what_works_on_it_and_no_chances(browser: Any, tmp_path: Path):
    Image.effect_noise((90, 60), 90).convert("RGB").save(tmp_path / "mine.png")
    with started(tmp_path, "unfool:digits8", "--only", "labels") as address:
        page = Page(browser.new_page(), address)
        assert "gives labels only" in page.text("#look")
        page.page.set_input_files("#own", tmp_path / "mine.png")
        page.until("studio.image.startsWith('own:')")
        page.ready()
        assert "made grey, shorter side scaled to 8, middle 8x8 kept." in page.text("#look .card")
        page.page.keyboard.press("2")
        page.page.select_option("#touch .panel select >> nth=0", "RandomNoise")
        page.until("document.querySelector('#touch .verdict em')")
        page.ready()
        assert page.page.evaluate("studio.room.attributions.length") == 0
        assert "%" not in page.text("#touch .verdict") + page.text("#touch .bars") + page.text("#look .bars")
        assert page.said == []
        page.page.close()
