"""Boxes come with their pictures: from the embedded scenes, from files of COCO's form, cut as the pictures are."""

import json

import pytest
import torch

from unfool.data.address import open_data
from unfool.data.victims import Victims
from unfool.errors import DataError, UnknownName
from unfool.scenes import OCTAGON, SHAPES, scenes
from unfool.views import View, to_picture


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Two pictures, 40x30 and the same again; a crowd, a large and a small object in the first, none in the second."""
    home = tmp_path_factory.mktemp("coco")
    (home / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        to_picture(torch.full((3, 30, 40), 0.5)).save(home / "pictures" / name)
    boxes = [(7, 0, [0, 0, 40, 30], 1), (3, 0, [2, 4, 6, 8], 0), (7, 0, [10, 5, 20, 20], 0)]
    told = {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(("a.png", "b.png"))],
        "annotations": [
            {"category_id": kind, "image_id": image, "bbox": box, "iscrowd": crowd}
            for kind, image, box, crowd in boxes
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    (home / "boxes.json").write_text(json.dumps(told))
    return f"{home}/boxes.json?images={home}/pictures"


def test_the_scenes_come_with_their_boxes_filled_up_to_the_most():
    source, made = open_data("unfool:scenes"), scenes("test")
    batch = source.batch(source.ids()[:20])
    assert batch.y.tolist() == [-1] * 20
    for row, boxes, labels in zip(batch.objects, made.boxes, made.labels, strict=False):
        n = len(boxes)
        assert torch.equal(row[:n], torch.cat([boxes, labels[:, None].float()], 1))
        assert (row[n:, 4] == -1).all()
    assert (batch.victims[:, 4] == OCTAGON).all()
    assert torch.equal(batch[batch.y < 0].objects, batch.objects)
    assert source.label_names() == SHAPES


def test_data_without_boxes_have_none():
    source = open_data("unfool:digits8")
    assert source.batch(source.ids()[:2]).objects is None
    assert Victims(source).ids() == ()


def test_a_file_of_coco_s_form_gives_the_largest_object_first_and_no_crowds(coco):
    source = open_data(coco)
    batch = source.batch(source.ids(), View())
    assert batch.objects.shape == (2, 2, 5)
    assert batch.objects[0].tolist() == [[10, 5, 30, 25, 7], [2, 4, 8, 12, 3]]
    assert (batch.objects[1, :, 4] == -1).all()


def test_classes_are_the_model_s_numbers_where_it_knows_their_names(coco):
    batch = open_data(coco).batch(["a.png"], View(), ("nothing", "Dog", "cat"))
    assert batch.objects[0, :, 4].tolist() == [1, 2]


def test_boxes_are_cut_as_their_picture_is(coco):
    """30 pixels become 15, then the middle 10 of 20x15 are kept: 5 off at the left, 2 at the top (half to even)."""
    batch = open_data(coco).batch(["a.png"], View(resize=15, crop=10))
    assert batch.objects[0, 0].tolist() == [0, 0.5, 10, 10, 7]
    assert len(batch.objects[0]) == 1  # of the cat nothing is left


def test_victims_are_the_pictures_with_one_class_and_it_comes_first(coco):
    cats = Victims(open_data(coco), "Cat")
    assert cats.ids() == ("a.png",)
    assert cats.batch(cats.ids()).victims.tolist() == [[2, 4, 8, 12, 3]]
    cut = cats.batch(cats.ids(), View(resize=15, crop=10))
    assert "shows no Cat" in cut.errors["a.png"]
    with pytest.raises(UnknownName, match="no class of objects is called 'bird'"):
        Victims(open_data(coco), "bird").ids()


@pytest.mark.parametrize("text", ["[", "{}", '{"images": [], "annotations": [], "categories": []}', "[1]"])
def test_another_json_is_one_sentence(tmp_path, text):
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(DataError, match=r"lists no pictures|does not list boxes"):
        open_data(str(tmp_path / "boxes.json")).ids()


def test_a_picture_that_is_not_there_says_where_it_was_looked_for(coco):
    alone = coco.partition("?")[0]
    batch = open_data(alone).batch(["a.png"])
    assert "?images=FOLDER" in batch.errors["a.png"]
