"""On a plane s(x) = w·(x - 1/2) the nearest image beyond is |s| / ||w||_q away; where the box bars the way, further."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import Gives, Plane, conv, images, same, segmenter
from unfool.attacks.base import Attack
from unfool.attacks.boundary import FAB, DeepFool
from unfool.attacks.nearest import DDN, FMN, SigmaZero
from unfool.attacks.planes import crossing
from unfool.model import Model
from unfool.regions import L0, L2, Linf, Norm

NET = Plane(3, 6, 6)
INSIDE = images(4, 3, 6, 6, low=0.45, high=0.55)
HEAVY: list[Attack] = [FAB(steps=10, apart=True, restarts=1)]
ATTACKS: list[Attack] = [
    *HEAVY,
    DeepFool(),
    FAB(steps=20),
    DDN(),
    FMN(),
    SigmaZero(steps=60),
]
EACH = [(attack, norm) for attack in ATTACKS for norm in attack.norms]
each = pytest.mark.parametrize(
    ("attack", "norm"),
    [
        pytest.param(a, n, id=f"{a!r} {n.__name__}", marks=[pytest.mark.slow] if a in HEAVY else [])
        for a, n in EACH
    ],
)


def sizes(attack: Attack, net: Any, x: Tensor, norm: type[Norm], **how: Any) -> Tensor:
    """How far the flipped images are; every one must be."""
    y = net(x).argmax(1)
    found = attack(Model(net), x, **(how or {"y": y}), within=norm.whole(x))
    assert found.success.all()
    assert found.x.min() >= 0
    assert found.x.max() <= 1
    return norm(1.0).size(found.x - x)


def exact(x: Tensor, norm: type[Norm]) -> Tensor:
    """The size of the smallest change that reaches the plane inside the box (see test_planes)."""
    gap = -NET.side(x).detach()
    return norm(1.0).size(crossing(norm, x, NET.w.detach().expand_as(x), gap))


@each
def test_the_nearest_image_beyond_a_plane_is_found(attack: Attack, norm: type[Norm]):
    best = exact(INSIDE, norm)
    if norm in (Linf, L2):
        assert torch.allclose(best, NET.radius(INSIDE, norm.__name__), rtol=1e-4)
    size = sizes(attack, NET, INSIDE, norm)
    assert (size >= best * (1 - 1e-5)).all()
    assert (size <= best * 1.05 + 1e-5).all()


@each
def test_the_nearest_binary_image_beyond_a_plane_is_found(attack: Attack, norm: type[Norm]):
    """Half of all values can only move away from the plane."""
    x = images(4, 3, 6, 6).round()
    best, size = exact(x, norm), sizes(attack, NET, x, norm)
    assert (size >= best * (1 - 1e-5)).all()
    assert (size <= best * 1.05 + (norm is L0)).all()


@each
def test_an_image_that_is_wrong_to_begin_with_is_returned_unchanged(attack: Attack, norm: type[Norm]):
    found = attack(Model(NET), INSIDE, 1 - NET.label(INSIDE), within=norm.whole(INSIDE))
    assert found.success.all()
    assert torch.equal(found.x, INSIDE)


@each
def test_neither_shift_nor_scale_of_the_logits_matters(attack: Attack, norm: type[Norm], digits):
    x, y, within = digits.x[:6], digits.y[:6], norm.whole(digits.x)
    size = norm(1.0).size
    plain, loud, low = (
        attack(Model(net), x, y, within=within)
        for net in (digits.net, Gives(digits.net, lambda z: z * 1e4), Gives(digits.net, lambda z: z - 50))
    )
    for other in (loud, low):
        assert same(other.success, plain.success)
        assert 0.9 < size(other.x - x).sum() / size(plain.x - x).sum() < 1.1


@each
def test_a_target_is_what_is_reached(attack: Attack, norm: type[Norm], digits):
    x, target = digits.x[:10], (digits.y[:10] + 1) % 10
    found = attack(Model(digits.net), x, target=target, within=norm.whole(x))
    assert same(found.success, found.label == target)
    assert found.success.float().mean() >= 0.7
    free = attack(Model(digits.net), x, digits.y[:10], within=norm.whole(x))
    both = found.success & free.success
    size = norm(1.0).size
    assert size(free.x - x)[both].sum() < size(found.x - x)[both].sum()


SHAPES = {"1-D": (1, 2, 9), "one channel": (2, 1, 6, 9), "volume": (2, 1, 4, 4, 5), "2D+T": (2, 3, 2, 5, 4)}


@each
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_any_number_of_dimensions(attack: Attack, norm: type[Norm], shape: tuple[int, ...]):
    net, x = Plane(*shape[1:]), images(*shape, low=0.4, high=0.6)
    found = attack(Model(net), x, net.label(x), within=norm.whole(x))
    assert found.x.shape == x.shape
    assert found.success.all()


@each
def test_a_map_of_logits(attack: Attack, norm: type[Norm]):
    net, x = segmenter(), images(2, 3, 6, 6)
    y = net(x).flatten(2).mean(2).argmax(1)
    found = attack(Model(net), x, y, within=norm.whole(x))
    assert found.x.isfinite().all()


@each
def test_a_small_region_bounds_what_is_found_and_a_mask_where(attack: Attack, norm: type[Norm]):
    mask = torch.zeros(4, 1, 6, 6)
    mask[:, :, 1:5, 2:5] = 1
    found = attack(Model(NET), INSIDE, NET.label(INSIDE), mask=mask, within=norm(norm(1.0).most(INSIDE) / 4))
    assert not ((found.x != INSIDE) & (mask == 0)).any()
    assert (norm(1.0).size(found.x - INSIDE) <= norm(1.0).most(INSIDE) / 4 * (1 + 1e-6)).all()
    assert found.success.any()


def test_deepfool_is_one_step_from_a_plane_and_costs_a_pass_back_for_each_candidate():
    found = DeepFool()(Model(NET), INSIDE, NET.label(INSIDE), within=L2.whole(INSIDE))
    assert torch.allclose(found.l2, 1.02 * NET.radius(INSIDE, "L2"), rtol=1e-3)
    net = conv(classes=5)
    x = images(2, 3, 8, 8)
    cost = DeepFool(steps=1, candidates=3)(Model(net), x, net(x).argmax(1), within=L2.whole(x)).cost
    assert cost["backward"] == 3 * 2
    assert cost["forward"] == 3 * 2  # which are the best classes, the step, the verdict


def test_on_digits_each_finds_less_than_deepfool_and_the_final_bisection_does_no_harm(digits):
    x, y = digits.x[:12], digits.y[:12]
    for attack in (FAB(steps=20), DDN(steps=50), FMN(steps=50)):
        for norm in {Linf, L2} & set(attack.norms):
            size = {
                name: norm(1.0).size(a(digits.model, x, y, within=norm.whole(x)).x - x)
                for name, a in {
                    "own": attack,
                    "raw": replace(attack, halvings=0),
                    "deepfool": DeepFool(),
                }.items()
            }
            assert size["own"].mean() < size["deepfool"].mean()
            assert (size["own"] <= size["raw"] * (1 + 1e-5)).all()


def test_ddn_comes_down_to_distances_of_any_size():
    """Images an arm's length and a hair's breadth away, side by side."""
    away = torch.tensor([1.0, 1e-2, 1e-4])
    w = NET.w.detach() / NET.w.detach().norm()
    x = 0.5 - away.double()[:, None, None, None] * w.double()
    net = Plane(3, 6, 6).double()
    size = sizes(DDN(), net, x, L2)
    assert torch.allclose(size / away, torch.ones(3, dtype=torch.double), rtol=0.05)


def test_sigma_zero_leaves_no_position_that_an_image_flips_without():
    attack = SigmaZero(steps=10, halvings=0, drops=36)
    y = NET.label(INSIDE)
    found = attack(Model(NET), INSIDE, y, within=L0.whole(INSIDE))
    raw = replace(attack, drops=0)(Model(NET), INSIDE, y, within=L0.whole(INSIDE))
    assert found.success.all()
    assert (found.l0 <= raw.l0).all()
    assert (found.l0 < raw.l0).any()
    for position in range(36):
        at = torch.arange(36).view(6, 6) == position
        without = torch.where(at, INSIDE, found.x)
        changed = (without != found.x).flatten(1).any(1)
        assert (NET.label(without) == y)[changed].all()


def test_sigma_zero_counts_a_position_once_for_all_its_channels():
    """A change of all channels of one position is as small as that of one value."""
    net = Plane(3, 6, 6)
    with torch.no_grad():
        net.w.zero_()
        net.w[:, 2, 3] = 1.0
        net.w[0] += 0.45 * (net.w[0] == 0)
    x = torch.full((1, 3, 6, 6), 0.5)
    x[:, :, 2, 3] = 0.2
    found = SigmaZero()(Model(net), x, net.label(x), within=L0(36))
    assert found.success.all()
    assert int(found.l0) == 1
