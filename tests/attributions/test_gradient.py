"""The gradient of w·x + b is w; along a straight way the gradients add up to the difference of the two scores."""

from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import KINDS, SPACES, Plane, Quadratic, conv, images, one_square, same, smooth
from unfool.attributions.base import Attribution
from unfool.attributions.gradient import Gradient, GradientSHAP, GradientTimesInput, IntegratedGradients
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import CrossEntropy, Logit, LogProb, Objective
from unfool.targets import Channel

NET = Plane(3, 6, 6)
W = NET.w.detach()
X = images(3, 3, 6, 6)
ALL = [Gradient(), GradientTimesInput(), IntegratedGradients(steps=4), GradientSHAP(4)]
each = pytest.mark.parametrize("method", ALL, ids=repr)


def test_the_gradient_of_a_linear_score_is_its_weights():
    found = Gradient()(Model(NET), X, [1, 0, 1])
    assert torch.allclose(found.heat, torch.stack([W, -W, W]))
    assert same(found.map, found.heat.abs().amax(1, keepdim=True))
    assert torch.allclose(found.score, NET(X)[torch.arange(3), torch.tensor([1, 0, 1])])


def test_normalisation_inside_the_model_scales_the_gradient():
    found = Gradient()(Model(NET, std=(0.5, 0.25, 2.0), mean=0.5), X, 1)
    assert torch.allclose(found.heat[0], W / torch.tensor([0.5, 0.25, 2.0]).view(3, 1, 1))


def test_the_gradient_times_the_image_is_each_positions_share_of_a_linear_score():
    found = GradientTimesInput()(Model(NET), X, 1)
    assert torch.allclose(found.heat, (W * X).sum(1, keepdim=True), atol=1e-6)
    assert torch.allclose(found.heat.flatten(1).sum(1), NET.side(X) + 0.5 * W.sum(), atol=1e-5)


@pytest.mark.parametrize("baseline", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 3, 32])
def test_integrated_gradients_add_up_to_the_difference_of_a_quadratic_exactly(steps: int, baseline: float):
    net = Quadratic(3, 6, 6).double()
    x, y = X.double(), torch.tensor([0, 1, 2])
    found = IntegratedGradients(steps, baseline, 1)(Model(net), x, y)
    plain = net(torch.full_like(x, baseline))[torch.arange(3), y]
    assert torch.allclose(found.heat.flatten(1).sum(1), net(x)[torch.arange(3), y] - plain)


def test_integrated_gradients_come_to_the_difference_with_more_steps():
    net, x = smooth(), images(2, 2, 6, 6, dtype=torch.float64)
    gap = (net(x) - net(torch.zeros_like(x)))[:, 1]
    off = [
        (IntegratedGradients(n, tolerance=1)(Model(net), x, 1).heat.flatten(1).sum(1) - gap).abs().max()
        for n in (2, 8, 64)
    ]
    assert off[0] > 10 * off[1] > 100 * off[2]


def test_integrated_gradients_go_on_until_the_sum_comes_to_the_difference():
    """Of two images one needs more steps; what it found before is not asked again."""
    net, x = smooth(), images(2, 2, 6, 6, dtype=torch.float64)
    x[1] = x[1] * 0.01
    model = Model(net)
    gap = (net(x) - net(torch.zeros_like(x)))[:, 1]
    found = IntegratedGradients(1, tolerance=1e-3, rounds=4)(model, x, 1)
    off = (found.heat.flatten(1).sum(1) - gap).abs() / gap.abs()
    assert (off <= 1e-3).all()
    whole = IntegratedGradients(1, tolerance=1e-12, rounds=2)(model, x, 1)
    assert torch.allclose(whole.heat, IntegratedGradients(9, tolerance=1)(model, x, 1).heat)
    assert whole.cost["backward"] == 2 * 9
    assert found.cost["backward"] < 2 * 27


def test_expected_gradients_of_a_linear_score_come_to_its_difference_from_the_mean_plain_image():
    found = GradientSHAP(2000)(Model(NET), X, 1).heat
    assert torch.allclose(found[:, 0], (W * (X - 0.5)).sum(1), atol=0.02 * float(W.abs().sum(0).max()))
    noise = GradientSHAP(400, "noise")(Model(NET), X, 1).heat
    assert torch.allclose(noise[:, 0], (W * (X - 0.5)).sum(1), atol=0.15 * float(W.abs().sum(0).max()))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ("all", W),
        ("strongest", W.abs().amax(0, keepdim=True)),
        ("length", W.norm(dim=0, keepdim=True)),
        ("sum", W.sum(0, keepdim=True)),
    ],
)
def test_channels_are_put_together_as_asked(channels: Any, expected: Tensor):
    found = Gradient(channels)(Model(NET), X, 1).heat
    assert torch.allclose(found, expected.expand(3, *expected.shape))


def test_several_targets_share_the_forward_pass():
    net, x = conv(), images(3, 3, 8, 8)
    for method in (Gradient(), GradientTimesInput()):
        found = method.each(Model(net), x, [0, 3, [1, 2, 4]])
        for one, target in zip(found, (0, 3, [1, 2, 4]), strict=True):
            alone = method(Model(net), x, target)
            assert same(one.heat, alone.heat)
            assert same(one.score, alone.score)
            assert one.target.tolist() == alone.target.tolist()
    assert Gradient().each(Model(net), x, [0, 3])[0].cost == {"forward": 3, "backward": 2 * 3}
    with pytest.raises(InputError, match="there are no targets"):
        Gradient().each(Model(net), x, [])


def test_integrated_gradients_are_nothing_where_the_image_is_the_baseline():
    x = X.clone()
    x[..., :3] = 0.25
    assert IntegratedGradients(4, 0.25)(Model(conv()), x, 0).heat[..., :3].abs().max() == 0


def test_gradients_of_logit_and_of_log_probability_differ_by_how_unsure_the_network_is():
    """With two classes, ∇ log p = (1 - p) ∇(z - z')."""
    net = conv(classes=2)
    difference = Gradient()(Model(net), X, 1).heat - Gradient()(Model(net), X, 0).heat
    unsure = 1 - net(X).softmax(1)[:, 1].view(-1, 1, 1, 1)
    log = Gradient()(Model(net), X, 1, objective=LogProb()).heat
    assert torch.allclose(log, unsure * difference, atol=1e-7)
    assert torch.allclose(Gradient()(Model(net), X, 1, objective=CrossEntropy()).heat, -log, atol=1e-7)


# What every attribution by gradients promises.


@each
def test_only_the_square_that_is_looked_at_lights_up(method: Attribution):
    x = images(3, 3, 8, 8, low=0.2)
    heat = method(Model(one_square()), x, 1).map[:, 0]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[1:4, 4:7] = True
    assert (heat[:, ~inside] == 0).all()
    assert (heat[:, inside] != 0).any()


@each
def test_three_images_may_have_one_target_or_three(method: Attribution):
    net = conv()
    alone = [method(Model(net), X[k : k + 1], t, ids=[k]).map for k, t in enumerate((0, 2, 4))]
    assert torch.allclose(method(Model(net), X, [0, 2, 4]).map, torch.cat(alone), atol=1e-6)
    same = method(Model(net), X, 2)
    assert same.target.tolist() == [2, 2, 2]
    assert torch.allclose(same.map[1], alone[1][0], atol=1e-6)
    assert (same.map.flatten(1).abs().amax(1) > 0).all()


@each
def test_by_default_the_predicted_class_is_explained(method: Attribution):
    net = conv()
    found = method(Model(net), X)
    assert same(found.target, net(X).argmax(1))
    assert torch.allclose(found.score, net(X).amax(1))
    assert same(found.heat, method(Model(net), X, found.target).heat)


@each
def test_the_predicted_class_of_a_map_of_logits_is_that_of_its_mean(method: Attribution):
    model = Model(KINDS["segmenter"]())
    assert same(method(model, X).target, model(X).mean((2, 3)).argmax(1))


@each
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network(method: Attribution, kind: str):
    x = images(3, 3, 8, 8)
    found = method(Model(KINDS[kind]()), x, 1)
    assert found.map.shape == (3, 1, 8, 8)
    assert found.map.dtype == torch.float32
    assert found.map.isfinite().all()
    assert found.map.abs().amax() > 0


@each
@pytest.mark.parametrize("space", SPACES)
def test_any_number_of_channels_and_dimensions(method: Attribution, space: str):
    net, x = SPACES[space]()
    found = method(Model(net), x)
    assert found.map.shape == (3, 1, *x.shape[2:])
    assert found.heat.shape[2:] == x.shape[2:]


@each
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_give_finite_maps(method: Attribution, level: float):
    assert method(Model(conv()), torch.full((2, 3, 8, 8), level)).map.isfinite().all()


@each
@pytest.mark.parametrize("objective", [Logit(), Channel("2"), Channel("6") - 0.5 * Logit()], ids=repr)
def test_any_objective_can_be_explained(method: Attribution, objective: Objective):
    found = method(Model(conv()), X, 3, objective=objective)
    assert found.heat.abs().amax() > 0
    trace = Model(conv()).trace(X, objective.reads)
    assert torch.allclose(found.score, objective.score(trace, torch.full((3,), 3)))


def test_a_channel_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="there are 8 classes or channels, 9 is not one of them"):
        Gradient()(Model(conv()), X, 9, objective=Channel("2"))


def test_gradients_kept_on_weights_are_left_alone():
    net = conv()
    net(X).sum().backward()
    kept: list[Tensor] = [p.grad.clone() for p in net.parameters()]  # type: ignore[union-attr]
    Gradient()(Model(net), X)
    assert all(same(p.grad, g) for p, g in zip(net.parameters(), kept, strict=True))  # type: ignore[arg-type]
