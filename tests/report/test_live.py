"""Maps in a report are drawn by the studio's code from numbers in the page, and stay pictures without it."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.web.browser import CHROMIUM, DATA, MISSING

from unfool.cli.main import run
from unfool.report.live import WIDEST, numbers, script


def levels(uri: str) -> torch.Tensor:
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    picture = Image.open(io.BytesIO(content))
    return torch.from_numpy(np.array(picture)).long()


def test_the_script_is_one_module_that_imports_nothing_and_ends_no_tag():
    text = script()
    assert not re.search(r"^(import|export)\b", text, re.M)
    assert "function drawHeat" in text
    assert "</script" not in text


@pytest.mark.parametrize("shape", [(7, 9), (3, 7, 9), (1, 5, 7, 9), (400, 300)])
def test_numbers_are_those_of_the_map_to_a_127th(shape: tuple[int, ...]):
    heat = torch.linspace(-2, 3, torch.Size(shape).numel()).reshape(shape)
    told = numbers(heat)
    back = (levels(told.uri) - 128) / 127 * told.most
    assert told.most == float(heat.abs().max())
    assert max(back.shape) <= WIDEST
    if len(shape) == 2 and max(shape) <= WIDEST:
        assert (back - heat).abs().max() <= told.most / 254 + 1e-6
    assert levels(numbers(torch.tensor([[0.0, 1.0], [-1.0, 0.0]])).uri).tolist() == [[128, 255], [1, 128]]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_how_maps_look_is_chosen_in_the_page_and_paper_has_the_pictures(browser: Any, tmp_path: Path):
    how = ["--limit", "2", "--steps", "2", "--restarts", "1", "--level", "quick", "--quiet"]
    assert run(["audit", "unfool:digits", *how, "--out", str(tmp_path)]) == 0
    said, asked = list[str](), list[str]()
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())
    for _ in range(200):
        page.wait_for_timeout(50)
        if page.evaluate("document.body.dataset.drawn"):
            break
    first = f"[...({DATA})(document.querySelector('.maps .screen canvas'))]"
    over = page.evaluate(first)
    assert len(set(over)) > 20
    page.locator("#drawing input").first.fill("0")
    plain = page.evaluate(first)
    assert plain != over
    assert all(plain[k] == plain[k + 1] == plain[k + 2] for k in range(0, len(plain), 4))
    assert page.locator(".maps img").first.is_hidden()
    assert page.locator("nav a").count() > 6
    page.emulate_media(media="print")
    assert page.locator(".maps img").first.is_visible()
    assert page.locator("#drawing").is_hidden()
    for link in page.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))"):
        assert page.evaluate("(id) => Boolean(document.getElementById(id))", link), link
    page.close()
    assert said == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
