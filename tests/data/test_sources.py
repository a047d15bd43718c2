"""Every kind of data gives the same images and labels, and a bad sample is a row with its error."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tests.oracles import images

from unfool.data.address import open_data
from unfool.data.embedded import NAMES, Embedded
from unfool.data.labels import read_classes
from unfool.data.table import Table
from unfool.errors import DataError, InputError, UnknownName
from unfool.views import View

CLASSES = ("cat", "dog")
SAMPLES = ("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The same four pictures as class folders, a table and arrays."""
    root = tmp_path_factory.mktemp("data")
    x = (images(4, 3, 8, 6) * 255).round().to(torch.uint8)
    for name, image in zip(SAMPLES, x, strict=True):
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / name)
    labels = [name.split("/")[0] for name in SAMPLES]
    columns = {"path": list(SAMPLES), "label": labels, "site": ["x", "y", "x", "y"], "note": list("abcd")}
    pq.write_table(pa.table(columns), root / "list.parquet")
    rows = ["path,label,site", *(f"{n},{y},{s}" for n, y, s in zip(SAMPLES, labels, "xyxy", strict=True))]
    (root / "list.csv").write_text("\n".join(rows))
    np.savez(root / "first.npz", x=x.numpy(), y=[0, 0, 1, 1], site=["x", "y", "x", "y"])
    np.savez(root / "last.npz", x=x.permute(0, 2, 3, 1).numpy(), y=[0, 0, 1, 1])
    np.savez(root / "floats.npz", x=x.numpy() / np.float32(255), y=[0, 0, 1, 1])
    return root


@pytest.mark.parametrize("name", ["", "list.csv", "list.parquet", "first.npz", "last.npz", "floats.npz"])
def test_all_kinds_give_the_same_images_and_labels(home, name):
    batch = open_data(str(home / name))
    batch = batch.batch(batch.ids(), View(), CLASSES)
    expected = (images(4, 3, 8, 6) * 255).round() / 255
    torch.testing.assert_close(batch.x, expected)
    assert batch.y.tolist() == [0, 0, 1, 1]
    assert not batch.errors


@pytest.mark.parametrize("name", ["list.csv", "list.parquet", "first.npz"])
def test_columns_of_few_words_are_groups(home, name):
    source = open_data(str(home / name))
    assert source.batch(source.ids(), View(), CLASSES).groups["site"] == ("x", "y", "x", "y")


def test_the_order_of_the_ids_is_the_order_of_the_rows(home):
    source = open_data(str(home))
    whole, some = source.batch(source.ids(), View()), source.batch(source.ids()[::-1], View())
    torch.testing.assert_close(some.x, whole.x.flip(0))
    assert some.ids == tuple(reversed(whole.ids))


def test_a_folder_without_class_folders_has_no_labels(home):
    source = open_data(str(home / "cat"))
    batch = source.batch(source.ids(), View(), CLASSES)
    assert batch.ids == ("a.png", "b.png")
    assert batch.y.tolist() == [-1, -1]


def test_one_picture_is_a_data_set_of_one(home):
    source = open_data(str(home / "cat" / "a.png"))
    assert source.ids() == ("a.png",)
    assert source.batch(source.ids(), View(resize=4, crop=4, channels=1)).x.shape == (1, 1, 4, 4)


def test_a_folder_of_one_class_is_labelled(home, tmp_path):
    (tmp_path / "dog").mkdir()
    Image.new("RGB", (6, 8)).save(tmp_path / "dog" / "e.png")
    source = open_data(str(tmp_path))
    assert source.batch(source.ids(), View(), CLASSES).y.tolist() == [1]


def test_a_broken_a_huge_and_a_mislabelled_file_are_rows_with_errors(home, tmp_path, monkeypatch):
    monkeypatch.setattr("unfool.data.folder.MOST_PIXELS", 100)
    good = (home / "cat" / "a.png").read_bytes()
    for folder in ("cat", "dgo"):
        (tmp_path / folder).mkdir()
    (tmp_path / "cat" / "good.png").write_bytes(good)
    (tmp_path / "cat" / "short.png").write_bytes(good[:60])
    (tmp_path / "cat" / "text.png").write_text("not a picture")
    Image.new("RGB", (20, 20)).save(tmp_path / "cat" / "huge.png")
    (tmp_path / "dgo" / "other.png").write_bytes(good)
    source = open_data(str(tmp_path))
    batch = source.batch(source.ids(), View(), CLASSES)
    assert set(batch.errors) == set(source.ids()) - {"cat/good.png"}
    assert "more than 100 pixels" in batch.errors["cat/huge.png"]
    assert "did you mean dog?" in batch.errors["dgo/other.png"]
    assert len(batch.readable()) == 1


def test_a_missing_file_of_a_table_is_a_row_with_its_error(home):
    (home / "gone.csv").write_text("path,label\ncat/a.png,cat\ncat/z.png,cat\n")
    source = open_data(str(home / "gone.csv"))
    batch = source.batch(source.ids(), View(), CLASSES)
    assert list(batch.errors) == ["cat/z.png"]
    assert "no such file" in batch.errors["cat/z.png"]


def test_pictures_of_two_sizes_say_how_to_cut_them_alike(home, tmp_path):
    for name, size in {"a.png": (6, 8), "b.png": (9, 9)}.items():
        Image.new("RGB", size).save(tmp_path / name)
    source = open_data(str(tmp_path))
    with pytest.raises(InputError, match="of one size") as caught:
        source.batch(source.ids(), View())
    assert "--view" in caught.value.hint


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.0), (0.0, 1.2), (0.0, np.nan)])
def test_arrays_outside_0_to_1_are_errors_of_their_rows(tmp_path, low, high):
    x = np.zeros((2, 1, 4, 4), np.float32)
    x[1, 0, 0, 0], x[1, 0, 0, 1] = low, high
    np.savez(tmp_path / "a.npz", x=x)
    source = open_data(str(tmp_path / "a.npz"))
    assert list(source.batch(source.ids(), View()).errors) == ["1"]


def test_what_cannot_be_opened_is_one_sentence(home, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_text("hello")
    np.savez(tmp_path / "count.npz", x=np.zeros((3, 4, 4), np.float32), y=[1, 2])
    cases = {"empty": "no pictures", "bad.npz": "cannot read", "bad.parquet": "cannot read"}
    for name, text in (
        cases | {"notes.txt": "no data", "count.npz": "2 entries for 3", "emty": "nothing"}
    ).items():
        with pytest.raises(DataError, match=text):
            open_data(str(tmp_path / name)).ids()
    with pytest.raises(UnknownName, match="column"):
        Table(str(home / "list.csv"), column="file").ids()


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (np.zeros((2, 1, 4, 4)), np.eye(2), "one class number or name per image"),
        (np.zeros((2, 1, 4, 4)), np.array([0.5, 1.0]), "one class number or name per image"),
        (np.full((2, 1, 4), "a"), np.array([0, 1]), "holds no images"),
        (np.array("lone"), np.array([0, 1]), "holds no images"),
    ],
)
def test_arrays_of_the_wrong_kind_are_one_sentence(tmp_path, x, y, text):
    np.savez(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(DataError, match=text):
        open_data(str(tmp_path / "a.npz")).ids()


def test_labels_of_arrays_may_be_names(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 1, 4, 4)), y=["dog", "cow"])
    source = open_data(str(tmp_path / "a.npz"))
    batch = source.batch(source.ids(), View(), CLASSES)
    assert batch.y.tolist() == [1, -1]
    assert "'cow' is not one of the model's 2 classes" in batch.errors["1"]


def test_labels_out_of_range_are_errors_of_their_rows(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 1, 4, 4)), y=[1, 2, -3, -1])
    source = open_data(str(tmp_path / "a.npz"))
    batch = source.batch(source.ids(), View(), CLASSES)
    assert list(batch.errors) == ["1", "2"]  # -1 is unknown, as elsewhere
    assert "(0 to 1)" in batch.errors["1"]


def test_channels_are_not_mixed_unless_they_are_colours(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((1, 5, 4, 4)))
    batch = open_data(str(tmp_path / "a.npz")).batch(["0"], View(channels=1))
    assert "5 channels, the network wants 1" in batch.errors["0"]


def test_what_is_wrong_with_a_row_says_the_way_out(tmp_path):
    for name, value, hint in (
        ("bytes", 200.0, "divide by 255"),
        ("normal", -2.0, "Model"),
        ("nan", np.nan, "NaN"),
    ):
        np.savez(tmp_path / f"{name}.npz", x=np.full((1, 1, 4, 4), value))
        assert hint in open_data(str(tmp_path / f"{name}.npz")).batch(["0"], View()).errors["0"]


def test_folders_called_by_numbers_are_those_classes_where_no_names_are_known(home, tmp_path):
    for name in ("3", "7"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (6, 8)).save(tmp_path / name / "e.png")
    source = open_data(str(tmp_path))
    assert source.batch(source.ids(), View()).y.tolist() == [3, 7]


def test_one_class_folder_alone_does_not_say_which_class_it_is(tmp_path):
    (tmp_path / "train").mkdir()
    Image.new("RGB", (6, 8)).save(tmp_path / "train" / "e.png")
    source = open_data(str(tmp_path))
    with pytest.raises(DataError, match="one class folder, train") as caught:
        source.batch(source.ids(), View())
    assert "--classes" in caught.value.hint


def test_a_picture_larger_than_any_decoder_allows_is_one_sentence_without_a_warning(tmp_path):
    for name, side in (("huge", 10_000), ("bomb", 20_000)):
        Image.new("1", (side, side)).save(tmp_path / f"{name}.png")
    source = open_data(str(tmp_path))
    errors = source.batch(source.ids(), View()).errors
    assert all("more than 64,000,000 pixels (make it smaller first)" in text for text in errors.values())
    assert len(errors) == 2


def test_a_picture_listed_twice_is_refused(home):
    (home / "twice.csv").write_text("path,label\ncat/a.png,cat\ncat/a.png,dog\n")
    with pytest.raises(DataError, match=r"cat/a\.png more than once"):
        open_data(str(home / "twice.csv")).ids()


def test_object_arrays_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{"no": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot read"):
        open_data(str(tmp_path / "a.npz")).ids()


def test_masks_of_a_table_are_cut_as_their_pictures_are(home):
    mask = np.zeros((8, 6), np.uint8)
    mask[2:, 3:] = 7
    Image.fromarray(mask).save(home / "mask.png")
    (home / "masks.csv").write_text("path,mask\ncat/a.png,mask.png\n")
    source = open_data(str(home / "masks.csv"))
    found = source.batch(source.ids(), View(crop=4)).masks
    assert found is not None
    assert torch.equal(found[0, 0], torch.from_numpy(mask > 0)[2:6, 1:5])


def test_class_names_may_have_keys(tmp_path):
    (tmp_path / "names.txt").write_text("n01\ttench\nn02\tgoldfish\n")
    names = read_classes(tmp_path / "names.txt")
    assert tuple(names) == ("tench", "goldfish")
    assert names.keys == ("n01", "n02")
    (tmp_path / "names.txt").write_text("\n")
    with pytest.raises(DataError, match="no class names"):
        read_classes(tmp_path / "names.txt")


def test_the_embedded_films_come_with_masks_and_groups():
    source = open_data("unfool:lesions")
    batch = source.batch(source.ids()[:40], None, ("no finding", "finding"))
    assert batch.masks is not None
    assert ((batch.masks.flatten(1).sum(1) > 0) == (batch.y == 1)).all()
    assert set(batch.groups) == {"tube", "site"}


def test_train_and_test_share_no_image():
    train, test = (open_data(f"unfool:digits8?split={split}") for split in ("train", "test"))
    rows = [{tuple(x.flatten().tolist()) for x in s.batch(s.ids(), None).x} for s in (train, test)]
    assert len(rows[0] & rows[1]) == 0


def test_a_file_that_has_changed_or_is_another_of_the_same_name_is_read_again(tmp_path, monkeypatch):
    for n, folder in ((3, tmp_path / "one"), (5, tmp_path / "two")):
        folder.mkdir()
        np.savez(folder / "d.npz", x=np.zeros((n, 8, 8), np.uint8))
        monkeypatch.chdir(folder)
        assert len(open_data("d.npz").ids()) == n
    np.savez("d.npz", x=np.zeros((7, 8, 8), np.uint8))
    assert len(open_data("d.npz").ids()) == 7


def test_a_tag_that_the_data_do_not_have_is_one_sentence():
    assert open_data("unfool:digits?tag=corner").groups("test/0").keys() == {"tag"}
    for name in ("digits8", "lesions"):
        with pytest.raises(DataError, match=f"unfool:{name} has no images with a tag") as caught:
            open_data(f"unfool:{name}?tag=corner")
        assert "unfool:digits?tag=corner" in caught.value.hint


def test_masks_of_an_npz_are_of_one_thing_or_of_classes_and_must_fit(tmp_path):
    x, several = np.zeros((2, 1, 3, 4, 5), np.float32), np.zeros((2, 4, 5), np.uint8)
    several[0, 1, 1], several[1, 2, 2] = 1, 2
    np.savez(tmp_path / "classes.npz", x=x, masks=several)
    masks = open_data(str(tmp_path / "classes.npz")).batch(["0", "1"]).masks
    assert masks is not None
    assert not masks.is_floating_point()
    assert masks.unique().tolist() == [0, 1, 2]
    np.savez(tmp_path / "one.npz", x=x, masks=255 * (several > 0).astype(np.uint8))
    masks = open_data(str(tmp_path / "one.npz")).batch(["0", "1"]).masks
    assert masks is not None
    assert masks.dtype == torch.bool
    np.savez(tmp_path / "small.npz", x=x, masks=several[:, :3])
    with pytest.raises(DataError, match=r"masks \[2, 3, 5\] do not fit images \[2, 1, 3, 4, 5\]"):
        open_data(str(tmp_path / "small.npz")).ids()


def test_maps_of_classes_of_a_table_keep_their_numbers(tmp_path):
    """What a mask column names is yes or no; classes are never mixed, and 255 is none of them."""
    picture = np.zeros((8, 12), np.uint8)
    picture[2:6, 2:6], picture[2:6, 6:10], picture[0] = 5, 15, 255
    Image.fromarray(picture).save(tmp_path / "classes.png")
    Image.fromarray(np.full((8, 12, 3), 90, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(tmp_path / "colour.png")
    (tmp_path / "t.csv").write_text("path,classes\na.png,classes.png\n")
    whole = open_data(str(tmp_path / "t.csv")).batch(["a.png"])
    assert whole.masks is not None
    assert whole.masks.dtype == torch.int64
    assert whole.masks.unique().tolist() == [0, 5, 15]
    assert whole.groups == {}
    small = open_data(str(tmp_path / "t.csv")).batch(["a.png"], View(resize=4, crop=4))
    assert small.masks is not None
    assert small.masks.shape == (1, 1, 4, 4)
    assert set(small.masks.unique().tolist()) <= {0, 5, 15}
    (tmp_path / "t.csv").write_text("path,classes\na.png,colour.png\n")
    wrong = open_data(str(tmp_path / "t.csv")).batch(["a.png"])
    assert "one number a pixel, not RGB" in wrong.errors["a.png"]


@pytest.mark.parametrize("name", NAMES)
def test_the_classes_of_embedded_data_are_known_without_making_them(name):
    source = Embedded(name)
    assert source.label_names() == source.samples().classes
