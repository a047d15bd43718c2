"""A detector's box as a target: its score, matched by overlap; maps of it lie on the object.

Of the embedded scenes the boxes are known exactly: the share of a map's positive part inside the box is compared with
that of a blob in the middle of the image.
"""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import images, same
from unfool.attributions.base import Attribution
from unfool.attributions.baselines import CentrePrior
from unfool.attributions.cam import GradCAM, HiResCAM
from unfool.attributions.gradient import Gradient
from unfool.attributions.occlusion import Occlusion
from unfool.attributions.panels import OcclusionPanels
from unfool.boxes import box_masks
from unfool.data.address import open_data
from unfool.detections import detector
from unfool.errors import InputError
from unfool.method import Question
from unfool.model import Model
from unfool.objectives import Logit
from unfool.rows import Batch
from unfool.runs.work import answered
from unfool.targets import Box
from unfool.zoo.address import load


class Told(nn.Module):
    """Says the same boxes of every image, the scores being the means of its left and right half."""

    def __init__(self, boxes: list[list[float]], labels: list[int], scores: str = "lr"):
        super().__init__()
        self.boxes, self.labels, self.scores = torch.tensor(boxes), torch.tensor(labels), scores

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        halves = [{"l": image[..., :4].mean(), "r": image[..., 4:].mean()} for image in images]
        return [
            {
                "boxes": self.boxes,
                "labels": self.labels,
                "scores": torch.stack([half[k] for k in self.scores]),
            }
            for half in halves
        ]


LEFT, RIGHT = [0.0, 0.0, 4.0, 8.0], [4.0, 0.0, 8.0, 8.0]
DARK = torch.cat([torch.full((2, 1, 8, 4), 0.9), torch.full((2, 1, 8, 4), 0.3)], 3)


def test_the_surest_box_is_explained_by_default():
    model = detector(Told([LEFT, RIGHT], [17, 17]))
    found = Gradient()(model, DARK)
    assert found.target.tolist() == [17, 17]
    assert same(found.score, torch.full((2,), 0.9))
    assert same(found.notes["box"], torch.tensor([LEFT, LEFT]))
    assert found.heat[:, 0, :, :4].eq(1 / 32).all()
    assert found.heat[:, 0, :, 4:].eq(0).all()


def test_a_class_or_a_given_box_is_explained_instead():
    model = detector(Told([LEFT, RIGHT], [1, 2]), ("background", "a", "b"))
    assert same(Gradient()(model, DARK, 2).score, torch.full((2,), 0.3))
    given = Gradient()(model, DARK, objective=Box("given"), given={"box": torch.tensor([[4.5, 0, 8, 8]])})
    assert given.target.tolist() == [2, 2]
    assert same(given.score, torch.full((2,), 0.3))


def test_the_box_of_the_unchanged_image_is_followed():
    """Once the left half is hidden the right box is surer, but it is not the one that was asked about."""
    found = Occlusion(window=(8, 4), stride=(8, 4), fill="zero")(detector(Told([LEFT, RIGHT], [1, 1])), DARK)
    assert same(found.heat[:, 0, :, :4], torch.full((2, 8, 4), 0.9))
    assert found.heat[:, 0, :, 4:].eq(0).all()


def test_what_overlaps_too_little_scores_nothing():
    model = detector(Told([LEFT, RIGHT], [1, 1]))
    near, far = torch.tensor([[0.0, 0, 4, 7]]), torch.tensor([[2.0, 0, 6, 8]])
    for box, score in ((near, 0.9), (far, 0.0)):
        found = Gradient()(model, DARK, 1, objective=Box("given"), given={"box": box})
        assert same(found.score, torch.full((2,), score))
        assert bool(found.heat.any()) == (score > 0)
    assert same(
        Gradient()(model, DARK, 1, objective=Box("given", least=0.3), given={"box": far}).score,
        torch.full((2,), 0.9),
    )


class Empty(nn.Module):
    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        none = torch.zeros(0)
        return [{"boxes": none.view(0, 4), "labels": none.long(), "scores": none} for _ in images]


WRONG: list[tuple[Model, Any, Any, str]] = [
    (detector(Empty()), None, None, "image 0 of the batch: the detector finds no box$"),
    (detector(Told([LEFT], [1], "l")), 2, None, "image 0 of the batch: the detector finds no box of class 2"),
    (detector(Told([LEFT], [1], "l")), 1, Box("given"), "needs the images' boxes"),
    (detector(Told([LEFT], [1], "l")), 1, Logit(), "is about scores of classes"),
    (Model(nn.Sequential(nn.Flatten(), nn.Linear(64, 4))), 1, Box(), "asks for boxes, the network gives"),
]


@pytest.mark.parametrize(("model", "target", "objective", "message"), WRONG, ids=lambda v: str(v)[:30])
def test_what_does_not_fit_is_one_sentence(model: Model, target: Any, objective: Any, message: str):
    with pytest.raises(InputError, match=message):
        Gradient()(model, images(2, 1, 8, 8), target, objective=objective)


class Bright(nn.Module):
    """Finds one box of class 1 in bright images, and none in dark ones."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        found = [int(image.mean() > 0.5) for image in images]
        return [
            {
                "boxes": torch.tensor([LEFT] * n).view(n, 4),
                "labels": torch.ones(n).long(),
                "scores": image.mean()[None][:n],
            }
            for n, image in zip(found, images, strict=True)
        ]


@pytest.mark.parametrize(
    ("objective", "target", "errors"),
    [
        (None, None, {"a": "the detector finds no box"}),
        (Box(), 1, {"a": "the detector finds no box"}),
        (Box("given"), 1, {"b": "its box is empty"}),
        (Box(), 2, {"a": "the detector finds no box", "b": "the detector finds no box of class 2"}),
    ],
)
def test_a_run_goes_on_without_images_that_have_no_such_box(
    objective: Box | None, target: int | None, errors: dict[str, str]
):
    x = torch.stack([torch.full((1, 8, 8), shade) for shade in (0.1, 0.9)])
    objects = torch.tensor([[[0.0, 0, 4, 8, 1]], [[0.0, 0, 0, 0, -1]]])
    batch = Batch(("a", "b"), x, torch.tensor([-1, -1]), objects=objects)
    names = ("nothing", "spot") if target == 1 else ()
    question = Question(detector(Bright(), names), target=target, objective=objective)
    part = answered(Gradient(), question, batch)
    assert part.errors == errors
    if objective is None:
        assert torch.isfinite(part.columns["heat"][1]).all()


@pytest.fixture(scope="module")
def scenes() -> tuple[Model, Tensor, Tensor]:
    """The embedded detector, scenes in which it finds the octagon, and the octagons' true boxes."""
    model, data = load("unfool:scenes"), open_data("unfool:scenes")
    batch = data.batch(data.ids()[:24], model.view, model.classes)
    score = Gradient()(model, batch.x, 1, objective=Box("given"), given={"box": batch.victims[:, :4]}).score
    fine = score > 0.5
    assert fine.sum() >= 16
    return model, batch.x[fine][:16], batch.victims[fine][:16, :4]


def inside(heat: Tensor, boxes: Tensor) -> Tensor:
    """Which share of each map's positive part lies in the box."""
    positive, masks = heat.clamp_min(0), box_masks(boxes, tuple(heat.shape[2:]))
    return (positive * masks).flatten(1).sum(1) / positive.flatten(1).sum(1).clamp_min(1e-12)


@pytest.mark.parametrize(
    ("method", "least"),
    [
        (Gradient("length"), 0.55),
        (GradCAM("net.body.5"), 0.6),
        (HiResCAM("net.body.5"), 0.9),
        (Occlusion(), 0.5),
    ],
    ids=repr,
)
def test_maps_lie_on_the_object(scenes: tuple[Model, Tensor, Tensor], method: Attribution, least: float):
    model, x, boxes = scenes
    ours = inside(method(model, x, 1, objective=Box("given"), given={"box": boxes}).map, boxes)
    centre = inside(CentrePrior()(model, x, 1, objective=Box("given"), given={"box": boxes}).map, boxes)
    assert ours.mean() >= least
    assert (ours > centre).float().mean() >= 0.75


def test_panels_of_a_detector_have_no_classes(scenes: tuple[Model, Tensor, Tensor]):
    model, x, _ = scenes
    notes = OcclusionPanels()(model, x[:2]).notes
    assert "probability" not in notes
    assert notes["response"].shape == (2, 48, 48)


@pytest.mark.parametrize("net", ["wide", "coarse"])
def test_occlusion_of_a_detector_is_that_of_plain_images(net: str):
    """The box of the unchanged image is followed, window by window."""
    model, data = load(f"unfool:scenes?net={net}"), open_data("unfool:scenes")
    x = data.batch(data.ids()[:3], model.view, model.classes).x
    mean, asked, first = x.mean((2, 3), keepdim=True), Box(), model.trace(x)
    y = asked.usual(first)
    fixed = asked.fixed(first, y)
    expected = torch.zeros(3, 48, 48)
    for r, c in itertools.product(range(0, 48, 8), repeat=2):
        here = (slice(r, r + 8), slice(c, c + 8))
        hidden = x.clone()
        hidden[(..., *here)] = mean
        fall = asked.score({**first, **fixed}, y) - asked.score({**model.trace(hidden), **fixed}, y)
        expected[(..., *here)] = fall.detach()[:, None, None]
    found = Occlusion((8,), (8,), "mean")(model, x)
    assert torch.allclose(found.heat[:, 0], expected, atol=1e-5)
    assert torch.allclose(found.score, asked.score({**first, **fixed}, y))
    all_asked = Occlusion((8,), (8,), "mean", coarse=3, refined=1.0)(model, x)
    assert torch.allclose(all_asked.heat, found.heat, atol=1e-5)
