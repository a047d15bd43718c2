"""NIfTI: volumes, series and their slices in, maps in the same geometry out."""

import gzip
import importlib
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..errors import DataError, MissingExtra
from .place import Place
from .remembered import remembered, stamp_of

SUFFIXES = (".nii", ".nii.gz")
BROKEN = (OSError, ValueError, EOFError, zlib.error)
"""What reading a broken file raises."""


class Values(NamedTuple):
    """All numbers of a file as [T, K, J, I], where they lie, seconds between moments, and how the file has its axes."""

    numbers: Any
    affine: Any
    step: float
    stored: str


@remembered
def shape_of(path: str, orientation: str = "") -> tuple[int, int, int, int]:
    """Columns, rows, slices and moments as they are read, from the header alone."""
    image = _opened(path)
    columns, rows, slices, moments = sides = [*map(int, image.shape), 1, 1, 1][:4]
    if orientation:
        ends = [int(to) for to, _ in _turn(image, orientation)]
        columns, rows, slices = (sides[ends.index(axis)] for axis in range(3))
    return columns, rows, slices, moments


def read(path: str, orientation: str = "") -> Values:
    """A whole file, with its slope and intercept applied; the last two read are kept."""
    return _read(path, orientation, stamp_of(Path(path)))


@lru_cache(maxsize=2)
def _read(path: str, orientation: str, stamp: object) -> Values:
    del stamp
    image = _opened(path)
    try:
        numbers = np.asarray(image.dataobj, dtype=np.float32)
    except BROKEN:
        raise DataError(
            f"{path}: not a NIfTI file that can be read (it ends too early or is broken)"
        ) from None
    numbers, affine, codes = numbers.reshape([*numbers.shape, 1, 1, 1][:4]), image.affine, ""
    if orientation:
        nib, turn = nibabel(), _turn(image, orientation)
        codes = "".join(nib.aff2axcodes(affine))
        affine = affine @ nib.orientations.inv_ornt_aff(turn, numbers.shape[:3])
        numbers = nib.orientations.apply_orientation(numbers, turn)
    return Values(numbers.transpose(3, 2, 1, 0), affine, _seconds(image.header), codes)


def read_mask(path: str, shape: tuple[int, ...], affine: Any) -> Any:
    """A mask on an image's grid [T or 1, K, J, I], turned as the image is; one of another grid is one sentence."""
    nib, image = nibabel(), _opened(path)
    found = read(path, "".join(nib.aff2axcodes(affine)))
    here = found.numbers.shape
    if here[1:] != shape[1:] or here[0] not in (1, shape[0]):
        sides = [list(s[::-1][: 4 if s[0] > 1 else 3]) for s in (here, shape)]
        raise DataError(
            f"{path} is {sides[0]} and its image {sides[1]}: a mask has its image's grid",
            "resample it to the image",
        )
    if image.header["sform_code"] + image.header["qform_code"] and not np.allclose(
        found.affine, affine, atol=1e-2
    ):
        raise DataError(f"{path} lies elsewhere in the patient than its image", "resample it to the image")
    return found.numbers > 0


def map_file(heat: Tensor, place: Place, told: str) -> bytes:
    """A map [*space] as a compressed NIfTI file of floats in its image's geometry, with nothing else of the image."""
    nib = nibabel()
    numbers = heat.detach().cpu().float().numpy()
    sided = {"slice": numbers[None], "volume": numbers, "series": numbers[:, None]}[place.axis]
    image = nib.Nifti1Image(
        np.ascontiguousarray(sided.T), place.affine
    )  # [I, J, K] or, of a series, [I, J, 1, T]
    if place.stored:
        here, there = (
            nib.orientations.axcodes2ornt(c) for c in (nib.aff2axcodes(place.affine), place.stored)
        )
        image = image.as_reoriented(nib.orientations.ornt_transform(here, there))
    affine = image.affine
    image.set_sform(affine, code="aligned")
    image.set_qform(affine, code="aligned")
    if not np.allclose(image.get_qform(), affine, atol=1e-3):  # a sheared grid, which quaternions cannot tell
        image.set_qform(affine, code="unknown")
    image.header.set_xyzt_units("mm", "sec")
    if place.axis == "series":
        image.header.set_zooms((*image.header.get_zooms()[:3], place.step))
    image.header["descrip"] = told.encode("ascii", "replace")[:79]
    return gzip.compress(image.to_bytes(), mtime=0)


def _opened(path: str) -> Any:
    """The file with its header read, or one sentence."""
    nib = nibabel()
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        image = nib.load(path)
        kind = image.get_data_dtype()
    except (
        OSError,
        ValueError,
        EOFError,
        zlib.error,
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
    ):
        raise DataError(f"{path}: not a NIfTI file that can be read") from None
    if not isinstance(image, nib.spatialimages.SpatialImage):
        raise DataError(f"{path} holds no image but values on a surface", "give a volume")
    if len(image.shape) < 2 or any(side != 1 for side in image.shape[4:]):
        sides = "x".join(map(str, image.shape))
        raise DataError(
            f"{path} has {len(image.shape)} dimensions ({sides}), images have 2 to 4",
            "save its parts as files of their own",
        )
    if kind.kind not in "fiub":
        raise DataError(
            f"{path} holds colours or complex numbers, not one number a voxel", "save one part of it"
        )
    return image


def _turn(image: Any, orientation: str) -> Any:
    """What turns a file's axes so that they run to ``orientation``."""
    axes = nibabel().orientations
    return axes.ornt_transform(axes.io_orientation(image.affine), axes.axcodes2ornt(tuple(orientation)))


def _seconds(header: Any) -> float:
    zooms, unit = header.get_zooms(), header.get_xyzt_units()[1]
    step = float(zooms[3]) if len(zooms) > 3 else 0.0
    return step * {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0)


def nibabel() -> Any:
    """The package, or one sentence on how to get it."""
    try:
        return importlib.import_module("nibabel")
    except ModuleNotFoundError:
        raise MissingExtra("nibabel", "medical") from None
