"""Medical files by address: which samples a file or a folder holds, and each of them in [0, 1]."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, InputError, MissingExtra, UnfoolError, UnknownName
from ..spec import Spec
from ..views import View
from . import dicom, nifti
from .base import Sample, Source
from .frames import Stack, affine_of, arranged, step_of
from .place import Axis, Frame, Place, moved
from .remembered import remembered, stamp_of

OPTIONS = {"as": "kind", "window": "window", "orientation": "orientation", "labels": "labels"}


class Scan(Spec):
    """How medical files become images."""

    kind: Literal["auto", "volume", "slices", "series"] = "auto"
    """What one sample is: a volume [1, D, H, W], a slice [1, H, W], a series [1, T, H, W]; auto goes by the file."""
    window: str = "percentiles"
    """Which values become 0 and 1: percentiles 0.5 and 99.5 of the whole file or series, its range, "file" for the
    window in a DICOM header, or "40,400" for a centre and a width."""
    orientation: str = ""
    """How the axes of a NIfTI file are turned, such as LPS; empty: as they are stored."""
    labels: Literal["none", "folders"] = "none"
    """Whether the folders of the first level are classes."""


def checked(scan: Scan) -> Scan:
    """The same, once its window and its orientation say something."""
    if scan.window not in ("percentiles", "range", "file"):
        _centre_and_width(scan.window)
    if scan.orientation and sorted(map(_axis, scan.orientation)) != [0, 1, 2]:
        hint = "LPS runs as the axial pictures of DICOM do"
        raise InputError(f"orientation must be three letters, not {scan.orientation!r}", hint)
    return scan


class Scans(Source):
    """DICOM and NIfTI: one file, or a folder of them, where a DICOM series is one sample or several."""

    path: str
    scan: Scan = Scan()

    def ids(self) -> tuple[str, ...]:
        return tuple(_listed(self.path, checked(self.scan)))

    def sample(self, id: str, view: View) -> Sample:
        part = _listed(self.path, self.scan)[id]
        if isinstance(part, UnfoolError):
            raise part
        beside = _mask_beside(part.path) if isinstance(part, Part) else None
        return part_sample(part, self.scan, view, beside)

    def label(self, id: str) -> str | None:
        return id.split("/")[0] if self.scan.labels == "folders" and "/" in id else None

    def label_names(self) -> tuple[str, ...]:
        names = tuple(sorted({name for i in self.ids() if (name := self.label(i))}))
        return () if all(name.isdecimal() for name in names) else names


class Part(NamedTuple):
    """What one sample is of a NIfTI file: which slice, which moment; ``flat`` has its moments as slices."""

    path: str
    axis: Axis
    slice: int | None = None
    moment: int | None = None
    flat: bool = False

    @property
    def name(self) -> str:
        told = ("" if self.slice is None else f"{self.slice:03d}") + (
            "" if self.moment is None else f"t{self.moment:03d}"
        )
        return f"{self.path}#{told}" if told else self.path

    def of(self, numbers: Any) -> Any:
        """Its part of [T, K, J, I]."""
        if self.axis == "series":
            return numbers[0] if self.flat else numbers[:, self.slice or 0]
        found = numbers[self.moment or 0]
        return found if self.axis == "volume" else found[self.slice or 0]


def scan_for(options: Mapping[str, str]) -> Scan:
    """The options of an address."""
    for name in options:
        if name not in OPTIONS:
            raise UnknownName("option of medical files", name, OPTIONS)
    found = {OPTIONS[name]: value for name, value in options.items()}
    return checked(Scan(**found))  # pyright: ignore[reportArgumentType]


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(nifti.SUFFIXES)


def is_scan(path: Path) -> bool:
    """Whether a file is DICOM or NIfTI by its name; one without an ending, or named by a UID, by its first bytes."""
    if is_nifti(path) or path.suffix.lower() in dicom.SUFFIXES:
        return True
    if path.suffix.strip(".0123456789") or path.name in ("", "DICOMDIR") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


@remembered
def scans_in(path: str) -> tuple[str, ...]:
    """The medical files of a folder, masks beside their images left out."""
    found = sorted(p for p in Path(path).rglob("*") if not p.name.startswith(".") and is_scan(p))
    masks = {str(_mask_beside(str(p))) for p in found if is_nifti(p)}
    return tuple(str(p) for p in found if str(p) not in masks)


def read_scan(path: Path, scan: Scan, view: View, mask: Path | None) -> Sample:
    """A file of a table: all of it if that is one sample, else the part that is named behind a #."""
    file = Path(re.sub(r"#\d*(t\d+)?$", "", str(path)))
    if file != path and scan.kind == "auto":
        scan = Scan("slices", scan.window, scan.orientation, scan.labels)
    parts = dict(_parts([str(file)], scan))
    if str(path) not in parts:
        hint = f"name one of {', '.join(list(parts)[:2])} …, or ?as=volume"
        raise DataError(f"{path} is {len(parts)} samples and none of that name", hint)
    part = parts[str(path)]
    if isinstance(part, UnfoolError):
        raise part
    return part_sample(part, scan, view, mask)


def part_sample(part: Part | Stack, scan: Scan, view: View, mask: Path | None) -> Sample:
    """One sample in [0, 1], cut as the network wants it, with its place and its mask."""
    if isinstance(part, Part):
        whole = nifti.read(part.path, scan.orientation)
        low, high = _nifti_limits(part.path, scan, stamp_of(Path(part.path)))
        x, shape = torch.from_numpy(_spread(part.of(whole.numbers), low, high))[None], whole.numbers.shape
        affine = whole.affine if part.slice is None else moved(whole.affine, part.slice)
        place = Place(
            "volume" if part.flat else part.axis, x.shape[1:], affine, view, (), whole.step, whole.stored
        )
        return Sample(view.of(x), _mask(mask, shape, whole.affine, part, view), place=place)
    x, affine = _dicom_image(part, scan), affine_of(part.frames)
    step = step_of(part.frames) if part.axis == "series" else 0.0
    place = Place(part.axis, x.shape[1:], affine, view, part.frames, step)
    n = x.shape[1] if part.axis != "slice" else 1
    shape = ((n, 1) if part.axis == "series" else (1, n)) + tuple(x.shape[-2:])
    return Sample(view.of(x), _mask(mask, shape, affine, Part("", part.axis), view), place=place)


@remembered
def _listed(path: str, scan: Scan) -> dict[str, "Part | Stack | UnfoolError"]:
    """Every sample by its id, a path below the folder; what cannot be read is there as its error."""
    place = Path(path)
    home, files = (place, scans_in(path)) if place.is_dir() else (place.parent, (path,))
    found = {Path(name).relative_to(home).as_posix(): part for name, part in _parts(files, scan)}
    return dict(sorted(found.items()))


def _parts(files: Sequence[str], scan: Scan) -> Iterator[tuple[str, "Part | Stack | UnfoolError"]]:
    series: dict[str, list[Frame]] = {}
    for file in files:
        try:
            if is_nifti(Path(file)):
                yield from ((part.name, part) for part in _nifti_parts(file, scan))
            else:
                name, frames = dicom.frames_of(file)
                series.setdefault(name, []).extend(frames)
        except MissingExtra:
            raise
        except UnfoolError as error:
            yield file, error
    for frames in series.values():
        first = min(f.path for f in frames)
        try:
            yield from ((stack.name, stack) for stack in arranged(frames, scan.kind))
        except UnfoolError as error:
            yield first, DataError(f"the series of {first}: {error}", error.hint)


def _nifti_parts(path: str, scan: Scan) -> list[Part]:
    _, _, slices, moments = nifti.shape_of(path, scan.orientation)
    kind = scan.kind
    if kind == "auto":
        kind = "series" if moments > 1 else "volume" if slices > 1 else "slices"
    ks = range(slices) if slices > 1 else [None]
    ts = range(moments) if moments > 1 else [None]
    if kind == "slices":
        return [Part(path, "slice", k, t) for t in ts for k in ks]
    if kind == "volume":
        if slices < 2:
            raise DataError(f"{path} has one slice: it is no volume", "?as=slices or ?as=series")
        return [Part(path, "volume", None, t) for t in ts]
    if moments < 2 and slices < 2:
        raise DataError(f"{path} has one frame: a series has several", "?as=slices")
    return [Part(path, "series", flat=True)] if moments < 2 else [Part(path, "series", k) for k in ks]


def _dicom_image(stack: Stack, scan: Scan) -> Tensor:
    """A stack in [0, 1]: [C, H, W] or [C, N, H, W]."""
    stamps = tuple(stamp_of(Path(p)) for p in dict.fromkeys(f.path for f in stack.whole))
    numbers = _pixels(stack.whole, stamps)
    at = {(f.path, f.plane): k for k, f in enumerate(stack.whole)}
    numbers = numbers[:, [at[f.path, f.plane] for f in stack.frames]]
    first = stack.frames[0]
    if not first.colour:
        numbers = _spread(numbers, *_dicom_limits(stack.whole, scan, stamps, first.window))
    x = torch.from_numpy(np.ascontiguousarray(1 - numbers if first.inverse else numbers))
    return x[:, 0] if stack.axis == "slice" else x


@lru_cache(maxsize=2)
def _pixels(frames: tuple[Frame, ...], stamps: object) -> Any:
    del stamps
    return dicom.pixels(frames)


@lru_cache(maxsize=4096)
def _nifti_limits(path: str, scan: Scan, stamp: object) -> tuple[float, float]:
    del stamp
    return _limits(nifti.read(path, scan.orientation).numbers, scan.window, None, path)


@lru_cache(maxsize=4096)
def _dicom_limits(
    whole: tuple[Frame, ...], scan: Scan, stamps: object, window: tuple[float, float] | None
) -> tuple[float, float]:
    return _limits(_pixels(whole, stamps), scan.window, window, whole[0].path)


def _limits(numbers: Any, window: str, own: tuple[float, float] | None, path: str) -> tuple[float, float]:
    """The values that become 0 and 1."""
    if window == "file" and own is None:
        raise DataError(f"{path} has no window of its own", "?window=percentiles, range or CENTRE,WIDTH")
    if window not in ("percentiles", "range"):
        centre, width = own if window == "file" and own else _centre_and_width(window)
        return centre - width / 2, centre + width / 2
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        raise DataError(f"{path} holds no finite numbers")
    low, high = np.percentile(finite, (0.5, 99.5)) if window == "percentiles" else (0, 0)
    return (float(low), float(high)) if high > low else (float(finite.min()), float(finite.max()))


def _spread(numbers: Any, low: float, high: float) -> Any:
    """Values from ``low`` to ``high`` as 0 to 1; what is no number is 0."""
    found = (numbers - np.float32(low)) / np.float32(max(high - low, 1e-12))
    return np.nan_to_num(found, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1).astype(np.float32)


def _centre_and_width(text: str) -> tuple[float, float]:
    try:
        centre, width = map(float, text.split(","))
    except ValueError:
        centre, width = 0.0, 0.0
    if not width > 0:
        raise InputError(
            f"window must be percentiles, range, file or CENTRE,WIDTH, not {text!r}", "?window=40,400"
        )
    return centre, width


def _axis(letter: str) -> int:
    """The axis of a patient that a letter is an end of."""
    return next((axis for axis, ends in enumerate(("LR", "PA", "IS")) if letter in ends), -1)


def _mask_beside(path: str) -> Path | None:
    """``image_mask.nii.gz`` of ``image.nii.gz``, where there is one."""
    stem, ending = re.fullmatch(r"(?is)(.*?)(\.nii(?:\.gz)?)", path).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return next((p for e in (ending, *nifti.SUFFIXES) if (p := Path(f"{stem}_mask{e}")).is_file()), None)


def _mask(path: Path | None, shape: tuple[int, ...], affine: Any, part: Part, view: View) -> Tensor | None:
    if path is None:
        return None
    found = nifti.read_mask(str(path), shape, affine)
    whole = np.broadcast_to(found, (max(shape[0], len(found)), *found.shape[1:]))
    mask = torch.from_numpy(np.array(part.of(whole), dtype=np.float32))[None]
    return View(view.resize, view.crop).of(mask) > 0.5
