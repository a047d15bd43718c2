"""The planes of one DICOM series in order: volumes by position, series by time."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .place import Axis, Frame

AS_SLICES = "?as=slices takes each picture for itself"


class Stack(NamedTuple):
    """Planes that are one sample, named apart from others of its series; ``whole`` sets the scale of its values."""

    name: str
    axis: Axis
    frames: tuple[Frame, ...]
    whole: tuple[Frame, ...]


def arranged(frames: Sequence[Frame], kind: str) -> list[Stack]:
    """The samples of one series, read as ``kind``."""
    placed = all(f.position and f.orientation for f in frames)
    alike = len({(f.size, f.colour, f.inverse, _rounded(f.orientation)) for f in frames}) == 1
    if kind == "auto":
        kind = _likely(frames, placed, alike)
    if kind == "slices":
        return _slices(frames, placed and alike)
    if not alike:
        raise DataError("the pictures of the series differ in size or direction", AS_SLICES)
    places = _by_position(frames) if placed else [_in_time(frames)]
    return (_volumes if kind == "volume" else _series)(places, placed)


def affine_of(frames: Sequence[Frame]) -> np.ndarray:
    """From column, row and slice to mm to the right, the front and the head; where nothing is known, pixels."""
    first, last = frames[0], frames[-1]
    rows, columns = first.spacing or (1.0, 1.0)
    along = np.array(first.orientation or (1, 0, 0, 0, 1, 0), dtype=np.float64)
    start = np.array(first.position or (0, 0, 0), dtype=np.float64)
    third = np.cross(along[:3], along[3:]) * first.thick
    if len(frames) > 1 and first.position and last.position and first.position != last.position:
        third = (np.array(last.position) - start) / (len(frames) - 1)
    found = np.eye(4)
    found[:3, 0], found[:3, 1], found[:3, 2], found[:3, 3] = (
        along[:3] * columns,
        along[3:] * rows,
        third,
        start,
    )
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ found  # DICOM counts to the left and the back


def step_of(frames: Sequence[Frame]) -> float:
    """Seconds between the moments of a series, 0 where the headers do not tell."""
    for k in (0, 2, 3):  # triggers and clocks
        times = [f.times[k] for f in frames]
        if len(times) > 1 and None not in times:
            gap = median(b - a for a, b in pairwise(times))  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
            if gap > 0:
                return float(gap)
    return 0.0


def _likely(frames: Sequence[Frame], placed: bool, alike: bool) -> str:
    if len(frames) == 1 or not alike:
        return "slices"
    if not placed:
        return "series" if frames[0].planes == len(frames) else "slices"
    return "volume" if all(len(place) == 1 for place in _by_position(frames)) else "series"


def _slices(frames: Sequence[Frame], together: bool) -> list[Stack]:
    """Each plane for itself; those that lie in one room have one scale."""
    whole = tuple(frames)
    return [Stack(_name(f), "slice", (f,), whole if together else (f,)) for f in frames]


def _name(frame: Frame) -> str:
    return f"{frame.path}#{frame.plane:03d}" if frame.planes > 1 else frame.path


def _volumes(places: list[list[Frame]], placed: bool) -> list[Stack]:
    if not placed:
        places = [[frame] for frame in places[0]]
    if len(places) < 2:
        raise DataError("it is one slice, no volume", "?as=slices or ?as=series")
    moments = _moments(places)
    if placed:
        _check_even([place[0] for place in places])
    whole = tuple(frame for place in places for frame in place)
    stacks = [tuple(place[t] for place in places) for t in range(moments)]
    first = min(f.path for f in whole)
    return [
        Stack(f"{first}#t{t:03d}" if moments > 1 else first, "volume", s, whole) for t, s in enumerate(stacks)
    ]


def _series(places: list[list[Frame]], placed: bool) -> list[Stack]:
    if _moments(places) < 2:
        way = "?as=volume" if len(places) > 1 else "?as=slices"
        raise DataError(f"it has one frame{' at each place' * (len(places) > 1)}: a series has several", way)
    del placed
    whole = tuple(frame for place in places for frame in place)
    first = min(f.path for f in whole)
    names = [f"{first}#{k:03d}" if len(places) > 1 else first for k in range(len(places))]
    return [Stack(name, "series", tuple(place), whole) for name, place in zip(names, places, strict=True)]


def _moments(places: list[list[Frame]]) -> int:
    counts = {len(place) for place in places}
    if len(counts) > 1:
        raise DataError(f"its slices have from {min(counts)} to {max(counts)} frames", AS_SLICES)
    return counts.pop()


def _check_even(frames: Sequence[Frame]) -> None:
    at = [_height(f) for f in frames]
    gaps = [b - a for a, b in pairwise(at)]
    if max(gaps) - min(gaps) > 0.05 * median(gaps):
        raise DataError(
            f"its slices lie {min(gaps):.4g} to {max(gaps):.4g} mm apart: some are missing", AS_SLICES
        )


def _by_position(frames: Sequence[Frame]) -> list[list[Frame]]:
    """From the lowest place along the normal to the highest, at each of them in time."""
    places: dict[float, list[Frame]] = {}
    for frame in frames:
        places.setdefault(round(_height(frame), 2), []).append(frame)
    return [_in_time(places[at]) for at in sorted(places)]


def _height(frame: Frame) -> float:
    along = np.array(frame.orientation, dtype=np.float64)
    return float(np.dot(np.cross(along[:3], along[3:]), np.array(frame.position, dtype=np.float64)))


def _in_time(frames: Sequence[Frame]) -> list[Frame]:
    """By the first of a header's times that tells all of them apart, else by their files."""
    for k in range(min(len(f.times) for f in frames)):
        times = [f.times[k] for f in frames]
        if None not in times and len(set(times)) == len(times):
            return sorted(frames, key=lambda f, k=k: f.times[k] or 0.0)
    return sorted(frames, key=lambda f: (f.path, f.plane))


def _rounded(values: tuple[float, ...] | None) -> tuple[float, ...]:
    return tuple(round(v, 3) + 0.0 for v in values or ())
