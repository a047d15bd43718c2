"""Checkpoints p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06) from 0 and 0.22 (Croce & Hein, 2020): of 100 steps at 22,
41, 57, 70, 80, 87, 93, 99; and the nearest point of {||d||₁ <= eps} and [0, 1] is sign(d) min(max(|d| - c, 0), room).
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import SPACES, Gives, Plane, conv, images, same, segmenter
from unfool.attacks.auto import (
    APGD,
    Climb,
    TargetedAPGD,
    checked,
    checked_l1,
    checkpoints,
    nearest_l1,
    started,
)
from unfool.attacks.base import Attack
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.wrappers import Repeated, Smallest
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import CrossEntropy, LogitRatio, Margin
from unfool.regions import L1, L2, Ball, Linf, Region

NET = Plane(3, 6, 6)
X = images(8, 3, 6, 6, low=0.45, high=0.55)
Y = NET.label(X)
ATTACKS = [APGD(steps=12), APGD(12, Margin()), APGD(12, LogitRatio()), TargetedAPGD(12)]
attacks = pytest.mark.parametrize("attack", ATTACKS, ids=repr)


def test_it_looks_back_at_the_checkpoints_of_the_paper():
    assert list(checkpoints(100, sparse=False)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert sum(checkpoints(100, sparse=False).values()) == 99
    assert list(checkpoints(100, sparse=True)) == list(range(4, 100, 4))


def climb(rises: float, top: float, kept: bool) -> Climb:
    x, one = torch.full((1, 1, 2, 2), 0.5), torch.ones(1)
    at = started(x, Ball(x, 0.1 * one), sparse=False)
    return at._replace(
        best=x + 0.1, top=top * one, rises=rises * one, mark=one, kept=torch.tensor([kept]), slope=x * 0 + 7
    )


HALVED = [
    (7, 2.0, True, True),  # fewer than three in four of ten steps rose
    (8, 2.0, True, False),
    (8, 1.0, True, True),  # nothing better since the checkpoint, with the same step
    (8, 1.0, False, False),  # with a new step it has another chance
]


@pytest.mark.parametrize(("rises", "top", "kept", "halved"), HALVED)
def test_the_step_is_halved_and_the_best_point_taken_up_by_two_conditions(
    rises: float, top: float, kept: bool, halved: bool
):
    before = climb(rises, top, kept)
    at, slope = checked(before, torch.zeros(1, 1, 2, 2), 10)
    assert at.step.item() == pytest.approx(0.1 if halved else 0.2)
    assert same(at.x, before.best if halved else before.x)
    assert (slope == (7 if halved else 0)).all()
    assert at.rises.item() == 0
    assert at.kept.item() != halved


@pytest.mark.parametrize(("moved", "step", "spread"), [(1, 0.1, 1), (4, 0.1 / 1.5, 2)])
def test_in_l1_a_sparser_change_begins_anew_and_another_takes_smaller_steps(
    moved: int, step: float, spread: int
):
    x = torch.full((1, 1, 2, 2), 0.5)
    at = started(x, Ball(x, torch.tensor([0.1])), sparse=True)
    best = (x.flatten() + torch.tensor([0.1] * moved + [0.0] * (4 - moved))).view_as(x)
    at, _ = checked_l1(at._replace(best=best), torch.zeros_like(x), 4)
    assert at.step.item() == pytest.approx(step)
    assert at.spread.item() == spread


def test_the_nearest_point_of_the_l1_ball_and_the_box():
    c = images(6, 1, 4, 4, dtype=torch.float64)
    d = images(6, 1, 4, 4, seed=1, low=-1.0, dtype=torch.float64)
    eps = torch.tensor([0.01, 0.5, 1.0, 2.0, 3.0, 100.0], dtype=torch.float64)
    found = nearest_l1(d, Ball(c, eps))
    room = torch.where(d > 0, 1 - c, c)
    low, high = torch.zeros_like(c[:, :1, :1, :1]), torch.ones_like(c[:, :1, :1, :1])
    for _ in range(60):  # the oracle: bisection of the cut
        cut = (low + high) / 2
        far = ((d.abs() - cut).clamp_min(0).minimum(room).flatten(1).sum(1) > eps).view_as(cut)
        low, high = torch.where(far, cut, low), torch.where(far, high, cut)
    assert torch.allclose(found, d.sign() * (d.abs() - high).clamp_min(0).minimum(room), atol=1e-12)
    assert (found.abs().flatten(1).sum(1) <= eps + 1e-9).all()


@attacks
@pytest.mark.parametrize("within", [Linf(0.1), L2(0.5), L1(0.4)], ids=repr)
def test_it_finds_the_exact_radius_of_a_plane(attack: Attack, within: Region):
    found = Smallest(attack, halvings=12)(Model(NET), X, Y, within=within)
    name = type(within).__name__
    exact, size = NET.radius(X, name), getattr(found, name.lower())
    assert found.success.all()
    assert (size >= exact * (1 - 1e-5)).all()
    assert (size <= exact * 1.05).all()


def test_in_l1_it_spreads_over_several_values_where_one_is_not_enough():
    x = torch.full((1, 3, 6, 6), 0.5) + 0.25 * NET.w.detach().sign()
    found = Smallest(APGD(50), halvings=8)(Model(NET), x, 1, within=L1(40.0))
    w, room, side = NET.w.detach().abs().flatten().sort(descending=True).values, 0.75, NET.side(x).detach()
    values = int((w.cumsum(0) * room < side).sum()) + 1
    least = (values - 1) * room + (side - w[: values - 1].sum() * room) / w[values - 1]
    assert found.success.all()
    assert float(found.l1) <= 1.02 * float(least)


def flips(attack: Attack, digits: Any, within: Region, model: Model | None = None) -> Tensor:
    return attack(model or digits.model, digits.x, digits.y, within=within).success


@pytest.mark.parametrize(
    ("within", "loss"),
    [(Linf(0.08), Margin()), (L2(0.5), CrossEntropy()), (L1(3.0), CrossEntropy())],
    ids=repr,
)
def test_fgsm_is_no_stronger_than_pgd_and_pgd_no_stronger_than_apgd_of_as_many_passes(
    digits: Any, within: Region, loss: Any
):
    ladder = [FGSM(loss), PGD(21, loss), APGD(20, loss)]
    counts = [int(flips(attack, digits, within).sum()) for attack in ladder]
    assert counts == sorted(counts)
    assert 0 < counts[-1] < 100


def test_passes_are_counted_and_an_image_is_asked_about_at_most_two_times_more_than_steps(digits: Any):
    found = APGD(7)(digits.model, digits.x, digits.y, within=Linf(0.01))
    assert not found.success.all()
    assert (found.queries[~found.success] == 7 + 2).all()
    assert found.queries.max() == 7 + 2
    assert found.cost["backward"] <= 7 * 100


def test_images_that_have_flipped_leave(digits: Any):
    found = APGD(50)(digits.model, digits.x, digits.y, within=Linf(0.3))
    assert found.success.all()
    assert found.queries.float().mean() < 10


def test_cross_entropy_is_blind_to_saturated_logits_and_ratio_and_margin_are_not():
    """Logits of 10⁴ times the size: cross-entropy is exactly 0 there, and so is its slope."""
    far = images(8, 3, 6, 6)
    y, within = NET.label(far), Linf(1.5 * float(NET.radius(far, "Linf").max()))
    loud = Model(Plane(3, 6, 6, scale=1e4))
    assert not APGD(20, CrossEntropy(), random_start=False)(loud, far, y, within=within).success.any()
    for attack in (APGD(20, LogitRatio()), APGD(20, Margin()), TargetedAPGD(20)):
        assert attack(loud, far, y, within=within).success.all()


@pytest.mark.parametrize("attack", [APGD(10, Margin()), APGD(10, LogitRatio()), TargetedAPGD(5, 3)], ids=repr)
@pytest.mark.parametrize("dress", [lambda z: z * 2**13, lambda z: z - 50], ids=["times 8192", "minus 50"])
def test_size_and_level_of_the_logits_do_not_matter_to_a_trained_network(
    digits: Any, attack: Attack, dress: Any
):
    expected = flips(attack, digits, Linf(0.08))
    assert same(flips(attack, digits, Linf(0.08), Model(Gives(digits.net, dress))), expected)
    assert 0 < expected.sum() < 100


def test_restarts_only_add_flips(digits: Any):
    once, thrice = (flips(a, digits, Linf(0.07)) for a in (APGD(5), Repeated(APGD(5), 3)))
    assert thrice[once].all()
    assert thrice.sum() >= once.sum()


def test_more_rivals_find_no_less(digits: Any):
    one, all_nine = (flips(TargetedAPGD(10, rivals=n), digits, Linf(0.1)) for n in (1, 9))
    assert all_nine[one].all()
    assert 0 < one.sum() < len(one)


class Rivals(torch.nn.Module):
    """Class 1 has the larger logit, class 2 the shorter way."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.flatten(1)[:, 0], x.flatten(1)[:, 1]
        return torch.stack([torch.full_like(a, 2.0), 0.2 * a + 0.9, 8 * b - 4], 1)


@pytest.mark.parametrize(("order", "success"), [("logits", False), ("reach", True)])
def test_rivals_in_order_of_reach_begin_with_the_one_that_is_soonest_reached(order: Any, success: bool):
    x = torch.full((2, 1, 2, 2), 0.5)
    attack = TargetedAPGD(5, rivals=1, order=order)
    found = attack(Model(Rivals()), x, 0, within=Linf(0.3))
    assert (found.success == success).all()
    if success:
        assert (found.label == 2).all()


@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_any_number_of_classes_will_do(classes: int):
    net, x = conv(classes=classes), images(3, 3, 8, 8)
    for order in ("logits", "reach"):
        found = TargetedAPGD(2, order=order)(Model(net), x, net(x).argmax(1), within=Linf(0.02))
        assert found.x.isfinite().all()
        assert found.queries.max() <= 1 + min(9, classes - 1) * 4 + 1 + (order == "reach")


@attacks
@pytest.mark.parametrize("space", SPACES)
def test_any_channels_and_dimensions(attack: Attack, space: str):
    net, x = SPACES[space]()
    found = attack(Model(net), x, net(x).argmax(1), within=L1(2.0))
    assert found.x.shape == x.shape
    assert (found.l1 <= 2.0 + 1e-4).all()
    assert (found.l1 > 0).all()


def test_maps_of_scores_are_attacked_too():
    net, x = segmenter(), images(3, 3, 8, 8)
    y = net(x).flatten(2).mean(2).argmax(1)
    for attack in ATTACKS:
        assert attack(Model(net), x, y, within=Linf(0.5)).success.any()


def test_an_image_that_is_wrong_to_begin_with_is_left_alone():
    found = TargetedAPGD(3)(Model(NET), X, 1 - Y)
    assert same(found.x, X)
    assert found.success.all()
    assert "backward" not in found.cost


def test_rivals_of_its_own_and_a_target_do_not_go_together():
    with pytest.raises(InputError, match="takes no target"):
        TargetedAPGD(3)(Model(NET), X, target=1 - Y)
    assert APGD(5)(Model(NET), X, target=1 - Y, within=Linf(0.1)).success.all()


@attacks
@pytest.mark.parametrize("within", [Linf(0.02), L2(0.1), L1(0.1)], ids=repr)
def test_a_row_does_not_depend_on_its_neighbours(attack: Attack, within: Region):
    net = conv().double()
    x = images(5, 3, 8, 8, dtype=torch.float64)
    y = net(x).argmax(1)
    together = attack(Model(net), x, y, within=within, ids="abcde").x
    alone = [
        attack(Model(net), x[k : k + 1], y[k : k + 1], within=within, ids="abcde"[k]).x for k in range(5)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-9)
