"""Who is let in, and what comes of being attacked: refused with a reason, and the server stays up."""

import io
import struct
import zlib
from contextlib import ExitStack
from threading import Event
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from unfool.errors import InputError
from unfool.views import View
from unfool.web.app import MOST_BYTES, MOST_PAGES
from unfool.web.assets import assets
from unfool.web.desk import Job
from unfool.web.frames import packed

from .conftest import HOST, PORT, TOKEN, answer, protocols, send, serving_with

ALLOWED = {"authorization": f"Bearer {TOKEN}"}


def alive(client: TestClient) -> None:
    with page(client) as socket:
        send(socket, 1, "begin")
        assert answer(socket)[0]["ok"]


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_host_is_refused(serving: TestClient, host: str):
    """A name that somebody made to point here (DNS rebinding) is no name of this server."""
    assert serving.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"https://{HOST}", "http://127.0.0.1:1"])
def test_another_origin_is_refused(serving: TestClient, origin: str):
    assert serving.get("/", headers={"origin": origin}).status_code == 403
    assert serving.post("/picture", headers={**ALLOWED, "origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        serving.websocket_connect(
            f"ws://{HOST}/socket", subprotocols=protocols(), headers={"origin": origin}
        ),
    ):
        pass
    assert "its own pages only" in refused.value.reason


WRONG = [["unfool"], ["unfool", "wrong"], ["unfool", TOKEN + "x"], ["unfool", TOKEN, "x"], []]


@pytest.mark.parametrize("offered", WRONG)
def test_without_the_token_nothing_but_the_page_itself_is_given(serving: TestClient, offered: list[str]):
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        serving.websocket_connect(f"ws://{HOST}/socket", subprotocols=offered),
    ):
        pass
    assert "the token is missing" in refused.value.reason
    assert serving.post("/picture", content=b"x").status_code == 403
    assert serving.get("/anything").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e/%2e%2e/model.py",
        "/static/main.js",
        "//etc/passwd",
        "/main.js/",
        "/index.html",
    ],
)
def test_there_are_no_files_but_those_of_the_table(serving: TestClient, path: str):
    assert serving.get(path, headers=ALLOWED).status_code == 404


def test_every_answer_says_what_a_page_may_do_and_what_is_kept(serving: TestClient):
    for answered in (serving.get("/"), serving.get("/main.js"), serving.get("/", headers={"host": "x"})):
        policy = answered.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answered.headers["referrer-policy"] == "no-referrer"
        assert answered.headers["x-content-type-options"] == "nosniff"


def test_the_page_names_no_other_host_and_is_small():
    found = assets()
    assert sum(len(one.content) for one in found.values()) < 300_000
    for address, one in found.items():
        text = one.content.decode().replace("http://www.w3.org/", "")
        assert "://" not in text, address
        assert "innerHTML" not in text
        assert "eval(" not in text


def test_malformed_frames_are_refused_with_a_reason_and_the_connection_goes_on(serving: TestClient):
    with serving.websocket_connect(f"ws://{HOST}/socket", subprotocols=protocols()) as socket:
        for frame in (b"", b"\xff" * 40, b"\x02\x00\x00\x00[]"):
            socket.send_bytes(frame)
            header, _ = answer(socket)
            assert header["ok"] is False
            assert header["error"]
        socket.send_text("hello")
        assert answer(socket)[0]["ok"] is False
        for words in (
            {"id": 1},
            {"id": True, "slot": "a"},
            {"id": 1, "slot": ""},
            {"id": 1, "slot": "a" * 99},
        ):
            socket.send_bytes(packed(words))
            assert "slot and an id" in answer(socket)[0]["error"]
        send(socket, 5, "no such thing")
        assert "no request is called" in answer(socket)[0]["error"]
        send(socket, 6, "explain", image="../../etc/passwd", method="Gradient()")
        assert "no image is called" in answer(socket)[0]["error"]
        send(socket, 7, "explain", image="test/0", method="__import__('os').system('true')")
        assert "not allowed" in answer(socket)[0]["error"]
        send(socket, 8, "explain", image="test/0", method="GradCAM('nowhere')")
        found, _ = answer(socket)
        assert found["error"] == "no layer is called 'nowhere'"
        assert found["hint"]
        send(socket, 9, "begin")
        assert answer(socket)[0]["value"]["models"] == ["unfool:digits8", "unfool:scenes"]


def png(width: int, height: int) -> bytes:
    """A PNG that says it is of some size; its pixels are not there."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress(bytes((width + 1) * min(height, 50)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def as_file(picture: Image.Image, kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    picture.save(held, kind)
    return held.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (png(10_000, 10_000), "10000x10000, more than"),
        (png(200_000, 200_000), "more than"),
        (png(64, 64)[:-30], "not a picture that can be read"),
        (SVG, "not a picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that can be read"),
        (b"", "not a picture that can be read"),
    ],
    ids=["10k", "bomb", "cut", "svg", "eps", "nothing"],
)
def test_what_is_no_picture_is_refused_in_a_sentence(serving: TestClient, content: bytes, reason: str):
    answered = serving.post("/picture", content=content, headers={**ALLOWED, "x-name": "a.png"})
    assert answered.status_code == 422
    assert reason in answered.json()["error"]
    alive(serving)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(serving: TestClient):
    read = 0

    def parts():
        nonlocal read
        for _ in range(1024):
            read += 1 << 20
            yield bytes(1 << 20)

    said = serving.post("/picture", content=b"x", headers={**ALLOWED, "content-length": str(1 << 30)})
    assert said.status_code == 413
    unsaid = serving.post(
        "/picture", content=parts(), headers=ALLOWED
    )  # chunked: it does not say how large it is
    assert unsaid.status_code == 413
    assert f"{MOST_BYTES >> 20} MB at most" in unsaid.json()["error"]
    alive(serving)


def test_an_own_picture_is_fitted_as_the_network_wants_it_and_says_so(serving: TestClient, stage: Any):
    picture = Image.effect_noise((60, 40), 80).convert("RGB")
    named = {**ALLOWED, "x-name": "..%2Fa%20b.jpg"}
    answered = serving.post("/picture", content=as_file(picture, "JPEG"), headers=named).json()
    told = answered["value"]
    assert told["name"] == "a b.jpg"
    assert told["told"] == "60x40 in colour: made grey, shorter side scaled to 8, middle 8x8 kept."
    held = Image.open(io.BytesIO(stage.own[told["id"]].content))
    assert (stage.room(0).batch(told["id"]).x[0] == View(8, 8, 1)(held)).all()


def page(client: TestClient) -> Any:
    return client.websocket_connect(f"ws://{HOST}/socket", subprotocols=protocols())


def test_pages_are_bounded_and_those_open_go_on(serving: TestClient):
    with ExitStack() as held:
        sockets = [held.enter_context(page(serving)) for _ in range(MOST_PAGES)]
        with page(serving) as late, pytest.raises(WebSocketDisconnect) as refused:
            late.receive_bytes()
        assert refused.value.code == 1013
        assert "open already" in refused.value.reason
        send(sockets[0], 1, "begin")
        assert answer(sockets[0])[0]["ok"]
    alive(serving)


class Slow:
    """An act that goes on until it is dropped."""

    def __init__(self) -> None:
        self.begun, self.ended, self.calls = Event(), Event(), list[str]()

    def __call__(self, job: Job, words: dict[str, Any], arrays: dict[str, Any]) -> Any:
        self.calls.append(words["do"])
        if words["do"] != "long":
            return {"did": words["do"]}, {}
        self.begun.set()
        try:
            while True:
                Event().wait(0.002)
                job.step()
        finally:
            self.ended.set()


def test_a_page_that_hangs_up_ends_what_it_asked_for():
    slow = Slow()
    with serving_with(slow) as client:
        with page(client) as socket:
            send(socket, 1, "long")
            assert slow.begun.wait(5)
        assert slow.ended.wait(5)


def test_a_stale_answer_is_never_sent_and_two_pages_do_not_meet():
    slow = Slow()
    with serving_with(slow) as client, page(client) as one:
        with page(client) as two:
            send(one, 1, "long")
            assert slow.begun.wait(5)
            send(two, 1, "other")
            send(one, 2, "short")
            assert answer(one)[0] == {"id": 2, "slot": "a", "ok": True, "value": {"did": "short"}}
            assert answer(two)[0]["value"] == {"did": "other"}
        send(one, 3, "long", slot="b")
        send(one, 4, "drop", slot="b")
        send(one, 5, "short")
        assert answer(one)[0]["id"] == 5


def test_a_bug_is_told_and_the_server_goes_on():
    def act(job: Job, words: dict[str, Any], arrays: dict[str, Any]) -> Any:
        raise {"bug": ZeroDivisionError("oh"), "asked": InputError("so not", "do this")}[words["do"]]

    with serving_with(act) as client, page(client) as socket:
        send(socket, 1, "bug")
        assert answer(socket)[0]["error"] == "ZeroDivisionError: oh"
        send(socket, 2, "asked")
        header, _ = answer(socket)
        assert (header["error"], header["hint"]) == ("so not", "do this")
