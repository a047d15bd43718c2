"""Random signs of size eps move w·x by eps·||w||₂ (root mean square), the worst of all by eps·||w||₁."""

import pytest
import torch

from oracles import Plane, images, same
from unfool.attacks.gradient import FGSM
from unfool.attacks.noise import RandomNoise
from unfool.model import Model
from unfool.regions import L0, L1, L2, Linf, Region

NET = Plane(3, 8, 8)
KINDS = ["sign", "gaussian", "uniform"]


def test_random_signs_move_a_linear_score_by_the_l2_norm_of_its_weights():
    x = torch.full((1500, 3, 8, 8), 0.5)
    moved = NET.side(RandomNoise()(Model(NET), x, 0, within=Linf(0.1)).x)
    assert moved.square().mean().sqrt().item() == pytest.approx(0.1 * NET.w.norm().item(), rel=0.06)
    worst = NET.side(FGSM()(Model(NET), x[:1], 0, within=Linf(0.1)).x)
    assert moved.max() < 0.5 * worst  # in 192 dimensions


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("within", [Linf(0.1), L2(0.3), L1(0.4)], ids=repr)
def test_noise_goes_as_far_as_the_region_allows(kind: str, within: Region):
    x = images(4, 3, 8, 8, low=0.4, high=0.6)
    found = RandomNoise(kind)(Model(NET), x, NET.label(x), within=within)
    assert torch.allclose(
        getattr(found, type(within).__name__.lower()), torch.tensor(within.radius), rtol=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_random_positions_differ_from_row_to_row(kind: str):
    x = images(6, 3, 8, 8)
    found = RandomNoise(kind)(Model(NET), x, NET.label(x), within=L0(3))
    where = (found.x != x).any(1).flatten(1)
    assert (where.sum(1) == 3).all()
    assert where.float().mean(0).max() < 0.6


def test_of_several_draws_the_first_that_flips_is_kept():
    x = images(40, 3, 8, 8, low=0.45, high=0.55)
    y, within = NET.label(x), Linf(4 * float(NET.radius(x, "Linf").median()))
    rates, before = [], None
    for draws in (1, 2, 5, 20):
        found = RandomNoise(draws=draws)(Model(NET), x, y, within=within)
        rates.append(int(found.success.sum()))
        if before is not None:
            assert same(found.x[before.success], before.x[before.success])
        before = found
    assert rates == sorted(rates)
    assert 0 < rates[0] < rates[-1]


def test_draws_are_seeded_by_row():
    x = images(4, 3, 8, 8)
    y = NET.label(x)
    first = RandomNoise(draws=3)(Model(NET), x, y, ids="abcd").x
    assert same(RandomNoise(draws=3)(Model(NET), x[1:], y[1:], ids="bcd").x, first[1:])
    assert not same(RandomNoise(draws=3)(Model(NET), x, y, ids="abcd", seed=1).x, first)


def test_a_control_asks_for_labels_only():
    x = images(4, 3, 8, 8)
    labels = Model.labels(lambda a: NET.label(torch.from_numpy(a)).numpy(), 2)
    found = RandomNoise(draws=4)(labels, x, NET.label(x))
    assert "backward" not in found.cost
    assert same(found.x, RandomNoise(draws=4)(Model(NET), x, NET.label(x)).x)
