"""Frames: what is packed is unpacked, and whatever else comes in is refused in a sentence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unfool.errors import InputError
from unfool.web.frames import packed, unpacked


def test_what_is_packed_is_unpacked_and_lies_at_multiples_of_eight():
    arrays = {"a": np.arange(5, dtype="u1"), "b": np.eye(3, dtype="f4"), "c": np.zeros((0, 2), "i4")}
    frame = packed({"id": 7, "näme": "é"}, arrays)
    assert len(frame) % 8 == 0
    assert (4 + int.from_bytes(frame[:4], "little")) % 8 == 0
    header, found = unpacked(frame)
    assert header == {"id": 7, "näme": "é"}
    assert all(np.array_equal(found[name], a) and found[name].dtype == a.dtype for name, a in arrays.items())


def by_hand(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(4, "little") + text + body


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x01\x00",
        b"\xff\xff\xff\xff{}",
        by_hand(b"{not json"),
        by_hand([1, 2]),
        by_hand(b"[" * 50_000),
        by_hand({"arrays": 3}),
        by_hand({"arrays": [["x", "f8", [1]]]}, bytes(8)),
        by_hand({"arrays": [["x", "f4", [2]]]}, bytes(4)),
        by_hand({"arrays": [["x", "f4", [-1]]]}, bytes(4)),
        by_hand({"arrays": [["x", "f4", [1 << 40, 1 << 40]]]}),
        by_hand({"arrays": [["x", "f4", [4_000_000] * 9]]}),
        by_hand({"arrays": [["x", "u1", [True]]]}, bytes(8)),
        by_hand({"arrays": [["x", "u1", [0]]] * 9}),
    ],
    ids=range(14),
)
def test_what_is_no_frame_is_refused(frame: bytes):
    with pytest.raises(InputError):
        unpacked(frame)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_read_or_refused(frame: bytes):
    try:
        header, arrays = unpacked(frame)
    except InputError:
        return
    assert isinstance(header, dict)
    assert isinstance(arrays, dict)
