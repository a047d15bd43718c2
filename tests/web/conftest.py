"""A studio to ask: the embedded networks on 8x8 digits and on colour scenes, as the command line makes it."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from unfool.cli.main import run
from unfool.cli.shared import ModelOptions
from unfool.cli.studio import staged
from unfool.web.app import make_app
from unfool.web.desk import Job
from unfool.web.frames import packed, unpacked
from unfool.web.stage import Stage

from .browser import WIDE, Page, started

TOKEN, PORT = "the-token-that-was-printed", 8400
HOST = f"127.0.0.1:{PORT}"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    models = ("unfool:digits8", "unfool:scenes")
    return staged(models, None, ModelOptions(), (tmp_path_factory.mktemp("none"),))


@pytest.fixture
def ask(stage: Stage) -> Callable[..., Any]:
    """What the stage answers, without a network between."""

    def asked(act: str, arrays: Any = None, **words: Any) -> Any:
        job = Job(None, "one", lambda job: None, lambda found: None)
        value, found = stage(job, {"do": act, "with": words}, arrays or {})
        header, back = unpacked(packed({"value": value}, found), 1 << 20)
        return header["value"], back

    return asked


@pytest.fixture
def serving(stage: Stage) -> Iterator[TestClient]:
    with serving_with(stage) as client:
        yield client


def serving_with(act: Any) -> TestClient:
    app = make_app(act, TOKEN, PORT)
    return TestClient(app, base_url=f"http://{HOST}")


def protocols(token: str = TOKEN) -> list[str]:
    return ["unfool", token]


def send(
    socket: Any, id: int, act: str, slot: str = "a", arrays: Any = None, idle: bool = False, **words: Any
) -> None:
    socket.send_bytes(packed({"id": id, "slot": slot, "do": act, "with": words, "idle": idle}, arrays))


def answer(socket: Any) -> tuple[dict[str, Any], Any]:
    """The next answer that is not about progress."""
    while True:
        header, arrays = unpacked(socket.receive_bytes())
        if "passes" not in header:
            return header, arrays


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("studio")
    words = ["attack", "FGSM", "unfool:digits", "--limit", "6", "--pictures", "0", "--quiet"]
    assert run([*words, "--out", str(folder / "runs" / "fgsm")]) == 0
    with started(folder, "unfool:digits", "unfool:scenes") as found:
        yield found


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    """A page that must have kept silent and to itself by the end of the test."""
    opened = browser.new_page(viewport=WIDE)
    page = Page(opened, address)
    yield page
    assert page.said == []
    assert {urlsplit(url).hostname for url in page.requests if not url.startswith(("blob:", "data:"))} == {
        "127.0.0.1"
    }
    opened.close()
