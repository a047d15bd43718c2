"""Maps of medical files go back to where their images lie: read again, a map has the image's grid and affine, a picture
its plane's place and study, and a network that looks at one voxel is seen to look there.
"""

import os
import re
import shlex
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from tests.scans import AFFINE, SECRET, dataset, placed, save, save_nifti, save_volume

from unfool.cli.main import run
from unfool.cli.maps import names_of
from unfool.runs.table import read_table

V = np.random.default_rng(0).integers(0, 1000, size=(5, 24, 28))  # [K, H, W]
KEPT = (
    *("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID", "InstanceNumber"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "SliceThickness"),
)
NET = """
import torch
from torch import nn

class Watching(nn.Module):
    def __init__(self, at):
        super().__init__()
        self.at, self.weight = at, nn.Parameter(torch.ones(1))

    def forward(self, x):
        seen = x[(slice(None), 0, *self.at)] * self.weight
        return torch.stack([-seen, seen * 3], 1)

def volume():
    return Watching((3, 10, 6))

def cut():
    return Watching((3, 4, 2))

def turned():
    return Watching((3, 10, 2))

def flat():
    return Watching((10, 6))
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)


def explained(capsys, data: str, factory: str, *more: str, method: str = "Gradient", out: str = "o") -> str:
    code = run(
        ["explain", method, data, "--model", f"net.py:{factory}", "--target", "1", "--out", out, *more]
    )
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def refused(capsys, *arguments: str) -> str:
    assert run(list(arguments)) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 2  # a sentence and a hint
    return err


@pytest.mark.parametrize(
    ("more", "factory", "at"),
    [
        ("", "volume", (6, 10, 3)),
        ("?orientation=LPS", "volume", (6, 23 - 10, 3)),
        ("?orientation=SAR", "turned", (27 - 3, 10, 2)),
        ("?as=series", "volume", (6, 10, 3)),
    ],
)
def test_a_nifti_map_has_its_image_s_grid_and_affine(capsys, more, factory, at):
    """The file's own axes run to the left, the front and the head."""
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16))
    assert "1 map in o/nifti" in explained(capsys, f"scan.nii.gz{more}", factory, "--write", "nifti")
    found = nib.load("o/nifti/scan.nii.gz")
    assert found.shape == (28, 24, 5)
    assert found.get_data_dtype() == np.float32
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(found.get_qform(), AFFINE, atol=1e-4)
    assert np.argwhere(found.get_fdata()).tolist() == [list(at)]
    assert float(found.get_fdata().max()) == float(read_table(Path("o"))["heat"].max())  # as computed


def test_a_sheared_grid_has_no_quaternion_that_would_put_it_elsewhere(capsys):
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.5
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16), sheared)
    explained(capsys, "scan.nii.gz", "volume", "--write", "nifti")
    found = nib.load("o/nifti/scan.nii.gz")
    np.testing.assert_allclose(found.affine, sheared, atol=1e-5)
    assert int(found.header["qform_code"]) == 0


def test_a_map_of_a_cut_image_is_brought_back_to_the_whole(capsys):
    """The middle 12x12 of 24x28 begins at row 6, column 8."""
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16))
    explained(capsys, "scan.nii.gz", "cut", "--write", "nifti", "--view", "View(crop=12)")
    found = nib.load("o/nifti/scan.nii.gz").get_fdata()
    assert found.shape == (28, 24, 5)
    assert np.argwhere(found).tolist() == [[8 + 2, 6 + 4, 3]]


def test_a_map_of_a_scaled_image_is_brought_back_to_the_whole(capsys):
    """Half as large: row 10 and column 6 of 12x14 are rows 20, 21 and columns 12, 13."""
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16))
    explained(capsys, "scan.nii.gz", "volume", "--write", "nifti", "--view", "View(resize=12)")
    found = nib.load("o/nifti/scan.nii.gz").get_fdata()[:, :, 3]
    middle = [float((found * at).sum() / found.sum()) for at in np.indices(found.shape)]
    np.testing.assert_allclose(middle, (12.5, 20.5), atol=1e-4)


def test_maps_of_slices_and_series_lie_where_they_were(capsys):
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16))
    explained(capsys, "scan.nii.gz?as=slices", "flat", "--write", "nifti")
    found = nib.load("o/nifti/scan-003.nii.gz")
    assert found.shape == (28, 24, 1)
    np.testing.assert_allclose(found.affine @ [6, 10, 0, 1], AFFINE @ [6, 10, 3, 1], atol=1e-4)
    series = np.random.default_rng(1).random((28, 24, 2, 5)).astype(np.float32)
    save_nifti(Path("film.nii.gz"), series, step=0.25)
    explained(capsys, "film.nii.gz", "volume", "--write", "nifti", out="p")
    film = nib.load("p/nifti/film-001.nii.gz")
    assert film.shape == (28, 24, 1, 5)
    assert film.header.get_zooms()[3] == pytest.approx(0.25)
    assert film.get_fdata()[6, 10, 0, 3] == pytest.approx(3)


def test_a_map_of_a_dicom_volume_as_nifti_lies_where_the_headers_put_it(capsys):
    save_volume(Path("ct"), V)
    explained(capsys, "ct", "volume", "--write", "nifti")
    found = nib.load("o/nifti/IM001.nii.gz")
    left, back, up = (
        np.array(placed(3)["ImagePositionPatient"])
        + 6 * 0.5 * np.array([1, 0, 0])
        + 10 * 0.7 * np.array([0, 0.8, 0.6])
    )
    np.testing.assert_allclose(found.affine @ [6, 10, 3, 1], [-left, -back, up, 1], atol=1e-4)
    assert found.get_fdata()[6, 10, 3] == pytest.approx(3)


def test_pictures_of_a_map_are_secondary_captures_beside_their_planes(capsys):
    save_volume(Path("ct"), V, SliceThickness=2.5)
    explained(capsys, "ct", "volume", "--write", "dicom", "--classes", names("no", "yes"))
    sources = [pydicom.dcmread(f"ct/IM{5 - k:03d}.dcm") for k in range(5)]
    found = [pydicom.dcmread(f"o/dicom/IM001/{k + 1:04d}.dcm") for k in range(5)]
    for one, source in zip(found, sources, strict=True):
        for name in KEPT:
            assert one[name].value == source[name].value, name
        assert one.SOPClassUID.name == "Secondary Capture Image Storage"
        assert list(one.ImageType[:2]) == ["DERIVED", "SECONDARY"]
        assert one.BurnedInAnnotation == "NO"
        assert one.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert one.DerivationDescription.startswith("Gradient(): logit of yes, net.py:volume, unfool ")
        assert one.SeriesInstanceUID not in (source.SeriesInstanceUID, source.StudyInstanceUID)
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    assert len({one.SOPInstanceUID for one in found} | {s.SOPInstanceUID for s in sources}) == 10
    assert len({one.SeriesInstanceUID for one in found}) == 1
    low, high = np.percentile(V, (0.5, 99.5))
    for k, one in enumerate(found):
        pixels = one.pixel_array.astype(int)
        grey = np.rint(np.clip((V[k] - low) / (high - low), 0, 1) * 255)
        coloured = np.argwhere(np.ptp(pixels, axis=2) > 0).tolist()
        assert coloured == ([[10, 6]] if k == 3 else [])
        rest = np.ones_like(grey, bool)
        rest[10, 6] = k != 3
        assert np.abs(pixels[..., 0] - grey)[rest].max() <= 1


def names(*classes: str) -> str:
    Path("names.txt").write_text("\n".join(classes))
    return "names.txt"


def test_the_same_run_writes_the_same_files_and_another_run_other_uids(capsys):
    save_volume(Path("ct"), V)
    uids = []
    for method, out in (("Gradient", "a"), ("Gradient", "b"), ("GradientTimesInput", "c")):
        explained(capsys, "ct", "volume", "--write", "dicom", method=method, out=out)
        uids.append({path.name: path.read_bytes() for path in Path(out, "dicom", "IM001").iterdir()})
    assert uids[0] == uids[1]
    series = {pydicom.dcmread(f"{out}/dicom/IM001/0001.dcm").SeriesInstanceUID for out in "abc"}
    assert len(series) == 2


def test_single_pictures_of_one_series_are_one_series_of_captures(capsys):
    save_volume(Path("ct"), V)
    explained(capsys, "ct?as=slices", "flat", "--write", "dicom")
    found = [pydicom.dcmread(path) for path in sorted(Path("o/dicom").glob("*.dcm"))]
    assert [int(one.InstanceNumber) for one in found] == [1, 2, 3, 4, 5]
    assert len({one.SeriesInstanceUID for one in found}) == 1
    assert len({one.SOPInstanceUID for one in found}) == 5


def test_every_frame_of_a_film_has_a_picture(capsys):
    save(dataset(V, FrameTime=40.0, PhotometricInterpretation="MONOCHROME1"), Path("cine.dcm"))
    explained(capsys, "cine.dcm", "volume", "--write", "dicom")
    found = [pydicom.dcmread(path) for path in sorted(Path("o/dicom/cine").iterdir())]
    assert [one.SourceImageSequence[0].ReferencedFrameNumber for one in found] == [1, 2, 3, 4, 5]
    assert [int(one.InstanceNumber) for one in found] == [1, 2, 3, 4, 5]


def test_nothing_of_the_patient_is_in_a_run_but_in_its_secondary_captures(capsys):
    save_volume(Path("ct"), V)
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16))
    said = explained(capsys, "ct", "volume", "--write", "dicom", out="a")
    said += explained(capsys, "ct", "volume", "--write", "nifti", out="b")
    said += explained(capsys, "scan.nii.gz", "volume", "--write", "nifti", out="c")
    private = [
        SECRET,
        "Confidential",
        "ID-4711",
        "19500101",
        str(pydicom.dcmread("ct/IM001.dcm").StudyInstanceUID),
    ]
    files = [Path(home, name) for out in "abc" for home, _, some in os.walk(out) for name in some]
    assert len(files) > 12
    for path in files:
        image = nib.load(path) if path.name.endswith(".nii.gz") else None
        content = image.to_bytes() if image else path.read_bytes()
        kept = "dicom" in path.parts
        assert all((word.encode() in content) == kept for word in private[2:4]), path
    assert not any(word in said for word in private)


def test_what_cannot_be_written_is_refused_before_anything_is_computed(capsys):
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16))
    command = ["explain", "Gradient", "scan.nii.gz", "--model", "net.py:volume", "--out", "o", "--write"]
    assert "it has no study" in refused(capsys, *command, "dicom")
    assert "--write must be nifti or dicom, not png" in first_line(capsys, *command, "png")
    told = refused(
        capsys,
        "explain",
        "Gradient",
        "unfool:digits8",
        "--model",
        "unfool:digits8",
        "--out",
        "o",
        "--write",
        "nifti",
    )
    assert "has no place in a patient" in told
    assert not Path("o").exists()


def test_a_volume_for_a_network_of_pictures_is_one_sentence_with_the_way_out(capsys):
    save_nifti(Path("scan.nii.gz"), V.T.astype(np.int16))
    assert "?as=slices" in refused(capsys, "explain", "Gradient", "scan.nii.gz", "--model", "unfool:digits")


def test_without_nibabel_no_map_is_computed_that_cannot_be_written(capsys, monkeypatch):
    save_volume(Path("ct"), V)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    command = ["explain", "Gradient", "ct", "--model", "net.py:volume", "--out", "o", "--write", "nifti"]
    assert "pip install 'unfool[medical]'" in refused(capsys, *command)
    assert not Path("o").exists()


def first_line(capsys, *arguments: str) -> str:
    assert run(list(arguments)) == 2
    return capsys.readouterr().err.splitlines()[0]


def test_a_bad_file_alone_is_exit_code_2_and_in_a_folder_a_row(capsys):
    save(dataset(V[0], PixelData=None), Path("both/bad.dcm"))
    told = first_line(capsys, "explain", "Gradient", "both", "--model", "net.py:flat", "--out", "o")
    assert "bad.dcm holds no pixels" in told
    save(dataset(V[1], series="2"), Path("both/good.dcm"))
    out = explained(capsys, "both", "flat", "--write", "dicom", out="p")
    assert "not read: bad.dcm" in out
    assert "1 map in p/dicom" in out


def test_samples_whose_files_have_one_name_but_their_endings_keep_them():
    assert names_of(["a.nii.gz", "b.dcm", "c.nii#003", "d/a.dcm"]) == {
        "a.nii.gz": "a", "b.dcm": "b", "c.nii#003": "c-003", "d/a.dcm": "d_a",
    }  # fmt: skip
    assert names_of(["a.nii", "a.nii.gz"]) == {"a.nii": "a.nii", "a.nii.gz": "a.nii.gz"}


def test_a_network_of_colours_sees_a_scan_in_three_channels(capsys):
    Path("colours.py").write_text(
        "from torch import nn\nimport unfool\n\n\ndef net():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
        "    return unfool.Model(net.eval(), view=unfool.View(resize=20, crop=16, channels=3))\n"
    )
    save_volume(Path("ct"), V)
    code = run(
        ["explain", "Gradient", "ct?as=slices", "--model", "colours.py:net", "--out", "o", "--write", "nifti"]
    )
    assert code == 0, capsys.readouterr().err
    found = nib.load("o/nifti/IM002.nii.gz")
    assert found.shape == (28, 24, 1)
    assert torch.isfinite(torch.from_numpy(found.get_fdata())).all()


@pytest.mark.slow
def test_the_commands_of_the_page_run_over_the_files_it_makes(capsys):
    page = Path(__file__).parents[2].joinpath("docs", "medical-files.md").read_text()
    exec("\n".join(re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)), {})
    commands = re.findall(r"^\$ unfool (.*)$", page, re.M)
    assert len(commands) == 3
    for command in commands:
        assert run(shlex.split(command)) == 0, capsys.readouterr().err
    planes = [pydicom.dcmread(path) for path in Path("runs/pacs/dicom/000").iterdir()]
    assert len(planes) == 12
    np.testing.assert_allclose(nib.load("runs/scan/nifti/scan.nii.gz").affine, nib.load("scan.nii.gz").affine)
