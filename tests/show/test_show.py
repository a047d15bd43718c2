"""Pictures that hide nothing: symmetric about zero, blank where there is nothing, the same size as what they lie on."""

import math
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
import torch
from PIL import Image
from tests.oracles import images

from unfool.errors import DataError
from unfool.show.boxes import boxes_over
from unfool.show.chart import accuracy_curves, distributions, dots, logits_along
from unfool.show.grades import badged
from unfool.show.grid import caption_font, panel_row, save_panels, wrapped
from unfool.show.heat import SIGNED, map_picture, overlay, scaled
from unfool.show.image import class_colours, data_uri, drawable, enlarged, png
from unfool.show.lines import Series, lines


def test_zero_is_white_and_the_signs_are_mirrored():
    heat = torch.tensor([[-1.0, 0.0, 1.0]])
    picture = map_picture(heat)
    ends = torch.tensor(SIGNED, dtype=torch.float32) / 255
    torch.testing.assert_close(picture[:, 0, 0], ends[0])
    torch.testing.assert_close(picture[:, 0, 1], ends[2])
    torch.testing.assert_close(picture[:, 0, 2], ends[4])


def test_a_map_without_negatives_is_drawn_from_white():
    assert not scaled(torch.tensor([[0.0, 2.0]])).signed
    torch.testing.assert_close(map_picture(torch.tensor([[0.0, 2.0]]))[:, 0, 0], torch.ones(3))


def test_an_all_zero_map_stays_blank_rather_than_stretched():
    assert float(scaled(torch.zeros(5, 5)).values.abs().max()) == 0
    torch.testing.assert_close(map_picture(torch.zeros(5, 5)), torch.ones(3, 5, 5))


def test_one_outlier_does_not_blank_the_rest():
    heat = torch.full((30, 30), 1.0)
    heat[0, 0] = 1e6
    assert float(scaled(heat).values.median()) == pytest.approx(1.0)


def test_an_overlay_is_as_large_as_the_image_and_clear_where_the_map_is_zero():
    image = images(3, 20, 24)
    heat = torch.zeros(5, 6)
    found = overlay(image, heat)
    assert found.shape == image.shape
    torch.testing.assert_close(found, image.mean(0, keepdim=True).expand(3, -1, -1))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (7, 8, 8), (1, 5, 8, 8), (2, 4, 5, 8, 8)])
def test_any_image_can_be_drawn(shape):
    image = images(*shape)
    found = drawable(image)
    assert found.shape[0] in (1, 3)
    assert found.shape[1:] == (8, 8)
    assert png(found).startswith(b"\x89PNG")


def test_small_images_are_enlarged_with_their_pixels_as_squares():
    image = images(1, 8, 8)
    large = enlarged(image, 32)
    assert large.shape == (1, 32, 32)
    torch.testing.assert_close(large[:, ::4, ::4], image)
    assert enlarged(images(3, 100, 100), 32).shape == (3, 100, 100)


def test_the_right_class_is_white_in_a_plane():
    labels = torch.tensor([[3, 1], [1, 3]])
    found = class_colours(labels, 3)
    torch.testing.assert_close(found[:, 0, 0], torch.ones(3))
    assert float(found[:, 0, 1].min()) < 1


def test_panels_lie_side_by_side_with_captions(tmp_path):
    row = panel_row(
        [("image", images(1, 8, 8)), ("a caption far too long for its picture" * 3, images(3, 8, 8))]
    )
    assert row.width > 2 * 224
    save_panels(tmp_path / "new" / "p.png", [[("image", images(1, 8, 8))], [("map", images(3, 8, 8))]])
    with Image.open(tmp_path / "new" / "p.png") as picture:
        assert picture.height > 2 * 224


@pytest.mark.parametrize(
    "text",
    ["net.features.14.conv.1.0: no positive evidence", "x" * 90, "image", "", "a caption far too long " * 4],
)
def test_captions_are_broken_and_never_cut(text):
    font = caption_font()
    lines = wrapped(text, 224, font)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(font.getlength(line) <= 224 for line in lines)
    plain, row = (panel_row([("image", images(1, 8, 8)), (t, images(1, 8, 8))]) for t in ("map", text))
    assert row.height - plain.height == 15 * (max(1, len(lines)) - 1)


def test_a_badge_is_never_cut():
    text = "\u2717 rank corr. 0.76 > 0.5"
    narrow, wide = (badged(images(1, 64, 64), "fail", text, side) for side in (130, 256))
    assert wide.shape[1:] == (256 + 22, 256)
    assert narrow.shape[1:] == (128 + 22 + 15, 128)  # two lines
    ink = [int((one[:, side:].amin(0) > 0.5).sum()) for one, side in ((narrow, 128), (wide, 256))]
    assert abs(ink[0] - ink[1]) < 0.05 * ink[1]  # as many white pixels


def test_places_may_have_names():
    names = ["one", "a longer second"]
    drawn = lines([Series("a", [0, 1], [0.2, 0.4])], "", "share", ticks=[0, 1], names=names)
    assert ">one<" in drawn
    assert ">second<" in drawn


def test_of_boxes_that_overlap_the_surest_is_on_top_and_no_score_is_cut():
    image, boxes = torch.zeros(3, 64, 64), torch.tensor([[10.0, 20, 40, 50], [14.0, 22, 44, 52]])
    first = boxes_over(image, boxes, [0.9, 0.6], [0, 1])
    assert first.equal(boxes_over(image, boxes.flip(0), [0.6, 0.9], [1, 0]))
    beyond, inside = (boxes_over(image, torch.tensor([[x, 20.0, 40, 50]]), [0.9], [0]) for x in (-4.0, 0.0))
    assert beyond[:, 44:58].equal(inside[:, 44:58])  # the band with the score, over the box


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        save_panels(tmp_path / "file" / "p.png", [[("image", images(1, 8, 8))]])


def charts():
    rate = (0.5, 0.4, 0.6)
    yield accuracy_curves(
        {0.0: "0", 0.1: "0.1", 0.2: "0.2"}, {"PGD": [rate] * 3, "FGSM": [(1.0, 0.9, 1.0)] * 3}, 0.1, "Linf"
    )
    yield distributions({"PGD": torch.tensor([0.0, 0.1, 0.2, torch.inf])}, "Linf", 0.1)
    yield logits_along(torch.linspace(-1, 1, 9), torch.randn(9, 10), torch.randn(9, 10), 3, "three")
    yield dots([("a <b> & c", rate, rate), ("d", rate, rate)])


@pytest.mark.parametrize("svg", list(charts()), ids=["curves", "distributions", "logits", "dots"])
def test_charts_are_well_formed_and_ask_nothing_of_any_host(svg):
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
    assert all(link.startswith("#") for link in links)


def test_drawing_changes_no_setting_of_the_process():
    before = dict(mpl.rcParams)
    next(charts())
    assert {k for k, v in mpl.rcParams.items() if v != before[k]} <= {"backend"}  # found when first asked for


def test_a_picture_can_go_inside_a_page():
    assert data_uri(b"abc") == "data:image/png;base64,YWJj"


@pytest.mark.parametrize("sizes", [[], [0.0, 0.0], [math.inf], [0.0, math.inf]])
def test_a_distribution_of_which_nothing_can_be_drawn_says_so(sizes):
    assert "no image that was right has flipped" in distributions({"a": torch.tensor(sizes)}, "size")
    assert "no image" not in distributions({"a": torch.tensor([*sizes, 0.1])}, "size", 0.1)
