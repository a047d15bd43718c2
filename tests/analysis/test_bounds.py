"""A class at density U must have at least 1 - U Q(sqrt(2 pi) eps) of itself within eps of the rest of the cube,
1 - U sqrt(pi/8) exp(-(d - 1) eps²/2) on the sphere, 1 - 2 U exp(-k²/d) within k positions (Shafahi et al., 2019).
"""

import math

import pytest
import torch

from unfool.analysis.bounds import (
    cap_share,
    cube_bound,
    cube_distances,
    sparse_bound,
    sphere_bound,
    sphere_distances,
)
from unfool.analysis.inevitable import Bounds, bound_at, class_densities, limit_decades, measure_bounds
from unfool.errors import InputError
from unfool.samples import digits8

DIMENSIONS = (8, 32, 128, 512)


@pytest.mark.parametrize("d", [2, 3, 4, 5, 8, 16, 32, 128, 512, 4096])
def test_no_cap_of_the_sphere_is_larger_than_the_bound_allows(d):
    for angle in torch.linspace(0, math.pi / 2, 400, dtype=torch.float64).tolist():
        allowed = math.log(math.sqrt(math.pi / 8)) - (d - 1) * angle**2 / 2
        assert (cap := cap_share(angle, d)) == 0 or math.log(cap) <= allowed


def test_the_cap_is_known_on_the_circle_and_the_ball():
    assert cap_share(0.3, 2) == pytest.approx(0.5 - 0.3 / math.pi)
    assert cap_share(0.3, 3) == pytest.approx((1 - math.sin(0.3)) / 2)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_half_spaces_on_sphere_and_cube_lie_above_the_bounds(d):
    curves = measure_bounds(Bounds((d,), 2000)).curves
    assert {curve.space for curve in curves} == {"sphere", "L2", "Linf", "L1", "L0"}
    assert all(curve.holds for curve in curves)
    assert all(any(not bound.vacuous for bound in curve.bound) for curve in curves)


def test_a_bound_that_promises_too_much_would_be_noticed():
    """The test of the test: with the class twice as thin as it can be, half-spaces fall below the bound."""
    curves = measure_bounds(Bounds((32,), 4000, density=1.0)).curves
    assert not all(curve.holds for curve in curves)


def test_the_single_pixel_touches_the_cubes_bound_at_zero():
    eps = 1e-4
    assert cube_bound(eps, 100, density=2).share == pytest.approx(2 * eps, rel=1e-3)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("eps", [0.01, 0.1, 0.5, 1.0])
def test_the_published_form_is_the_one_of_mills_and_never_better(p, eps):
    d = 64
    ours, theirs = cube_bound(eps, d, p), cube_bound(eps, d, p, published=True)
    power = min(p, 2.0)
    formula = math.exp(-math.pi * d ** (1 - 2 / power) * eps**2) / (
        2 * math.pi * eps * d ** (0.5 - 1 / power)
    )
    assert theirs.raw == pytest.approx(1 - formula)
    assert ours.raw >= theirs.raw


def test_a_bound_below_zero_is_vacuous_and_clipped():
    bound = cube_bound(0.1, 64, density=1e6)
    assert bound.vacuous
    assert bound.share == 0
    assert not sparse_bound(30, 64).vacuous
    assert sparse_bound(0, 64).vacuous
    assert sphere_bound(1.0, 512).share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("space", "eps", "d"), [("L2", 1.0, 64), ("Linf", 0.3, 64), ("L1", 9.0, 64), ("L0", 20, 64)]
)
def test_the_limit_is_the_density_at_which_the_bound_becomes_empty(space, eps, d):
    density = 10 ** limit_decades(space, eps, d)
    assert not bound_at(space, eps, d, density * 0.99).vacuous
    assert bound_at(space, eps, d, density * 1.01).vacuous


def test_distances_inside_the_cube_reach_the_boundary_exactly():
    """Lowering every value by the Linf distance, none below 0, takes the sum to half of d."""
    d, n = 16, 50
    x = torch.rand(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.where((x.sum(1) >= d / 2)[:, None], x, 1 - x)
    found = cube_distances(d, n)
    lowered = (x - found["Linf mean"][:, None]).clamp_min(0)
    torch.testing.assert_close(lowered.sum(1), torch.full((n,), d / 2, dtype=torch.float64))
    torch.testing.assert_close((x - lowered).norm(dim=1), found["L2 mean"])
    order = x.sort(1, descending=True).values
    for row, k in zip(order, found["L0 mean"].int().tolist(), strict=True):
        assert row[k:].sum() <= d / 2 < row[k - 1 :].sum() + 1e-12


def test_angles_to_the_equator_are_spread_as_caps_say():
    found = sphere_distances(32, 20000)["sphere equator"]
    for angle in (0.05, 0.1, 0.2, 0.4):
        far = float((found > angle).double().mean())
        assert far == pytest.approx(2 * cap_share(angle, 32), abs=0.015)


def test_real_digits_are_far_too_dense_for_any_bound():
    found = class_densities(digits8("train"))
    assert all(one.constant > 0 and one.decades > limit_decades("L2", 1.0, 64) for one in found)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="p must be"):
        cube_bound(0.1, 8, 0.5)
    with pytest.raises(InputError, match="at least 1"):
        sphere_bound(0.1, 8, 0.5)
