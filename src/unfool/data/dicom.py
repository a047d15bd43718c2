"""DICOM: headers and pixels in, overlays as secondary captures out. No text of an error holds what a header says."""

import importlib
import io
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import numpy as np

from ..errors import DataError, MissingExtra
from .place import Frame
from .remembered import remembered

SUFFIXES = (".dcm", ".dicom", ".ima")
DECODERS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or write it uncompressed first"
FILED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Laterality",
)
"""What a secondary capture has of its original, so that it is filed beside it; it must be there, if only empty."""
KEPT = (
    "SpecificCharacterSet",
    "IssuerOfPatientID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDescription",
    "FrameOfReferenceUID",
    "BodyPartExamined",
)
"""What it has where the original does."""


@remembered
def frames_of(path: str) -> tuple[str, tuple[Frame, ...]]:
    """The series a file belongs to, and its planes, from the header alone."""
    header = _header(path, pixels=False)
    if "Rows" not in header or "Columns" not in header:
        raise DataError(f"{path} holds no pixels", "give files of pictures: CT, MR, CR, US, ...")
    with _said(path, "its header is broken"):
        planes = int(header.get("NumberOfFrames") or 1)
        found = tuple(_frame(path, header, k, planes) for k in range(planes))
    return str(header.get("SeriesInstanceUID", path)), found


def pixels(frames: Sequence[Frame]) -> Any:
    """Planes as numbers with slope and intercept applied: [1, N, H, W], colours [3, N, H, W] in [0, 1]."""
    found: dict[str, Any] = {}
    for path in dict.fromkeys(f.path for f in frames):
        found[path] = _file_pixels(path)
    stacked = np.stack([found[f.path][f.plane] for f in frames])
    return np.moveaxis(stacked, -1, 0) if stacked.ndim == 4 else stacked[None]


def overlay_file(frame: Frame, picture: Any, told: str, series: tuple[str, str]) -> bytes:
    """A secondary capture of ``picture`` [H, W, 3] in bytes, in its plane's place and study, with UIDs of its own.

    ``series`` is its series' description, and what tells that from all others.
    """
    dicom, uid, source = _pydicom(), importlib.import_module("pydicom.uid"), _header(frame.path, pixels=False)
    pixels = np.ascontiguousarray(picture, dtype=np.uint8)
    out = _about(dicom, source, told)
    origin = [str(source.get(f"{n}InstanceUID", frame.path)) for n in ("Study", "Series", "SOP")]
    if not out.get("StudyInstanceUID"):
        out.StudyInstanceUID = uid.generate_uid(entropy_srcs=origin[:1])
    seal = sha256(pixels.tobytes()).hexdigest()
    out.SOPClassUID, out.SeriesDescription = uid.SecondaryCaptureImageStorage, _plain(series[0], 64)
    out.SeriesInstanceUID = uid.generate_uid(entropy_srcs=[*origin[:2], series[1]])
    out.SOPInstanceUID = uid.generate_uid(entropy_srcs=[*origin, str(frame.plane), series[1], seal])
    out.SeriesNumber = 1000 + int(source.get("SeriesNumber") or 0)
    out.InstanceNumber = frame.plane + 1 if frame.planes > 1 else int(source.get("InstanceNumber") or 1)
    _refer(dicom, out, source, frame)
    _lie(out, source, frame)
    _paint(out, pixels)
    out.file_meta = dicom.dataset.FileMetaDataset()
    out.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts of the original that are kept as they are
        out.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _about(dicom: Any, source: Any, told: str) -> Any:
    """Whose picture it is, and how it was made."""
    out = dicom.Dataset()
    for name in FILED:
        setattr(out, name, "")
    for name in (*FILED, *KEPT):
        if name in source:
            out[name] = source[name]
    out.Modality, out.ConversionType, out.ImageType = "OT", "SYN", ["DERIVED", "SECONDARY"]
    out.DerivationDescription, out.Manufacturer = _plain(told, 1024), "unfool"
    out.BurnedInAnnotation, out.PatientOrientation = "NO", ""
    if source.get("LossyImageCompression") == "01":
        out.LossyImageCompression = "01"
    return out


def _plain(text: str, most: int) -> str:
    """Text that every character set of DICOM has; a backslash would part it."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")[:most]


def _refer(dicom: Any, out: Any, source: Any, frame: Frame) -> None:
    """Name the original, where it has a name."""
    if "SOPInstanceUID" in source and "SOPClassUID" in source:
        origin = dicom.Dataset()
        origin.ReferencedSOPClassUID, origin.ReferencedSOPInstanceUID = (
            source.SOPClassUID,
            source.SOPInstanceUID,
        )
        if frame.planes > 1:
            origin.ReferencedFrameNumber = frame.plane + 1
        out.SourceImageSequence = dicom.Sequence([origin])


def _lie(out: Any, source: Any, frame: Frame) -> None:
    """Put it where its plane is."""
    if frame.position and frame.orientation:
        out.ImagePositionPatient, out.ImageOrientationPatient = list(frame.position), list(frame.orientation)
    if "SliceThickness" in source:
        out.SliceThickness = source.SliceThickness
    if frame.spacing:
        out.PixelSpacing = list(frame.spacing)


def _paint(out: Any, picture: Any) -> None:
    out.Rows, out.Columns = picture.shape[:2]
    out.SamplesPerPixel, out.PhotometricInterpretation, out.PlanarConfiguration = 3, "RGB", 0
    out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 8, 8, 7, 0
    data = picture.tobytes()
    out.PixelData = data + b"\0" * (len(data) % 2)
    out["PixelData"].VR = "OB"


def _frame(path: str, header: Any, index: int, planes: int) -> Frame:
    """One plane; of a file of many, each may have a place of its own."""
    groups = [g[k] for g, k in _groups(header, index, planes)]
    position, orientation = (
        _numbers(_find(groups, header, n)) for n in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    spacing = _numbers(_find(groups, header, "PixelSpacing") or header.get("ImagerPixelSpacing"))
    between = _find(groups, header, "SpacingBetweenSlices") or _find(groups, header, "SliceThickness")
    centre, width = (_numbers(_find(groups, header, n)) for n in ("WindowCenter", "WindowWidth"))
    if position and orientation and (offsets := _numbers(header.get("GridFrameOffsetVector"))) and planes > 1:
        normal = np.cross(
            orientation[:3], orientation[3:]
        )  # of a dose, whose planes are told by their distances
        position = tuple(float(v) for v in position + normal * (offsets[index] - offsets[0]))
    photo = str(header.get("PhotometricInterpretation", ""))
    return Frame(
        path,
        index,
        (int(header.Rows), int(header.Columns)),
        position if position and len(position) == 3 else None,
        orientation if orientation and len(orientation) == 6 else None,
        (spacing[0], spacing[1]) if spacing and len(spacing) == 2 else None,
        float(between or 1.0),
        _times(header, index),
        (centre[0], width[0]) if centre and width else None,
        photo == "MONOCHROME1",
        int(header.get("SamplesPerPixel") or 1) == 3,
        planes,
    )


def _groups(header: Any, index: int, planes: int) -> list[tuple[Any, int]]:
    """The sequences that say more of a plane: its own and that of all."""
    own, shared = (header.get(f"{n}FunctionalGroupsSequence") or () for n in ("PerFrame", "Shared"))
    return [(own, index)] * (len(own) == planes) + [(shared, 0)] * bool(shared)


def _find(groups: Sequence[Any], header: Any, name: str) -> Any:
    """An attribute of a plane: in its groups, else of the whole file."""
    for group in groups:
        for element in group:
            if element.VR == "SQ" and element.value and name in element.value[0]:
                return element.value[0].get(name)
    return header.get(name)


def _numbers(value: Any) -> tuple[float, ...] | None:
    if value is None or value == "":
        return None
    return tuple(map(float, value)) if hasattr(value, "__len__") else (float(value),)


def _times(header: Any, index: int) -> tuple[float | None, ...]:
    """When a plane was taken, in seconds, as far as known; its given orders between."""
    trigger, gap = header.get("TriggerTime"), header.get("FrameTime")
    triggered = (
        None if trigger is None and gap is None else (float(trigger or 0) + index * float(gap or 0)) / 1000
    )
    order, number = header.get("TemporalPositionIdentifier"), float(header.get("InstanceNumber") or 0)
    clocks = (_clock(header.get(name)) for name in ("AcquisitionTime", "ContentTime"))
    return (triggered, None if order is None else float(order), *clocks, number * 1e6 + index)


def _clock(text: Any) -> float | None:
    """HHMMSS.ffffff as seconds."""
    text = str(text or "")
    if len(text) < 6 or not text[:6].isdecimal():
        return None
    return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:])


def _file_pixels(path: str) -> Any:
    """Every plane of a file: [N, H, W] or [N, H, W, 3]."""
    header = _header(path, pixels=True)
    packed = _check_pixels(path, header)
    toolbox = importlib.import_module("pydicom.pixels")
    why = (
        f"its pixels, {packed}, are broken or beyond what is installed"
        if packed
        else "its pixels end too early"
    )
    with _said(path, why, DECODERS if packed else ""):
        array = np.asarray(toolbox.pixel_array(header))
        planes = int(header.get("NumberOfFrames") or 1)
        array = array if planes > 1 else array[None]
        if int(header.get("SamplesPerPixel") or 1) == 3:
            return array.astype(np.float32) / (2 ** int(header.get("BitsStored") or 8) - 1)
        return np.stack([_rescaled(header, plane, k, planes) for k, plane in enumerate(array)])


def _check_pixels(path: str, header: Any) -> str:
    """How they are compressed, in words; empty: not at all."""
    if not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise DataError(f"{path} holds no pixels", "give files of pictures: CT, MR, CR, US, ...")
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise DataError(f"{path} has the colours of a palette", "turn it into RGB first")
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None or not syntax.is_compressed or syntax.is_deflated:
        return ""
    try:
        if importlib.import_module("pydicom.pixels").get_decoder(syntax).is_available:
            return str(syntax.name)
        hint = DECODERS
    except NotImplementedError:
        hint = "write it uncompressed first"
    raise DataError(f"{path} is compressed as {syntax.name}, and what decodes that is not installed", hint)


def _rescaled(header: Any, plane: Any, index: int, planes: int) -> Any:
    groups = [g[k] for g, k in _groups(header, index, planes)]
    slope, intercept = (_find(groups, header, f"Rescale{n}") for n in ("Slope", "Intercept"))
    slope = 1.0 if slope is None else float(slope)
    return plane.astype(np.float32) * np.float32(slope) + np.float32(intercept or 0)


def _header(path: str, pixels: bool) -> Any:
    with _said(path, "it is broken"):
        return _pydicom().dcmread(path, stop_before_pixels=not pixels)


@contextmanager
def _said(path: str, what: str, hint: str = "") -> Generator[None]:
    """Whatever a broken file makes pydicom raise or warn of is one sentence without its contents."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataError, MissingExtra, MemoryError):
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except Exception as error:  # pydicom has errors of every kind, and their texts may name a patient
        why = "it has no DICOM header" if type(error).__name__ == "InvalidDicomError" else what
        raise DataError(f"{path}: not a DICOM file that can be read ({why})", hint) from None


def _pydicom() -> Any:
    try:
        return importlib.import_module("pydicom")
    except ModuleNotFoundError:
        raise MissingExtra("pydicom", "medical") from None
