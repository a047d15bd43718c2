"""The studio below a notebook's cell: the same page, asked of the kernel; here a page plays the notebook."""

import base64
import queue
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import unfool
from unfool.errors import InputError
from unfool.notebook import Studio, module, staged
from unfool.web.stage import IDLE

from .browser import CHROMIUM, MISSING

HOST = """<!doctype html><body><div id="cell"></div><script type="module">
const text = (frame) => btoa(String.fromCharCode(...new Uint8Array(frame)));
const model = { heard: [], get: () => 820, on(_, f) { this.heard.push(f); },
  send(told, _, frames = []) { window.toKernel(told, frames.map(text)); } };
window.fromKernel = (told, frame) => {
  const bytes = Uint8Array.from(atob(frame), (c) => c.charCodeAt(0));
  model.heard.forEach((f) => f(told, [new DataView(bytes.buffer)]));
};
const url = URL.createObjectURL(new Blob([await (await fetch("widget.js")).text()], { type: "text/javascript" }));
window.end = (await import(url)).default.render({ model, el: document.getElementById("cell") });
</script></body>"""


def test_the_script_holds_the_whole_page_and_asks_nobody():
    text = module()
    assert text.count("const FILES = {") == 1
    for name in ("index.html", "main.js", "style.css", "mark.svg"):
        assert f'"{name}": ' in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert "https://" not in text


def test_what_is_wrong_is_one_sentence():
    with pytest.raises(InputError, match="there is no model"):
        Studio()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    made = Studio(unfool.load("unfool:digits8"), height=600)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_the_page_in_a_notebook_looks_at_what_the_kernel_holds(
    studio: Studio, browser: Any, monkeypatch: pytest.MonkeyPatch
):
    told: queue.Queue[Any] = queue.Queue()
    monkeypatch.setattr(studio, "send", lambda content, buffers: told.put((content, bytes(buffers[0]))))
    said, asked = list[str](), list[str]()
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.expose_function(
        "toKernel", lambda words, frames: studio._told(None, words, [base64.b64decode(f) for f in frames])
    )
    page.route("**/widget.js", lambda route: route.fulfill(body=module(), content_type="text/javascript"))
    page.route("**/host", lambda route: route.fulfill(body=HOST, content_type="text/html"))
    page.goto("http://127.0.0.1:9/host")
    frame, until = None, time.monotonic() + 60
    drawn = (
        "new Set(document.querySelector('#look canvas')?.getContext('2d').getImageData(0, 0, 8, 8).data).size"
    )
    while time.monotonic() < until:
        page.wait_for_timeout(20)
        while not told.empty():
            content, answer = told.get()
            page.evaluate("([c, f]) => window.fromKernel(c, f)", [content, base64.b64encode(answer).decode()])
        frame = page.frames[-1]
        if len(page.frames) > 1 and frame.evaluate(f"document.querySelector('#look canvas') && {drawn} > 4"):
            break
    assert frame is not None
    assert frame.inner_text("#state") in ("Ready", "Working")
    assert frame.evaluate("document.querySelectorAll('#picker .thumb img').length") > 10
    assert len(studio._pages) == 1
    page.evaluate("window.end()")
    page.wait_for_timeout(200)
    assert not studio._pages
    page.close()
    assert [text for text in said if "willReadFrequently" not in text] == []  # this test alone reads canvases
    assert {url.split("/")[-1] for url in asked if url.startswith("http")} == {"host", "widget.js"}


def shown_lines(stage: Any, k: int, act: str, **words: Any) -> dict[str, Any]:
    first = stage.room(k).ids[0]
    return stage(IDLE, {"do": act, "with": {"model": k, "image": first, **words}}, {})[0]


def test_the_lines_of_a_model_that_nothing_loads_name_none():
    own = unfool.Model(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval(), name="mine")
    loaded = unfool.load("unfool:digits8")
    stage = staged({"mine": own, loaded.address: loaded}, "unfool:digits8")
    mine = shown_lines(stage, 0, "explain", method="Gradient")
    assert "load(" not in mine["python"]
    assert mine["command"] == ""
    exec(mine["python"], {"model": own})  # what is shown runs where the model is
    other = shown_lines(stage, 1, "explain", method="Gradient")
    assert "model = load('unfool:digits8')" in other["python"]
    assert "--model unfool:digits8" in other["command"]


def test_a_model_loaded_with_more_than_its_address_is_not_known_by_it():
    assert unfool.load("unfool:digits8").address == "unfool:digits8"
    assert unfool.load("unfool:digits8", classes=tuple("abcdefghij")).address == ""


def test_two_models_of_one_name_are_told():
    nets = [unfool.Model(torch.nn.Flatten().eval(), name="mine") for _ in range(2)]
    with pytest.raises(InputError, match="two models are called mine"):
        Studio(*nets)
