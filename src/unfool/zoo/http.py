"""A model behind a port of this machine, asked over HTTP.

Each question is one POST. As JSON (the default) its body is ``{"images": [...]}``, floats in [0, 1] nested as
[B, C, *space], and the answer ``{"scores": [[...], ...]}`` or ``{"labels": [...]}``, one entry per image. As npz both
are .npz files that hold the same arrays under the same names.
"""

import io
import json
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from zipfile import BadZipFile

import numpy as np

from ..errors import DataError, InputError, SpecError
from ..model import Model

BATCH = 64
"""How many images one question holds at most."""
TYPES: dict[str, str] = {"json": "application/json", "npz": "application/octet-stream"}


def http_model(url: str, options: dict[str, str], classes: Sequence[str] = (), outputs: Any = None) -> Model:
    """``http://127.0.0.1:PORT/path``, with ``gives=labels&classes=10``, ``format=npz``, ``timeout`` and ``tries``."""
    gives, kind = options.pop("gives", "scores"), options.pop("format", "json")
    if gives not in ("scores", "labels") or kind not in TYPES:
        raise SpecError(f"gives={gives}, format={kind}: there is gives=scores or labels, format=json or npz")
    many = options.pop("classes", "")
    names: tuple[str, ...] = tuple(classes) or tuple(map(str, range(_whole(many or "0", "classes"))))
    timeout, tries = (
        _whole(options.pop(key, text), key) for key, text in (("timeout", "30"), ("tries", "4"))
    )
    ask = Endpoint(url, kind, gives, timeout, tries)
    if gives == "scores":
        return Model.scores(ask, names, outputs=outputs, name=url)
    if not names:
        raise SpecError("labels of how many classes?", f"{url}?gives=labels&classes=10, or --classes FILE")
    return Model.labels(ask, names, name=url)


def _whole(text: str, what: str) -> int:
    if not text.isdecimal():
        raise SpecError(f"{what} must be a whole number, not {text!r}")
    return int(text)


class Endpoint:
    """A function of numpy images that asks a server on this machine."""

    def __init__(
        self, url: str, kind: str, gives: str, timeout: float = 30, tries: int = 4, pause: float = 0.25
    ):
        parts = urlsplit(url)
        self.host, self.port, self.path = _loopback(url, parts.hostname), parts.port or 80, parts.path or "/"
        self.url, self.kind, self.gives = url, kind, gives
        self.timeout, self.tries, self.pause = timeout, tries, pause

    def __call__(self, x: Any) -> Any:
        return np.concatenate([self._answers(x[k : k + BATCH]) for k in range(0, len(x), BATCH)])

    def _answers(self, x: Any) -> Any:
        answer = _read(self._sent(_written(x, self.kind)), self.kind, self.gives, self.url)
        wanted = 1 if self.gives == "labels" else 2
        if answer.ndim != wanted or len(answer) != len(x) or answer.dtype.kind not in "iuf":
            told = f"{self.gives} of shape {list(answer.shape)} and type {answer.dtype} for {len(x)} images"
            raise InputError(f"{self.url} answered with {told}", "one label or one row of scores per image")
        if not np.isfinite(answer).all():
            raise InputError(f"{self.url} answered with NaN or infinite {self.gives}")
        return answer

    def _sent(self, body: bytes) -> bytes:
        """The body of the answer; what may pass by itself is tried again, each time after twice the pause."""
        trouble = ""
        for k in range(max(1, self.tries)):
            if k:
                time.sleep(self.pause * 2 ** (k - 1))
            try:
                status, reason, answer = self._posted(body)
            except (OSError, HTTPException) as error:
                trouble = f"{type(error).__name__}: {error}"
                continue
            if status == 200:
                return answer
            trouble = f"{status} {reason}: {_shown(answer)}"
            if status < 500 and status != 429:
                break
        raise DataError(
            f"{self.url} gives no answer: {trouble}", "is the server running, and the path right?"
        )

    def _posted(self, body: bytes) -> tuple[int, str, bytes]:
        connection = HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.request("POST", self.path, body, {"Content-Type": TYPES[self.kind]})
            response = connection.getresponse()
            return response.status, response.reason, response.read()
        finally:
            connection.close()


def _loopback(url: str, host: str | None) -> str:
    """The host, if it is this machine."""
    host = "127.0.0.1" if host == "localhost" else host or ""
    try:
        near = ip_address(host).is_loopback
    except ValueError:
        near = False
    if not near:
        raise InputError(
            f"{url} is not on this machine, and only such models are asked", "http://127.0.0.1:PORT/path"
        )
    return host


def _written(x: Any, kind: str) -> bytes:
    if kind == "json":
        return json.dumps({"images": x.tolist()}).encode()
    buffer = io.BytesIO()
    np.savez(buffer, images=x)
    return buffer.getvalue()


def _read(answer: bytes, kind: str, gives: str, url: str) -> Any:
    try:
        if kind == "json":
            return np.asarray(json.loads(answer)[gives])
        with np.load(io.BytesIO(answer), allow_pickle=False) as file:
            return file[gives]
    except (ValueError, KeyError, TypeError, IndexError, BadZipFile, EOFError, OSError, RecursionError):
        raise InputError(f"{url} answered with {_shown(answer)!r}, not {kind} with {gives!r}") from None


def _shown(answer: bytes) -> str:
    text = " ".join(answer[:200].decode("utf-8", "replace").split())
    return text[:100] + ("…" if len(answer) > 100 else "")
