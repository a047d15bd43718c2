"""Medical files: a voxel is where its header puts it, values become [0, 1] by the rule that was asked for, and what
cannot be read is a row with its error. P = origin + column * spacing * row direction + … (DICOM PS3.3, C.7.6.2.1.1).
"""

import subprocess
import sys

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEGExtended12Bit, JPEGLSLossless, RLELossless
from tests.scans import AFFINE, SECRET, TILTED, dataset, placed, save, save_nifti, save_volume

from unfool.data.address import open_data
from unfool.errors import DataError, InputError, MissingExtra, SpecError, UnknownName
from unfool.views import View, as_tensor

V = np.random.default_rng(0).integers(0, 1000, size=(5, 6, 7))  # [K, H, W]
SERIES = np.random.default_rng(1).integers(0, 1000, size=(3, 4, 6, 7))  # [T, K, H, W]


def batch(address):
    source = open_data(str(address))
    return source.batch(source.ids())


def only(address, view=View()):  # noqa: B008  frozen
    source = open_data(str(address))
    (id,) = source.ids()
    return source.sample(id, view)


def error(address) -> str:
    (told,) = batch(address).errors.values()
    return told


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("scans")
    save_volume(
        home / "ct", V, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=[40, 9], WindowWidth=[400, 9]
    )
    save_nifti(home / "one.nii", V.T.astype(np.int16)[:, :, :1])
    save_nifti(home / "volume.nii.gz", V.T.astype(np.int16))
    save_nifti(home / "four.nii.gz", SERIES.T.astype(np.float32), step=0.5)
    save_nifti(home / "film.nii.gz", SERIES[:, :1].T.astype(np.float32), step=0.5)
    return home


def test_a_volume_is_in_the_order_of_its_places_not_of_its_names(home):
    found = only(f"{home}/ct?window=900,2000")
    expected = ((V * 2.0 - 100) + 100) / 2000
    np.testing.assert_allclose(found.x[0].numpy(), expected, atol=1e-6)


def test_every_voxel_of_a_dicom_volume_is_where_its_header_puts_it(home):
    place = only(f"{home}/ct").place
    across, down = np.array(TILTED[:3]), np.array(TILTED[3:])
    for k, row, column in ((0, 0, 0), (3, 2, 6), (4, 5, 1)):
        start = np.array(placed(k)["ImagePositionPatient"])
        left, back, up = start + across * 0.5 * column + down * 0.7 * row
        np.testing.assert_allclose(place.affine @ [column, row, k, 1], [-left, -back, up, 1], atol=1e-9)
    np.testing.assert_allclose(place.spacing, (0.5, 0.7, 2.5))
    assert place.space == (5, 6, 7)


def test_a_nifti_volume_keeps_its_values_axes_and_affine(home):
    found = only(f"{home}/volume.nii.gz?window=range")
    low, high = V.min(), V.max()
    for i, j, k in ((0, 0, 0), (6, 2, 4), (3, 5, 1)):
        assert float(found.x[0, k, j, i]) == pytest.approx((V.T[i, j, k] - low) / (high - low), abs=1e-6)
    np.testing.assert_allclose(found.place.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kind", "n", "shape"),
    [
        ("one.nii", "auto", 1, (1, 6, 7)),
        ("volume.nii.gz", "auto", 1, (1, 5, 6, 7)),
        ("volume.nii.gz", "slices", 5, (1, 6, 7)),
        ("volume.nii.gz", "series", 1, (1, 5, 6, 7)),
        ("four.nii.gz", "auto", 4, (1, 3, 6, 7)),
        ("four.nii.gz", "volume", 3, (1, 4, 6, 7)),
        ("four.nii.gz", "slices", 12, (1, 6, 7)),
        ("film.nii.gz", "auto", 1, (1, 3, 6, 7)),
        ("film.nii.gz", "slices", 3, (1, 6, 7)),
        ("ct", "auto", 1, (1, 5, 6, 7)),
        ("ct", "slices", 5, (1, 6, 7)),
    ],
)
def test_what_a_sample_is_can_be_said(home, name, kind, n, shape):
    found = batch(f"{home}/{name}?as={kind}")
    assert not found.errors
    assert found.x.shape == (n, *shape)
    assert len(set(found.ids)) == n


def test_slices_and_moments_are_named_by_their_numbers(home):
    source = open_data(f"{home}/four.nii.gz?as=slices&window=range")
    whole = SERIES.astype(float)
    for t, k in ((0, 3), (2, 1)):
        found = source.sample(f"four.nii.gz#{k:03d}t{t:03d}", View())
        expected = (whole[t, k] - whole.min()) / (whole.max() - whole.min())
        np.testing.assert_allclose(found.x[0].numpy(), expected, atol=1e-6)
        np.testing.assert_allclose(found.place.affine[:3, 3], AFFINE[:3, 3] + k * AFFINE[:3, 2], atol=1e-6)


def test_slices_of_one_volume_are_on_one_scale(home):
    for name in ("volume.nii.gz", "ct"):
        whole, slices = batch(home / name).x[0, 0], batch(f"{home}/{name}?as=slices").x[:, 0]
        if name == "ct":
            slices = slices.flip(0)  # its files are named against their places
        assert torch.equal(slices, whole)


@pytest.mark.parametrize(
    ("window", "low", "high"),
    [
        ("percentiles", *np.percentile(V * 2.0 - 100, (0.5, 99.5))),
        ("range", V.min() * 2.0 - 100, V.max() * 2.0 - 100),
        ("file", 40 - 200, 40 + 200),
        ("50,100", 0, 100),
    ],
)
def test_values_become_0_to_1_by_the_rule_that_was_asked_for(home, window, low, high):
    expected = np.clip((V * 2.0 - 100 - low) / (high - low), 0, 1)
    np.testing.assert_allclose(only(f"{home}/ct?window={window}").x[0].numpy(), expected, atol=1e-5)


def test_a_mostly_empty_image_is_spread_over_its_range_and_nan_is_0(tmp_path):
    numbers = np.zeros((40, 40, 1), np.float32)
    numbers[3, 4], numbers[5, 6] = 8.0, np.nan
    found = only(save_nifti(tmp_path / "dot.nii", numbers)).x[0]
    assert float(found[4, 3]) == 1
    assert float(found.sum()) == 1
    assert only(save_nifti(tmp_path / "flat.nii", np.full((4, 4, 1), 7.0, np.float32))).x.abs().sum() == 0


def test_the_axes_of_a_nifti_file_can_be_turned(home):
    stored, turned = (only(f"{home}/volume.nii.gz?window=range{more}") for more in ("", "&orientation=LPS"))
    assert torch.equal(turned.x, stored.x.flip(2))  # its columns run left, its rows to the front
    here = turned.place.affine @ [2, 1, 3, 1]
    np.testing.assert_allclose(here, stored.place.affine @ [2, 5 - 1, 3, 1], atol=1e-6)


def test_a_series_is_in_the_order_of_its_triggers_at_each_place(tmp_path):
    order = np.random.default_rng(2).permutation(12)
    for name, k in enumerate(order):
        t, place = divmod(int(k), 4)
        made = dataset(SERIES[t, place], number=name, TriggerTime=20.0 + 30 * t, **placed(place))
        save(made, tmp_path / f"{name:03d}")  # without an ending, as scanners write them
    found = batch(f"{tmp_path}?window=500,1000")
    np.testing.assert_allclose(found.x[:, 0].numpy(), np.moveaxis(SERIES, 1, 0) / 1000, atol=1e-6)
    place = open_data(str(tmp_path)).sample(found.ids[2], View()).place
    assert place.step == pytest.approx(0.03)
    np.testing.assert_allclose(place.affine[:3, 3], np.array(placed(2)["ImagePositionPatient"]) * [-1, -1, 1])
    volumes = batch(f"{tmp_path}?as=volume&window=500,1000")
    np.testing.assert_allclose(volumes.x[:, 0].numpy(), SERIES / 1000, atol=1e-6)


def test_a_file_of_many_frames_is_a_series(tmp_path):
    found = only(f"{save(dataset(V, FrameTime=40.0), tmp_path / 'cine.dcm')}?window=500,1000")
    np.testing.assert_allclose(found.x[0].numpy(), V / 1000, atol=1e-6)
    assert found.place.step == pytest.approx(0.04)
    assert batch(f"{tmp_path}/cine.dcm?as=slices").ids[3] == "cine.dcm#003"


def enhanced(numbers) -> Dataset:
    """Planes against their order, each with a place and a slope of its own."""
    groups = []
    for n, _ in enumerate(numbers):
        at, group = placed(len(numbers) - 1 - n), Dataset()
        group.PlanePositionSequence = [Dataset()]
        group.PlanePositionSequence[0].ImagePositionPatient = at["ImagePositionPatient"]
        group.PixelValueTransformationSequence = [Dataset()]
        group.PixelValueTransformationSequence[0].RescaleSlope = n + 1
        group.PixelValueTransformationSequence[0].RescaleIntercept = 0
        groups.append(group)
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [Dataset()], [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = TILTED
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.7, 0.5]
    more = {"PerFrameFunctionalGroupsSequence": groups, "SharedFunctionalGroupsSequence": [shared]}
    return dataset(numbers, **more)


def test_each_frame_may_have_a_place_and_a_slope_of_its_own(tmp_path):
    found = only(f"{save(enhanced(V), tmp_path / 'enhanced.dcm')}?window=2500,5000")
    slopes = np.arange(1, 6)[:, None, None]
    np.testing.assert_allclose(found.x[0].numpy(), (V * slopes)[::-1] / 5000, atol=1e-6)
    np.testing.assert_allclose(found.place.spacing, (0.5, 0.7, 2.5))


def test_planes_that_are_told_by_their_distances_are_a_volume(tmp_path):
    made = dataset(V, GridFrameOffsetVector=[0, 2, 4, 6, 8], **placed(0))
    found = only(f"{save(made, tmp_path / '1.2.840.113619.5')}?window=500,1000")  # named as archives do
    np.testing.assert_allclose(found.x[0].numpy(), V / 1000, atol=1e-6)
    assert found.place.axis == "volume"
    np.testing.assert_allclose(
        found.place.affine[:3, 2], np.array([0, -0.6, 0.8]) * 2 * [-1, -1, 1], atol=1e-9
    )


def test_films_are_inverted_and_colours_kept(tmp_path):
    film = save(dataset(V[0], PhotometricInterpretation="MONOCHROME1"), tmp_path / "film.dcm")
    np.testing.assert_allclose(only(f"{film}?window=500,1000").x[0].numpy(), 1 - V[0] / 1000, atol=1e-6)
    shades = (V[0] % 256).astype(np.uint8)[..., None] // np.array([1, 2, 3], np.uint8)
    made = dataset(V[0], SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelData = 8, 8, 7, shades.tobytes()
    found = only(save(made, tmp_path / "colour.dcm"))
    assert torch.equal(found.x, as_tensor(shades))


def test_pictures_of_a_series_that_lie_nowhere_are_samples_of_their_own(tmp_path):
    for n in (1, 2):
        save(dataset(V[n] * n, number=n), tmp_path / f"view{n}.dcm")
    found = batch(f"{tmp_path}?window=range")
    assert found.ids == ("view1.dcm", "view2.dcm")
    assert found.x.flatten(1).amax(1).tolist() == [1, 1]  # each on its own scale


def test_folders_are_classes_where_that_is_said(tmp_path):
    for name in ("cat", "dog"):
        save(dataset(V[0], series=name), tmp_path / name / "a.dcm")
    plain, told = (open_data(f"{tmp_path}{more}") for more in ("", "?labels=folders"))
    assert plain.batch(plain.ids(), View(), ("cat", "dog")).y.tolist() == [-1, -1]
    assert told.batch(told.ids(), View(), ("cat", "dog")).y.tolist() == [0, 1]


def test_a_view_cuts_tensors_as_it_cuts_pictures():
    pixels = np.random.default_rng(3).integers(0, 256, size=(37, 50)).astype(np.uint8)
    x = as_tensor(pixels)
    for view in (View(crop=20), View(channels=3), View(resize=24, crop=20), View(resize=24, bicubic=True)):
        expected = view(Image.fromarray(pixels))
        assert view.of(x).shape == expected.shape
        assert (
            float((view.of(x) - expected).abs().max()) <= 2.01 / 255
        )  # a picture is rounded after each side
    volume = x.expand(4, -1, -1)[None]
    assert torch.equal(View(resize=24, crop=20).of(volume)[0, 2], View(resize=24, crop=20).of(x)[0])


@pytest.mark.parametrize(
    "view", [View(), View(crop=20), View(resize=30, crop=24), View(resize=74), View(crop=60)]
)
def test_a_map_goes_back_to_where_it_was_seen(view):
    """The middle of mass of a blob is the same in the picture and in the map that is brought back."""
    rows, columns = torch.meshgrid(torch.arange(37.0), torch.arange(50.0), indexing="ij")
    blob = torch.exp(-((rows - 16) ** 2 + (columns - 27) ** 2) / 18)[None]
    back = view.back(view.of(blob), (50, 37))
    assert back.shape == blob.shape
    for at in (rows, columns):
        middle = [float((m[0] * at).sum() / m.sum()) for m in (blob, back)]
        assert middle[1] == pytest.approx(middle[0], abs=0.1)


def test_a_map_of_another_size_is_refused():
    with pytest.raises(InputError, match="is not of a picture"):
        View(crop=20).back(torch.zeros(1, 9, 9), (50, 37))


def test_a_mask_lies_beside_its_image_and_is_cut_as_it_is(home, tmp_path):
    save_nifti(tmp_path / "a.nii.gz", V.T.astype(np.int16))
    save_nifti(tmp_path / "a_mask.nii.gz", (V.T > 500).astype(np.uint8))
    assert open_data(str(tmp_path)).ids() == ("a.nii.gz",)
    assert torch.equal(batch(tmp_path).masks[0, 0], torch.from_numpy(V > 500))
    slices = open_data(f"{tmp_path}?as=slices")
    found = slices.batch(slices.ids(), View(crop=4))
    assert torch.equal(found.masks[3, 0], torch.from_numpy(V[3, 1:5, 2:6] > 500))


def test_a_table_names_files_masks_and_slices(home):
    """A mask that was drawn on axes that run the other way lies over its image all the same."""
    turned = np.diag([-1, 1, -1, 1.0])
    turned[:3, 3] = [6, 0, 4]
    drawn = (V > 500).astype(np.uint8)[::-1, :, ::-1].T
    save_nifti(home / "drawn.nii.gz", drawn, only(f"{home}/ct").place.affine @ turned)
    save(enhanced(V), home / "enhanced.dcm")
    (home / "list.csv").write_text("path,label,mask\nenhanced.dcm,1,drawn.nii.gz\nvolume.nii.gz#002,0,\n")
    source = open_data(f"{home}/list.csv?window=range")
    first = source.sample("enhanced.dcm", View())
    assert torch.equal(first.mask[0], torch.from_numpy(V > 500))
    second = source.sample("volume.nii.gz#002", View())
    assert torch.equal(second.x[0], only(f"{home}/volume.nii.gz?window=range").x[0, 2])
    assert source.label("enhanced.dcm") == 1


def test_a_mask_of_another_grid_is_an_error_of_its_row(tmp_path):
    save_nifti(tmp_path / "a.nii", V.T.astype(np.int16))
    save_nifti(tmp_path / "a_mask.nii", np.ones((7, 6, 4), np.uint8))
    assert "a_mask.nii is [7, 6, 4] and its image [7, 6, 5]" in error(tmp_path)
    save_nifti(tmp_path / "a_mask.nii", np.ones((7, 6, 5), np.uint8), AFFINE + np.eye(4, k=3))
    assert "lies elsewhere" in error(f"{tmp_path}/a.nii")
    Image.new("L", (9, 9)).save(tmp_path / "m.png")
    (tmp_path / "list.csv").write_text("path,mask\na.nii#001,m.png\n")
    assert "mask is [9, 9] and its image [6, 7]" in error(f"{tmp_path}/list.csv")


def no_pixels(path):
    save(dataset(V[0], PixelData=None), path)


def a_report(path):
    save(dataset(V[0], PixelData=None, Rows=None, Columns=None), path)


def compressed(path):
    made = dataset(V[0])
    made.file_meta.TransferSyntaxUID = JPEGLSLossless
    made.PixelData = pydicom.encaps.encapsulate([b"\x00" * 64])
    save(made, path)


def beyond(path):
    """JPEG of 12 bits, which is of a known kind."""
    made = dataset(V[0])
    made.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    made.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    save(made, path)


def short(path):
    save(dataset(V[0], PixelData=b"\0" * 10), path)


def text(path):
    path.write_text("not a picture")


def broken_header(path):
    save(dataset(V[0]), path)
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (no_pixels, "holds no pixels"),
        (a_report, "holds no pixels"),
        (
            compressed,
            "is compressed as JPEG-LS Lossless Image Compression, and what decodes that is not installed",
        ),
        (beyond, "JPEG Extended (Process 2 and 4), are broken or beyond what is installed) (pip install"),
        (short, "its pixels end too early"),
        (text, "it has no DICOM header"),
        (broken_header, "bad.dcm"),
    ],
)
def test_a_bad_dicom_file_in_a_folder_is_a_row_with_its_error_and_names_nobody(tmp_path, make, told):
    make(tmp_path / "bad.dcm")
    save(dataset(V[0], series="2"), tmp_path / "good.dcm")
    found = batch(tmp_path)
    assert list(found.errors) == ["bad.dcm"]
    assert told in found.errors["bad.dcm"]
    assert SECRET not in found.errors["bad.dcm"]
    assert len(found.readable()) == 1


def test_what_is_compressed_and_can_be_decoded_is_read(tmp_path):
    made = dataset(V[0])
    made.compress(RLELossless)
    found = only(f"{save(made, tmp_path / 'rle.dcm')}?window=500,1000")
    np.testing.assert_allclose(found.x[0].numpy(), V[0] / 1000, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "kind", "told"),
    [
        ((4, 4, 2, 2, 3), "auto", "has 5 dimensions (4x4x2x2x3), images have 2 to 4"),
        ((4, 4, 1), "series", "has one frame: a series has several"),
        ((4, 4, 1, 3), "volume", "has one slice: it is no volume"),
    ],
)
def test_a_nifti_file_of_another_kind_is_one_sentence(tmp_path, shape, kind, told):
    save_nifti(tmp_path / "a.nii.gz", np.zeros(shape, np.float32))
    assert told in error(f"{tmp_path}/a.nii.gz?as={kind}")


def test_a_torn_and_a_coloured_nifti_file_are_one_sentence(tmp_path):
    whole = save_nifti(tmp_path / "a.nii.gz", V.T.astype(np.int16)).read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert "not a NIfTI file that can be read" in error(tmp_path / "a.nii.gz")
    colours = np.zeros((4, 4, 1), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    assert "holds colours" in error(save_nifti(tmp_path / "c.nii", colours))
    (tmp_path / "t.nii").write_text("no header")
    assert "not a NIfTI file that can be read" in error(tmp_path / "t.nii")


def test_a_series_with_a_slice_missing_or_one_frame_says_so(tmp_path):
    save_volume(tmp_path / "gap", V)
    (tmp_path / "gap" / "IM003.dcm").unlink()
    assert "lie 2.5 to 5 mm apart: some are missing (?as=slices" in error(tmp_path / "gap")
    assert not batch(f"{tmp_path}/gap?as=slices").errors
    save_volume(tmp_path / "one", V[:1])
    assert "it has one frame: a series has several" in error(f"{tmp_path}/one?as=series")
    assert "it is one slice, no volume" in error(f"{tmp_path}/one?as=volume")
    save_volume(tmp_path / "whole", V)
    assert "one frame at each place" in error(f"{tmp_path}/whole?as=series")
    save(dataset(V[0, :3], number=9, **placed(9)), tmp_path / "whole" / "z.dcm")
    assert "differ in size or direction" in error(f"{tmp_path}/whole?as=volume")


def test_an_option_or_a_folder_that_makes_no_sense_is_refused(home, tmp_path):
    with pytest.raises(UnknownName, match="no option of medical files is called 'ass'"):
        open_data(f"{home}/volume.nii.gz?ass=slices")
    with pytest.raises(SpecError, match="kind must be one of"):
        open_data(f"{home}/volume.nii.gz?as=film")
    for window in ("40", "40,0", "a,b", "1,2,3"):
        with pytest.raises(InputError, match="CENTRE,WIDTH"):
            open_data(f"{home}/volume.nii.gz?window={window}")
    assert "has no window of its own" in error(f"{home}/volume.nii.gz?window=file")
    for orientation in ("up", "LRS", "lps", "LPSI"):
        with pytest.raises(InputError, match="three letters"):
            open_data(f"{home}/volume.nii.gz?orientation={orientation}")
    save(dataset(V[0]), tmp_path / "a.dcm")
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="both pictures and medical files"):
        open_data(str(tmp_path))


@pytest.mark.parametrize(("package", "name"), [("pydicom", "a.dcm"), ("nibabel", "a.nii")])
def test_without_the_extra_there_is_one_sentence_with_the_way_to_install_it(
    tmp_path, package, name, monkeypatch
):
    save(dataset(V[0]), tmp_path / "a.dcm")
    save_nifti(tmp_path / "a.nii", V.T.astype(np.int16))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=f"needs {package}") as told:
        open_data(str(tmp_path / name)).ids()
    assert told.value.hint == "pip install 'unfool[medical]'"


@pytest.mark.slow
def test_pictures_are_opened_without_them(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    code = f"import sys; from unfool.data.address import open_data as o; s = o({str(tmp_path)!r}); s.batch(s.ids())"
    code += "; assert not {'pydicom', 'nibabel'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
