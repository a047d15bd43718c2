"""Inside, Runs and Touch by hand in a browser: units, map and slices, runs started and compared, cues, files."""

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from .browser import CHROMIUM, MISSING, NAMELESS, NARROW, Page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]
MAP = "#inside canvas.map"


def inside(page: Page, part: str) -> None:
    page.page.keyboard.press("3")
    page.page.click(f"#inside .parts >> text={part}")
    page.page.wait_for_timeout(100)
    page.rested()


def file(page: Page, button: str) -> bytes:
    with page.page.expect_download() as found:
        page.page.click(button)
    path = found.value.path()
    return Path(path).read_bytes()


def test_a_unit_opens_by_keys_and_is_drawn_and_filmed(page: Page):
    inside(page, "Units")
    assert page.colours("#inside .unit:nth-child(3) canvas") > 50
    assert page.pixels("#inside .units figure canvas") != page.pixels("#inside .unit:nth-child(2) canvas")
    page.page.locator("#inside .unit").first.focus()
    page.page.keyboard.press("Enter")
    page.ready()
    assert page.text("#inside h2[tabindex]").startswith("Unit ")
    assert page.page.locator("#inside .wide-near figure").count() >= 18
    page.page.click("#inside >> text=Draw it")
    page.until("document.querySelector('#inside .drawn canvas')")
    assert page.colours("#inside .drawn canvas") > 20
    assert "plain noise reaches" in page.text("#inside")
    film = Image.open(io.BytesIO(file(page, "#inside [data-file=gif]")))
    assert film.format == "GIF"
    assert getattr(film, "n_frames", 1) > 4


def test_the_map_moves_without_asking_and_its_slice_is_looked_at(page: Page):
    page.page.keyboard.press("3")
    page.page.click("#inside .parts >> text=Map")
    page.page.select_option("#inside .fields select >> nth=1", "200")
    page.rested()
    assert page.drawn(MAP)[0] > 100
    assert "random places" in page.text("#inside")
    sent, before = page.sent(), page.drawn(MAP)
    page.page.locator(MAP).focus()
    page.page.keyboard.press("+")
    page.page.keyboard.press("ArrowLeft")
    assert page.drawn(MAP) != before
    page.page.click("#inside >> text=Grid")
    assert page.sent() == sent
    page.page.locator(MAP).focus()
    for _ in range(4):
        page.page.keyboard.press("Alt+ArrowRight")
    page.page.keyboard.press("Enter")
    page.ready()
    title = page.text("#inside h3:has-text('images inside')")
    count = int(title.split()[0])
    page.page.click("#inside >> text=Write their ids")
    page.ready()
    assert "?only=runs/slices/slice-" in page.text("#inside")
    page.page.click("text=Look at these images")
    page.until("studio.view === 'look' && studio.slice")
    page.until(f"document.getElementById('picker').textContent.includes('of {count}')")
    assert page.page.evaluate("studio.ids.length") == min(count, 40)
    page.page.click("#picker .chip button")
    page.until("!studio.slice && studio.ids.length === 40")


def test_while_something_long_runs_the_page_answers_and_it_can_be_stopped(page: Page):
    page.page.keyboard.press("3")
    page.page.click("#inside .parts >> text=Units")
    page.page.fill("#inside .panel input[type=number]", "480")
    page.page.keyboard.press("Enter")
    page.page.click("#inside .parts >> text=Map")
    page.page.select_option("#inside .fields select >> nth=1", "200")
    page.page.fill("#inside .fields input[type=number] >> nth=0", "12")
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Escape")
    page.page.evaluate("document.activeElement.blur()")
    page.page.keyboard.press("1")
    page.page.keyboard.press("ArrowRight")
    page.ready()  # what was asked for is there before the map is
    page.page.keyboard.press("3")
    if page.page.locator("#inside .task >> text=Stop >> visible=true").count():
        page.page.click("#inside .task >> text=Stop >> visible=true")
        page.page.click("#inside .task >> text=Go on >> visible=true")
    page.rested()
    assert page.drawn(MAP)[0] > 100


def test_runs_are_started_and_put_side_by_side(page: Page):
    page.page.keyboard.press("4")
    page.page.click("#runs summary >> text=Start a run")
    page.page.fill("#runs .start input[placeholder=all]", "8")
    page.page.fill("#runs .start input.code >> nth=-1", "Linf(")
    page.page.click("#runs .start >> text=Start >> nth=-1")
    page.until("document.querySelector('#runs .start .error')")
    assert page.text("#runs .start .error").strip()
    page.page.fill("#runs .start input.code >> nth=-1", "Linf(0.1)")
    page.page.click("#runs .start .button.main")
    page.until("document.querySelectorAll('#runs [data-run]').length >= 2", 90)
    page.rested()
    assert "right under attack" in page.text("#runs")
    boxes = page.page.locator("#runs .list input")
    for k in range(2):
        boxes.nth(k).check()
    page.page.click("#runs >> text=Put two side by side")
    page.ready()
    page.rested()
    assert "second less first" in page.text("#runs")
    assert "images of both" in page.text("#runs")
    page.page.set_viewport_size(NARROW)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_a_cue_is_taken_stamped_and_counted(page: Page):
    page.page.keyboard.press("2")
    page.ready()
    page.page.locator("#touch .card canvas").first.focus()
    page.page.keyboard.press("Shift+ArrowUp")
    page.ready()
    page.page.select_option("#fill", "around")
    page.ready()
    assert "24 random other places" in page.text("#touch")
    page.page.click("#touch >> text=Take what is drawn")
    page.page.evaluate("document.activeElement.blur()")
    page.page.keyboard.press("ArrowRight")
    page.ready()
    page.page.click("#touch >> text=Stamp it on this image")
    page.ready()
    assert "is the cue" in page.text("#touch .card:nth-child(3)")
    assert page.colours("#touch canvas.cue") > 1
    page.page.click("#touch >> text=Count over the data")
    page.until("document.querySelector('#touch .films canvas')")
    assert "other pixels in its place" in page.text("#touch")


def test_every_view_is_saved_in_every_form(page: Page):
    page.rested()
    for view in ("look", "touch"):
        page.page.click(f"#tab-{view}")
        page.ready()
        page.rested()
        picture = Image.open(io.BytesIO(file(page, f"#{view} [data-file=png]"))).convert("RGB")
        colours = picture.getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 100
        root = ElementTree.fromstring(file(page, f"#{view} [data-file=svg]"))
        images = root.findall("{http://www.w3.org/2000/svg}image")
        assert len(images) >= 3
        written = file(page, f"#{view} [data-file=pdf]")
        assert written.startswith(b"%PDF-1.4")
        assert written.count(b"/Subtype /Image") == len(images)
        end = int(written.split(b"startxref\n")[1].split()[0])
        assert written[end : end + 4] == b"xref"
    film = Image.open(io.BytesIO(file(page, "#touch [data-file=gif]")))
    assert getattr(film, "n_frames", 1) > 10


def test_what_is_added_fits_and_has_names(page: Page):
    for part in ("Units", "Map", "Filters", "Nearest images"):
        inside(page, part)
    page.page.locator("#tab-inside").focus()
    page.page.set_viewport_size(NARROW)
    for part in ("Units", "Map", "Filters", "Nearest images"):
        page.page.click(f"#inside .parts >> text={part}")
        page.page.wait_for_timeout(60)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], part
    assert page.page.evaluate(NAMELESS) == []
