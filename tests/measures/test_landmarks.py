"""Landmarks (R21): found at the centroid of what is above half the maximum; a local model's map lies about them.

Calibration: at least 90 % of the map within three standard deviations (7.5 px) of the landmark; the map moves with it.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oracles import same
from unfool.analysis.landmarks import representative
from unfool.attributions.gradient import Gradient
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.landmarks import Landmark
from unfool.measures.landmarks import LandmarkMass, located
from unfool.method import Question
from unfool.model import Model
from unfool.phantoms import heart
from unfool.rows import Batch
from unfool.runs.table import Table
from unfool.views import from_uint8
from unfool.zoo.address import load


def logits_of(probability: Tensor) -> Tensor:
    """Scores [1, 2, H, W] whose softmax is the probability of the one landmark."""
    return torch.stack([(1 - probability).log(), probability.log()])[None]


def bump(height: float, row: float, column: float) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(20), torch.arange(24), indexing="ij")
    return height * (-((rows - row) ** 2 + (columns - column) ** 2) / 8.0).exp()


def test_a_landmark_is_the_centroid_of_its_bump():
    found = located(logits_of(bump(0.9, 8, 11) + 1e-4))
    assert (found.at[0, 0] - torch.tensor([8.0, 11.0])).abs().max() < 1e-5
    assert float(found.probability) == pytest.approx(0.9001, abs=1e-3)


def test_half_of_the_maximum_is_half_and_not_the_maximum_squared():
    """With max²/2 = 0.18 the shoulder at 0.25 would pull the centroid; above max/2 = 0.3 it does not."""
    heat = torch.full((20, 24), 1e-4)
    heat[8, 10:13] = torch.tensor([0.5, 0.6, 0.5])
    heat[8, 13:18] = 0.25
    assert located(logits_of(heat)).at[0, 0].tolist() == [8, 11]


def test_of_two_bumps_the_threshold_rises_until_one_is_left():
    found = located(logits_of(bump(0.9, 5, 5) + bump(0.6, 15, 18) + 1e-4))
    assert (found.at[0, 0] - torch.tensor([5.0, 5.0])).abs().max() < 0.1


def test_two_equal_bumps_and_a_flat_map_still_give_a_place():
    both = located(logits_of(bump(0.9, 5, 5) + bump(0.9, 15, 18) + 1e-4))
    flat = located(torch.zeros(1, 2, 20, 24))
    assert torch.isfinite(both.at).all()
    assert torch.isfinite(flat.at).all()
    assert float(located(logits_of(torch.full((20, 24), 0.05))).probability) == pytest.approx(0.05, abs=1e-6)


class Local(nn.Module):
    """Landmark 1 is where the first channel is bright, 2 where the second is, by one pixel alone."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x[:, :1]), 20 * x - 10], 1)


def test_all_of_a_pointwise_networks_map_lies_at_the_landmark():
    x = torch.zeros(2, 2, 20, 24)
    x[0, 0, 4, 5] = x[0, 1, 10, 20] = x[1, 0, 15, 3] = x[1, 1, 2, 2] = 1
    masks = torch.zeros(2, 1, 20, 24, dtype=torch.uint8)
    masks[0, 0, 4, 5] = masks[1, 0, 15, 3] = 1
    masks[0, 0, 13, 24 - 4 - 4] = masks[1, 0, 2, 2] = 2
    found = LandmarkMass(Gradient(), reach=3.0).columns(
        Question(Model(Local())), Batch(("a", "b"), x, torch.tensor([-1, -1]), masks)
    )
    assert found["place"].tolist() == [[[4, 5], [10, 20]], [[15, 3], [2, 2]]]
    assert found["mass"].eq(1).all()
    assert found["elsewhere"].eq(0).all()
    assert same(found["error"], torch.tensor([[0.0, 5.0], [0.0, 0.0]]))
    assert found["found"].all()


def test_nine_tenths_of_the_map_lie_within_three_sigma():
    source = open_data("unfool:landmarks")
    found = LandmarkMass(Gradient()).columns(
        Question(load("unfool:landmarks")), source.batch(source.ids()[:40])
    )
    assert found["mass"].mean(0).min() > 0.9
    assert found["mass"].min() > 0.85
    assert found["elsewhere"].max() < 0.05
    assert found["none"].mean() < 0.15
    assert found["error"].max() < 2


@pytest.mark.parametrize("shift", [(-6.0, 4.0), (3.0, -7.0)])
def test_the_map_moves_with_the_landmark(shift: tuple[float, float]):
    """Only the apex is moved: its map's centre moves as far, those of the rings stay."""
    model = load("unfool:landmarks")
    pair = [heart(np.random.default_rng(3), by)[0] for by in ((0.0, 0.0), shift)]
    x = from_uint8(torch.from_numpy(np.stack(pair))[:, None])
    for landmark, wanted in ((1, (0.0, 0.0)), (2, (0.0, 0.0)), (3, shift)):
        heat = Gradient()(model, x, landmark, objective=Landmark()).map[:, 0].abs()
        moved = centre_of(heat[1]) - centre_of(heat[0])
        assert (moved - torch.tensor(wanted)).norm() < 1.5


def centre_of(heat: Tensor) -> Tensor:
    rows, columns = (torch.arange(n, dtype=heat.dtype) for n in heat.shape)
    return torch.stack([(heat.sum(1) * rows).sum(), (heat.sum(0) * columns).sum()]) / heat.sum()


def test_images_that_stand_for_the_rest():
    error = torch.tensor([[0.3], [0.1], [0.9], [0.5], [0.2]])
    flags = torch.tensor([[True], [True], [True], [False], [True]])
    columns: Any = {"error": error, "probability": 1 - error, "found": flags}
    table = Table(tuple("abcde"), columns, {}, {})
    chosen = representative(table, 5, 0)
    assert {i: chosen[i] for i in "bacd"} == {"b": "best", "a": "median", "c": "worst", "d": "not found"}
    assert chosen["e"] == "random"
    assert list(representative(table, 2, 0)) == ["b", "a"]
    blind = Table(tuple("abcde"), {**columns, "error": error * torch.nan}, {}, {})
    assert representative(blind, 1, 0) == {"b": "best"}


def test_a_classifier_finds_no_landmarks():
    with pytest.raises(InputError, match="landmarks are read off heat maps"):
        located(torch.zeros(2, 3))
