"""Objectives by hand: z = (1, 3, 2), so log p_1 = -log(1 + e⁻² + e⁻¹) and the margin of class 2 is 3 - 2."""

import math

import pytest
import torch

from oracles import images
from unfool.errors import InputError
from unfool.objectives import (
    Between,
    CrossEntropy,
    Logit,
    LogitRatio,
    LogOdds,
    LogProb,
    Margin,
    Objective,
    Onwards,
    Scaled,
    Sum,
    Targeted,
    Untargeted,
    label_of,
)
from unfool.targets import Channel, Neuron, TotalVariation

Z = torch.tensor([[1.0, 3.0, 2.0], [0.0, -1.0, 5.0]])
Y = torch.tensor([2, 0])
MAP = torch.stack([Z, Z + torch.tensor([0.0, 4.0, 0.0])], 2)[..., None]  # [2, 3, 2, 1]
LOG_SUM = [math.log(math.e + math.e**3 + math.e**2), math.log(1 + math.exp(-1) + math.exp(5))]

BY_HAND = [
    (Logit(), [2.0, 0.0]),
    (LogProb(), [2 - LOG_SUM[0], -LOG_SUM[1]]),
    (CrossEntropy(), [LOG_SUM[0] - 2, LOG_SUM[1]]),
    (Margin(), [1.0, 5.0]),
    (Untargeted(), [LOG_SUM[0] - 2, LOG_SUM[1]]),
    (Targeted(), [2 - LOG_SUM[0], -LOG_SUM[1]]),
    (Untargeted(Margin()), [1.0, 5.0]),
    (Onwards(Margin()), [1.0, 5.0]),
    (Targeted(Margin()), [-1.0, -5.0]),
    (2 * Logit() - Margin(), [3.0, -5.0]),
    (-(Logit() + Margin()) * 0.5, [-1.5, -2.5]),
    (Logit() - (Margin() - Logit()), [3.0, -5.0]),
]


@pytest.mark.parametrize(("objective", "expected"), BY_HAND, ids=lambda v: repr(v)[:40])
def test_values(objective: Objective, expected: list[float]):
    assert objective.reads == ("output",)
    assert objective.score({"output": Z}, Y).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("objective", [Logit(), LogProb(), CrossEntropy(), Margin()], ids=repr)
def test_over_a_map_they_are_means_over_positions(objective: Objective):
    each = [objective.score({"output": MAP[:, :, k, 0]}, Y) for k in range(2)]
    assert torch.allclose(objective.score({"output": MAP}, Y), torch.stack(each).mean(0))


def test_cross_entropy_and_log_probability_are_opposite():
    assert torch.equal(CrossEntropy().score({"output": Z}, Y), -LogProb().score({"output": Z}, Y))


def test_the_margin_turns_positive_where_the_label_changes():
    z = images(200, 4, seed=1)
    y = torch.arange(200) % 4
    assert torch.equal(Margin().score({"output": z}, y) > 0, label_of(z) != y)


def test_the_margin_ignores_what_is_added_to_all_logits_and_scales_with_them():
    trace, shifted, scaled = ({"output": t} for t in (Z, Z - 50, Z * 1e4))
    margin = Margin().score(trace, Y)
    assert torch.equal(Margin().score(shifted, Y), margin)
    assert torch.equal(Margin().score(scaled, Y), margin * 1e4)


def test_goals_know_when_they_are_reached():
    y = torch.tensor([1, 0])
    assert Untargeted().reached({"output": Z}, y).tolist() == [False, True]
    assert Targeted().reached({"output": Z}, y).tolist() == [True, False]
    assert not Logit().reached({"output": Z}, y).any()
    assert Untargeted(Margin()).by(Logit()) == Untargeted(Logit())
    assert Targeted().by(Margin()) == Targeted(Margin())


def test_the_label_of_a_map_is_that_of_its_mean():
    z = torch.tensor([[[5.0, -5.0], [1.0, 1.0]]])
    assert label_of(z).tolist() == [1]


def test_a_channel_is_the_mean_of_one_map_of_a_layer():
    layer = images(2, 4, 3, 5)
    assert Channel("conv").reads == ("conv",)
    found = Channel("conv").score({"conv": layer}, torch.tensor([1, 3]))
    assert torch.allclose(found, torch.stack([layer[0, 1].mean(), layer[1, 3].mean()]))


def test_a_neuron_is_one_position_by_default_the_middle():
    layer, y = images(2, 4, 3, 5), torch.tensor([1, 3])
    assert Neuron("conv").score({"conv": layer}, y).tolist() == [layer[0, 1, 1, 2], layer[1, 3, 1, 2]]
    assert Neuron("conv", (0, -1)).score({"conv": layer}, y).tolist() == [
        layer[0, 1, 0, 4],
        layer[1, 3, 0, 4],
    ]
    flat = Neuron("fc").score({"fc": layer[:, :, 0, 0]}, y)
    assert flat.tolist() == [layer[0, 1, 0, 0], layer[1, 3, 0, 0]]


@pytest.mark.parametrize("position", [(3, 0), (0, -6), (1,), (0, 0, 0)])
def test_a_position_outside_the_layer_is_refused(position: tuple[int, ...]):
    with pytest.raises(InputError, match=r"has positions up to \[3, 5\]"):
        Neuron("conv", position).score({"conv": images(2, 4, 3, 5)}, Y)


@pytest.mark.parametrize("objective", [Logit(), Channel("output"), LogProb()], ids=repr)
def test_a_class_that_does_not_exist_is_refused(objective: Objective):
    with pytest.raises(InputError, match="there are 3 classes or channels, 7 is not one of them"):
        objective.score({"output": Z}, torch.tensor([0, 7]))


def test_roughness_sums_the_mean_steps_of_each_dimension():
    x = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.5]]).view(1, 1, 2, 3)
    along, down = (1 + 0 + 0 + 0.5) / 4, (0 + 1 + 0.5) / 3
    assert TotalVariation().reads == ("input",)
    assert TotalVariation().score({"input": x}, torch.tensor([0])).item() == pytest.approx(along + down)
    assert TotalVariation().score({"input": torch.ones(2, 1, 3, 4, 5)}, Y).tolist() == [0, 0]


def test_sums_read_each_tensor_once():
    total = Channel("a") - 0.1 * TotalVariation() + Logit() + Channel("a")
    assert total.reads == ("a", "input", "output")


def test_factors_are_multiplied_out():
    assert 2 * (3 * Logit()) == Scaled(Logit(), 6.0)
    assert -1 * -Logit() == Scaled(Logit(), 1.0)
    assert Logit() - Margin() == Sum(Logit(), Scaled(Margin(), -1.0))


@pytest.mark.parametrize(
    "wrong", [lambda: Logit() + 1, lambda: Logit() * "a", lambda: 1 - Logit(), lambda: Logit() / 2]
)
def test_algebra_with_something_else_is_an_error(wrong):
    with pytest.raises(TypeError):
        wrong()


def test_the_ratio_does_not_change_when_logits_are_shifted_or_scaled():
    z = torch.tensor([[4.0, 1.0, 0.0, -2.0], [0.0, 3.0, 1.0, 2.5]])
    y = torch.tensor([0, 0])
    wanted = torch.tensor([-3 / 4, 3 / 2])  # (best other - own) / (best - third)
    for logits in (z, z - 50, 1e4 * z):
        assert torch.allclose(LogitRatio().score({"output": logits}, y), wanted)


def test_the_ratio_of_two_classes_is_the_margin():
    z = torch.tensor([[4.0, 1.0], [0.0, 3.0]])
    assert LogitRatio().score({"output": z}, torch.tensor([0, 0])).tolist() == [-3, 3]


def test_between_is_the_way_from_the_label_to_a_rival():
    z = torch.tensor([[4.0, 1.0, 0.0, -2.0]])
    pair = torch.tensor([[0, 2]])
    assert Between().score({"output": z}, pair).tolist() == [-4]
    assert torch.allclose(Between(ratio=True).score({"output": z}, pair), torch.tensor([-4 / 5]))
    goal = Untargeted(Between())
    assert goal.reached({"output": z}, pair).tolist() == [False]
    assert goal.reached({"output": -z}, pair).tolist() == [True]


def test_the_log_odds_point_where_cross_entropy_does_and_do_not_saturate():
    z = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    y = torch.arange(5)
    odds, surprise = (objective.score({"output": z}, y) for objective in (LogOdds(), CrossEntropy()))
    assert torch.allclose(surprise, odds.exp().log1p())
    ways = [torch.autograd.grad(score.sum(), z)[0] for score in (odds, surprise)]
    assert torch.allclose(*(way / way.norm(dim=1, keepdim=True) for way in ways))
    sure = torch.tensor([[1e4, 0.0, -5.0]], requires_grad=True)
    slope, flat = (
        torch.autograd.grad(objective.score({"output": sure}, torch.tensor([0])).sum(), sure)[0].norm()
        for objective in (LogOdds(), CrossEntropy())
    )
    assert flat == 0
    assert slope > 1
