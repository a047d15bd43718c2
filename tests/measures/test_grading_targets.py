"""Grades of what is no class: pairs, regions, landmarks and boxes. The score is the objective's, the place its own.

For a linear score the deletion curve is a cumulative sum, as it is for a class.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.oracles import Plane, images
from torch import Tensor, nn

from unfool.attributions.gradient import Gradient, GradientTimesInput
from unfool.cli.main import run
from unfool.data.address import open_data
from unfool.detections import detector
from unfool.errors import InputError
from unfool.landmarks import Landmark
from unfool.measures.deletion import Deletion
from unfool.measures.faithful import ConfidenceDrop, ConfidenceIncrease, Infidelity
from unfool.measures.grading import Grades
from unfool.measures.places import Overlap, Pointing
from unfool.measures.sanity import likeness, redrawn, settled
from unfool.measures.steady import Stability
from unfool.method import Question
from unfool.model import Model
from unfool.objectives import Between
from unfool.rows import Batch
from unfool.scenes import scene_samples
from unfool.segments import spread
from unfool.targets import Box, Segment
from unfool.zoo.address import load


def test_a_pairs_deletion_curve_is_a_cumulative_sum_of_what_speaks_for_the_second():
    plane, x = Plane(1, 4, 5).double(), images(3, 1, 4, 5, dtype=torch.float64)
    terms = 2 * plane.w * x
    fallen = torch.cat([torch.zeros(3, 1), terms.flatten(1).sort(dim=1, descending=True).values.cumsum(1)], 1)
    expected = torch.trapezoid(2 * plane.side(x)[:, None] - fallen, dim=1) / 20
    model, pair = Model(plane), [0, 1]
    for heat in (terms, GradientTimesInput()):
        found = Deletion(20, "zero")(model, x, heat, pair, objective=Between())
        assert torch.allclose(found.value, expected, atol=1e-12)
    assert Infidelity(draws=8)(model, x, Gradient(), pair, objective=Between()).value.amax() < 1e-10


def test_of_scores_that_are_no_probabilities_there_is_no_confidence_to_lose():
    plane, x = Plane(1, 4, 5), images(3, 1, 4, 5)
    for one in (ConfidenceDrop(), ConfidenceIncrease()):
        with pytest.raises(InputError, match="is about probabilities, the score of Between") as caught:
            one(Model(plane), x, Gradient(), [0, 1], objective=Between())
        assert "Deletion" in caught.value.hint
    question = Question(Model(plane), target=torch.tensor([0, 1]), objective=Between())
    batch = Batch(("a", "b", "c"), x, torch.full((3,), -1))
    found = Grades(Gradient(), (ConfidenceDrop(), Deletion(4))).columns(question, batch)
    assert found["ConfidenceDrop()"].isnan().all()
    assert found["Deletion(steps=4)"].isfinite().all()


class Spots(nn.Module):
    """Class 1 where the mean over the frames is above 0.5: [B, 1, T, H, W] -> [B, 2, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(2)
        return torch.cat([torch.zeros_like(mean), mean - 0.5], 1)


def series() -> Tensor:
    x = torch.full((2, 1, 3, 6, 7), 0.2)
    x[0, :, :, 1, 1], x[1, :, :, 2:4, 5] = 0.9, 0.8
    return x


def test_the_region_that_is_explained_is_the_place_and_holds_in_every_frame():
    """All of a pointwise network's map is in the region: each position of it, in each frame, and no other."""
    x, wrong = series(), torch.zeros(2, 1, 6, 7, dtype=torch.uint8)
    wrong[:, :, 5, 0] = 1
    question = Question(Model(Spots().eval()), target=1, objective=Segment())
    batch = Batch(("a", "b"), x, torch.full((2,), -1), wrong)
    found = Grades(Gradient(), (Pointing(), Overlap())).columns(question, batch)
    assert found["Pointing()"].tolist() == [1, 1]
    assert found["Overlap()"].tolist() == [1, 1]
    given = Grades(Gradient(), (Pointing(),)).columns(question._replace(objective=Segment("mask")), batch)
    assert given["Pointing()"].tolist() == [1, 1]  # the map is of that position, and so is the mask
    whole = Grades(Gradient(), (Pointing(),)).columns(
        question._replace(objective=Segment("everywhere")), batch
    )
    assert whole["Pointing()"].sum() <= 2  # everywhere has no place: the data's masks say where class 1 is


def test_a_region_is_spread_over_the_image():
    region = torch.zeros(1, 2, 3, dtype=torch.bool)
    region[0, 1, 2] = True
    larger = spread(region, (4, 6))
    assert larger[0, 0].nonzero().tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]
    frames = spread(region, (5, 2, 3))
    assert frames.shape == (1, 1, 5, 2, 3)
    assert frames[0, 0].sum() == 5
    assert frames[0, 0, :, 1, 2].all()
    with pytest.raises(InputError, match="does not fit images"):
        spread(region, (4,))


def test_maps_of_changed_images_are_of_the_same_region():
    """Noise takes the region away altogether: the map is still of where it was, and as stable as can be."""
    x = torch.full((2, 1, 3, 6, 7), 0.2)
    x[..., 1, 1] = 0.501
    model = Model(Spots().eval())
    found = Stability(draws=8, eps=0.01)(model, x, Gradient(), 1, objective=Segment())
    assert (found.value.nan_to_num(1) == 1).all()
    assert found.value.isfinite().any()


def scenes(n: int) -> tuple[Model, Batch]:
    model, data = load("unfool:scenes"), open_data("unfool:scenes")
    return model, data.batch(data.ids()[:n], model.view, model.classes)


def test_a_detectors_box_is_the_place_and_its_score_is_a_probability():
    model, batch = scenes(8)
    measures = (Pointing(), Overlap(), ConfidenceDrop(), Deletion(4), Stability(draws=1))
    found = Grades(Gradient(), measures).columns(Question(model), batch)
    values = torch.stack([found[repr(one)] for one in measures])
    assert values.isfinite().all()
    assert values.amin() >= 0
    assert values.amax() <= 1
    assert found["Pointing()"].mean() > 0.5
    boxed = Pointing()(model, batch.x, Gradient())
    assert boxed.value.tolist() == found["Pointing()"].tolist()
    assert torch.equal(found["label"], Gradient()(model, batch.x).target)


class Told(nn.Module):
    """One box in bright images and none in dark ones; drawn anew, none at all."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)

    def forward(self, pictures: list[Tensor]) -> list[dict[str, Tensor]]:
        n = int(self.weight > 0)
        return [
            {
                "boxes": torch.tensor([[0.0, 0, 4, 8]] * n).view(n, 4),
                "labels": torch.ones(n).long(),
                "scores": (self.weight * picture.mean())[None][:n],
            }
            for picture in pictures
        ]


def test_where_a_random_detector_finds_no_box_there_is_nothing_to_compare():
    """Its blank map would look like one that depends on what was learned, whatever the method."""
    batch = Batch(("a", "b"), images(2, 1, 8, 8), torch.full((2,), -1))
    model = detector(Told().eval())
    found = likeness(Gradient(), settled(Question(model), batch), batch, [redrawn(model, 0)])
    assert found["blank"].all()


def test_a_random_network_is_asked_about_the_region_that_the_trained_one_found():
    """And compared where the score can depend on the image: outside, all maps are zero and alike."""

    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x)

    torch.manual_seed(0)
    model, x = Model(Window().eval()), images(6, 1, 16, 16)
    batch = Batch(tuple("abcdef"), x, torch.full((6,), -1))
    fixed = settled(Question(model, target=1, objective=Landmark()), batch)
    others = [redrawn(model, k) for k in range(12)]
    for other in others:
        heats = [Gradient().columns(fixed._replace(model=m), batch)["heat"] != 0 for m in (model, other)]
        assert torch.equal(*heats)
    found = likeness(Gradient(), fixed, batch, others)
    assert (
        found["rank_correlation"].abs().max() < 0.4
    )  # over the nine weights; with the zeros it would be 0.9


@pytest.mark.parametrize(
    ("method", "arguments", "scored", "silent"),
    [
        (
            "Gradient",
            ["unfool:digits8", "--model", "unfool:digits8", "--target", "3,8", "--objective", "Between()"],
            "Between()",
            ["ConfidenceDrop", "Pointing"],
        ),
        ("Gradient", ["unfool:landmarks", "--model", "unfool:landmarks"], "Segment()", ["ConfidenceDrop"]),
        (
            "Gradient",
            ["unfool:landmarks", "--model", "unfool:landmarks", "--objective", "Landmark()", "--target", "3"],
            "Landmark()",
            ["ConfidenceDrop"],
        ),
        ("Gradient", ["unfool:scenes", "--model", "unfool:scenes"], "Box()", []),
    ],
)
def test_grades_by_command(
    method: str, arguments: list[str], scored: str, silent: list[str], tmp_path: Path, capsys: Any
):
    measures = ["--measures", "Deletion(steps=2)", "ConfidenceDrop", "Pointing"]
    out = ["--out", str(tmp_path / "g"), "--limit", "4", "--pictures", "1", "--quiet"]
    assert run(["explain", method, *arguments, "--grade", *measures, *out]) == 0, capsys.readouterr().err
    told, said = json.loads((tmp_path / "g" / "grade.json").read_text()), capsys.readouterr().out
    assert told["scored"] == scored
    assert told["silent"] == silent
    assert f"scores are those of {scored}" in said
    for name in silent:
        assert f"{name} left out: " in said
    assert len(told["measures"]) == 3 - len(silent)


def test_grades_go_on_without_images_that_have_no_such_box(tmp_path: Path, capsys: Any):
    x = scene_samples("test").x[:4].clone()
    x[1] = 128
    np.savez(tmp_path / "own.npz", x=x.numpy())
    base = ["explain", "Gradient", str(tmp_path / "own.npz"), "--model", "unfool:scenes"]
    out = ["--out", str(tmp_path / "g"), "--quiet", "--grade", "--measures", "Pointing"]
    assert run([*base, *out]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "not read: 1: the detector finds no box" in said
    assert json.loads((tmp_path / "g" / "grade.json").read_text())["measures"][0]["grades"][0]["n"] == 3


def test_objectives_say_themselves_whether_they_are_probabilities():
    assert [one.probable for one in (Box(), Segment(), Between())] == [True, False, False]
