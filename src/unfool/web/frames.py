"""What travels over the socket: a header as JSON, then arrays as they lie in memory.

Four bytes of the header's length, the header, filled up with spaces to a multiple of 8, then each array in turn, filled
up with zeros likewise. The header's ``arrays`` name them: ``[["heat", "f4", [32, 32]], ...]``.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]
KINDS = {"u1": "|u1", "i4": "<i4", "f4": "<f4"}
"""What an array may hold, by the name it has in a header: as all browsers keep their numbers."""
LARGEST = 4 << 20
"""Of a frame that comes in, in bytes."""
HEADER = 64 << 10
HINT = "reload the page: it may be of another version"


def packed(header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> bytes:
    """One frame."""
    each = {name: np.ascontiguousarray(a) for name, a in (arrays or {}).items()}
    table = [[name, _kind(a), list(a.shape)] for name, a in each.items()]
    text = json.dumps({**header, "arrays": table}, allow_nan=False).encode()
    text += b" " * (-(4 + len(text)) % 8)
    parts = [len(text).to_bytes(4, "little"), text]
    for a in each.values():
        parts += [a.tobytes(), bytes(-a.nbytes % 8)]
    return b"".join(parts)


def _kind(a: Array) -> str:
    return next(kind for kind, dtype in KINDS.items() if a.dtype == dtype)


def unpacked(frame: bytes, longest: int = HEADER) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header, so many bytes at most, and the arrays of a frame from outside.

    Raises :class:`InputError` where it is none.
    """
    if len(frame) < 4:
        raise InputError(f"a frame of {len(frame)} bytes has no header", HINT)
    length = int.from_bytes(frame[:4], "little")
    if not 0 < length <= min(longest, len(frame) - 4):
        raise InputError(f"a frame of {len(frame)} bytes cannot have a header of {length}", HINT)
    try:
        header = json.loads(frame[4 : 4 + length])
    except (ValueError, RecursionError):
        raise InputError("a frame's header is not JSON", HINT) from None
    if not isinstance(header, dict):
        raise InputError("a frame's header is no JSON object", HINT)
    return header, _arrays(header.pop("arrays", []), frame, 4 + length)


def _arrays(table: Any, frame: bytes, start: int) -> dict[str, Array]:
    found: dict[str, Array] = {}
    if not isinstance(table, list) or len(table) > 8:
        raise InputError("a frame's list of arrays cannot be read", HINT)
    for entry in table:
        match entry:
            case [str(name), str(kind), [*shape]] if kind in KINDS and all(map(_is_side, shape)):
                size = prod(shape) * np.dtype(KINDS[kind]).itemsize
            case _:
                raise InputError("a frame's list of arrays cannot be read", HINT)
        if size > len(frame) - start:
            raise InputError(f"a frame ends within its array {name[:40]!r}", HINT)
        found[name] = np.frombuffer(frame[start : start + size], KINDS[kind]).reshape(shape)
        start += size + -size % 8
    return found


def _is_side(n: Any) -> bool:
    return type(n) is int and 0 <= n <= LARGEST
