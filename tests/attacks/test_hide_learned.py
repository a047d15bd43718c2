"""A patch learned on objects lies on them, is looked for where the camera shows it, and hides new ones better than both
controls."""

import pytest
import torch

from unfool.attacks.hide import Hidden, look_for, objects
from unfool.attacks.learned import CONTROLS
from unfool.attacks.patch import Patch
from unfool.attacks.sticker import Sticker
from unfool.attacks.universal import Universal
from unfool.boxes import bounds, overlap
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.rows import Rng
from unfool.transforms import Camera, Jitter, Noise, Rotate, moved
from unfool.zoo.address import load

X = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BOXES = torch.tensor([[4.0, 6, 14, 14], [10.0, 10, 22, 22], [16.0, 4, 28, 16], [8.0, 12, 20, 24]])
ON = objects(list(BOXES), [1] * 4)
SQUARE = Patch(side=0.5, shape="square", turn=0, zoom=0)


def batch(data: str, n: int):
    source = open_data(data)
    return source.batch(source.ids()[:n])


def test_bounds_are_the_box_about_what_is_true():
    inside = torch.zeros(2, 6, 8, dtype=torch.bool)
    inside[0, 1:4, 2:7] = True
    assert bounds(inside).tolist() == [[2, 1, 7, 4], [0, 0, 0, 0]]


def test_a_box_goes_where_its_image_goes():
    """Whole pixels by a jitter, its middle about the image's by a turn; changes of light move nothing."""
    ids = range(4)
    by = Rng.seeded(1, ids).uniform(X.new_empty(4, 2), -3.5, 3.5).round().flip(1)  # right, down
    shifted = moved(BOXES, X, (Jitter(3),), Rng.seeded(1, ids))
    assert torch.equal(shifted, BOXES + torch.cat([by, by], 1))
    assert torch.equal(moved(BOXES, X, (Noise(0.1),), Rng.seeded(1, ids)), BOXES)
    turned = moved(BOXES[1:2], X[:1], (Rotate(40),), Rng.seeded(1, [0]))  # a square about the middle
    assert overlap(turned, BOXES[1:2]).item() == 1


def test_boxes_follow_what_the_camera_sees_and_the_streams_are_left_as_they_were():
    there = torch.zeros(4, 3, 48, 48)
    boxes = BOXES + 8
    down, right = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(48) + 0.5, indexing="ij")
    for k, (left, top, far, low) in enumerate(boxes.tolist()):
        out = ((right - (left + far) / 2) / (far - left)) ** 2 + ((down - (top + low) / 2) / (low - top)) ** 2
        there[k, :, out <= 0.25] = 1.0
    camera, rng = Camera(light=0, tint=0, noise=0), Rng.seeded(2, range(4))
    told = moved(boxes, there, (camera,), rng)
    seen = bounds(camera(there, rng)[:, 0] > 0.5)
    assert overlap(told, seen).min() > 0.8
    assert overlap(boxes, seen).min() < 0.7


def test_a_patch_covers_the_middle_of_its_object_and_nothing_else():
    learned = {"patch": torch.ones(1, 3, 5, 5)}
    put = SQUARE.put(learned, X * 0.9, Rng.seeded(0, range(4)), on=ON)
    down, right = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")
    for k, (left, top, far, low) in enumerate(BOXES.tolist()):
        half = 0.5 * min(far - left, low - top) / 2
        away = torch.maximum((right - (left + far) / 2).abs(), (down - (top + low) / 2).abs())
        assert (put[k, :, away <= half - 1] > 0.99).all()
        assert torch.equal(put[k, :, away >= half + 1], X[k, :, away >= half + 1] * 0.9)


@pytest.mark.slow
def test_a_learned_patch_hides_objects_it_has_not_seen_better_than_its_controls():
    model, known, new = (
        load("unfool:scenes"),
        batch("unfool:scenes?split=train", 200),
        batch("unfool:scenes", 100),
    )
    learned = Patch(side=0.5, shape="square", turn=5, zoom=0, epochs=15)(model, known.x, known.victims)
    others = {kind: learned.instead(kind) for kind in CONTROLS}
    rates = {
        kind: float(look_for(model, one.put(new.x, on=new.victims), new.victims).hidden.float().mean())
        for kind, one in {"learned": learned, **others}.items()
    }
    assert rates["learned"] > rates["random"] + 0.15
    assert rates["learned"] > rates["plain"] + 0.1


@pytest.mark.parametrize(
    "fit",
    [
        Patch(epochs=1, camera=(Camera(),)),
        Universal(epochs=1),
        Sticker(epochs=2, find=1, cover=0.05),
        Patch(epochs=1, loss=Hidden(altogether=True)),
    ],
    ids=repr,
)
def test_whatever_is_learned_can_be_learned_against_a_detector(fit):
    model, known = load("unfool:scenes?net=narrow"), batch("unfool:scenes?split=train", 8)
    learned = fit(model, known.x, known.victims)
    again = fit(model, known.x, known.victims)
    assert all(torch.equal(learned.tensors[name], again.tensors[name]) for name in learned.tensors)
    for one in (learned, *(learned.instead(kind) for kind in CONTROLS)):
        put = one.put(known.x, on=known.victims)
        assert put.isfinite().all()
        assert put.shape == known.x.shape
        assert not torch.equal(put, known.x)


def test_hidden_altogether_counts_boxes_of_every_class():
    found = torch.tensor([[[4.0, 6, 14, 14, 0.9, 2.0]]]).mT  # one box of another class on the object
    assert Hidden().reached({"output": found}, ON[:1]).all()
    assert not Hidden(altogether=True).reached({"output": found}, ON[:1]).any()


def test_objects_that_are_none_are_one_sentence():
    model, known = load("unfool:scenes?net=narrow"), batch("unfool:scenes", 2)
    with pytest.raises(InputError, match="of a detector y are the objects to hide"):
        SQUARE(model, known.x, [1, 1])
    with pytest.raises(InputError, match="is a detector"):
        SQUARE(model, known.x, known.victims)(model, known.x, [1, 1])
    with pytest.raises(InputError, match="the data have no boxes"):
        _ = batch("unfool:digits", 2).victims
