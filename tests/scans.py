"""Medical files made for the tests: every number in them is known."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SECRET = "Confidential^Person"
"""The patient's name in every DICOM file here: it may be in no report."""

AFFINE = np.array([[-1.5, 0, 0, 10], [0, 1.6, -1.8, -20], [0, 1.2, 2.4, 30], [0, 0, 0, 1]])
"""Columns run to the left, rows to the front and up, slices up and to the back; 1.5, 2 and 3 mm apart."""


def save_nifti(path: Path, numbers, affine=AFFINE, step: float = 0.0) -> Path:
    """Numbers in the file's own order, [I, J, K, T]."""
    image = nib.Nifti1Image(np.asarray(numbers), affine)
    image.header["descrip"] = SECRET.encode()
    if step:
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((*image.header.get_zooms()[:3], step))
    nib.save(image, path)
    return path


def dataset(pixels, number: int = 1, series: str = "1", **attributes) -> pydicom.Dataset:
    """One CT picture [H, W] or several [N, H, W]; ``attributes`` replace or add, None takes away."""
    pixels = np.asarray(pixels, dtype=np.uint16)
    made = pydicom.Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=[series, str(number)])
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = (
        SECRET,
        "ID-4711",
        "19500101",
        "O",
    )
    made.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    made.SeriesInstanceUID = generate_uid(entropy_srcs=[series])
    made.StudyDate, made.StudyTime, made.StudyID, made.AccessionNumber = "20200101", "120000", "S1", "A1"
    made.FrameOfReferenceUID = generate_uid(entropy_srcs=["room"])
    made.Modality, made.SeriesNumber, made.InstanceNumber = "CT", 3, number
    made.Rows, made.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        made.NumberOfFrames = len(pixels)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.PixelData = pixels.tobytes()
    for name, value in attributes.items():
        if value is None:
            del made[name]
        else:
            setattr(made, name, value)
    return made


TILTED = [1, 0, 0, 0, 0.8, 0.6]
"""Rows run to the left, columns to the back and up: the normal is (0, -0.6, 0.8)."""


def placed(k: float) -> dict[str, object]:
    """The attributes of a plane 2.5 mm times ``k`` along the normal."""
    position = [-5.0, 7.0 - 0.6 * 2.5 * k, 11.0 + 0.8 * 2.5 * k]
    return {"ImagePositionPatient": position, "ImageOrientationPatient": TILTED, "PixelSpacing": [0.7, 0.5]}


def save(made: pydicom.Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def save_volume(home: Path, numbers, **attributes) -> Path:
    """[K, H, W] as a series of files whose names and numbers run against their places."""
    n = len(numbers)
    for k, plane in enumerate(numbers):
        made = dataset(plane, number=n - k, **placed(k), **attributes)
        save(made, home / f"IM{n - k:03d}.dcm")
    return home
