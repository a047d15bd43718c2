"""Along a line of equal L2 length the gradient's sign flips a plane at |s| / ||w||₁; random signs need far more."""

import pytest
import torch
from tests.oracles import Plane, images
from torch import nn

from unfool.attributions.gradient import Gradient, GradientTimesInput
from unfool.measures.directions import ChurchWindow, FlipAlong, LogitsAlong, unit_direction
from unfool.measures.gradients import GradientHealth
from unfool.measures.predict import Predict
from unfool.measures.sanity import Randomised, redrawn
from unfool.method import Question
from unfool.model import Model
from unfool.objectives import CrossEntropy
from unfool.rows import Batch


@pytest.fixture
def plane():
    return Plane(3, 6, 6)


@pytest.fixture
def batch(plane):
    x = images(8, 3, 6, 6, low=0.4, high=0.6)
    return Batch(tuple(map(str, range(8))), x, plane.label(x))


def test_predict_reads_label_confidence_and_gap(plane, batch):
    model = Model(plane)
    found = Predict().columns(Question(model), batch)
    logits = model(batch.x)
    assert found["correct"].all()
    torch.testing.assert_close(found["gap"], (logits[:, 0] - logits[:, 1]).abs())
    torch.testing.assert_close(found["confidence"], logits.softmax(1).amax(1))


def test_an_unknown_label_is_never_correct(plane, batch):
    unknown = Batch(batch.ids, batch.x, torch.full_like(batch.y, -1))
    assert not Predict().columns(Question(Model(plane)), unknown)["correct"].any()


def test_gradient_health_is_zero_where_softmax_is_saturated(batch):
    sure = Plane(3, 6, 6, scale=1e5)
    found = GradientHealth().columns(Question(Model(sure)), batch)
    assert (found["cross_entropy_gradient"] == 0).all()
    assert (found["margin_gradient"] > 0).all()


def test_the_first_flip_along_the_gradient_is_the_planes_own_radius(plane, batch):
    found = FlipAlong("gradient", 0.2, steps=200).columns(Question(Model(plane)), batch)["radius"]
    exact = plane.radius(batch.x, "Linf")
    step = 500 ** (1 / 199)
    assert (found >= exact * 0.999).all()
    assert (found <= torch.maximum(exact, torch.tensor(0.2 / 500)) * step * 1.001).all()


def test_random_directions_need_far_more_and_may_never_flip(plane, batch):
    ask = Question(Model(plane))
    gradient = FlipAlong("gradient", 0.4).columns(ask, batch)["radius"]
    for kind in ("sign", "gaussian"):
        assert (FlipAlong(kind, 0.4).columns(ask, batch)["radius"] > 2 * gradient).all()


def test_every_direction_has_the_same_l2_length(plane, batch):
    query = Question(Model(plane)).query(batch, CrossEntropy(), "test")
    lengths = [
        unit_direction(query, batch.x, kind).flatten(1).norm(dim=1)
        for kind in ("gradient", "sign", "gaussian")
    ]
    for length in lengths:
        torch.testing.assert_close(length, torch.full((8,), (3 * 6 * 6) ** 0.5))


def test_logits_of_a_plane_are_straight_lines(plane, batch):
    found = LogitsAlong(0.1, points=5).columns(Question(Model(plane)), batch)
    steps = found["free"].diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["clipped"][:, 2], Model(plane)(batch.x))


def test_the_church_window_holds_the_clean_prediction_and_the_one_dimensional_plot(plane, batch):
    model = Model(plane)
    found = ChurchWindow(1.0, points=5).columns(Question(model), batch)["plane"]
    assert (found[:, 2, 2] == batch.y).all()
    grad = Question(model).query(batch, CrossEntropy(), "t").gradient(batch.x).slope
    u = grad / grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    row = torch.stack([model((batch.x + a * u).clamp(0, 1)).argmax(1) for a in (-1, -0.5, 0, 0.5, 1)], 1)
    assert (found[:, 2] == row).all()


def test_another_draw_is_another_random_axis(plane, batch):
    model = Model(plane)
    one, two = (
        ChurchWindow(2.0, 9, draw=k)._axes(Question(model, seed=k).query(batch, CrossEntropy(), "t"), batch.x)
        for k in (1, 2)
    )
    torch.testing.assert_close(one[0], two[0])
    assert not torch.allclose(one[1], two[1])
    assert ((one[0] * one[1]).flatten(1).sum(1).abs() < 1e-5).all()


def trained_like() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).eval()


def test_redrawing_leaves_the_network_and_the_random_numbers_alone():
    net = trained_like()
    before, state = [p.clone() for p in net.parameters()], torch.get_rng_state()
    empty = redrawn(Model(net), 0)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(empty.net[0].weight, net[0].weight)
    assert torch.equal(empty.net[0].weight, redrawn(Model(net), 0).net[0].weight)


def test_a_gradient_depends_on_the_weights_and_gradient_times_input_much_less():
    x = torch.zeros(6, 1, 8, 8)
    x[:, :, 2:5, 3:6] = images(6, 1, 3, 3, low=0.5)  # mostly black, as digits are
    batch = Batch(tuple("abcdef"), x, torch.zeros(6, dtype=torch.long))
    found = {
        m: Randomised(m).columns(Question(Model(trained_like())), batch)
        for m in (Gradient(), GradientTimesInput())
    }
    plain, times = (float(found[m]["rank_correlation"].mean()) for m in found)
    assert abs(plain) < 0.5
    assert times > 0.7
    assert times > plain


def test_logits_along_a_line_are_one_a_class_where_a_network_gives_maps():
    model = Model(nn.Conv2d(1, 3, 3, padding=1).eval())
    found = LogitsAlong(points=5).columns(
        Question(model), Batch(("a", "b"), images(2, 1, 6, 6), torch.tensor([0, 1]))
    )
    assert found["free"].shape == (2, 5, 3)
