"""Under eps sign(w) one unit moves by eps ||w||_1; the radius that flips goes as 1/sqrt(d) only where each dimension
brings a signal: of means 2/sqrt(d) apart from the boundary the median Linf radius times sqrt(d) is 2.0 ± .05.
"""

import math

import pytest
import torch

from unfool.analysis.dimensions import (
    Dimensions,
    digit_radii,
    gaussian_radii,
    linear_unit,
    measure_dimensions,
    slope,
)
from unfool.analysis.rates import mean_of

PLAN = Dimensions(images=60, seeds=2)


@pytest.mark.parametrize("law", ["equal", "normal", "sparse"])
def test_the_units_answers_are_those_of_the_formulas(law):
    unit = linear_unit(400, 0.1, law, 4000, seed=3)
    assert unit.sign == pytest.approx(unit.sign_formula, rel=1e-9)
    assert unit.length == pytest.approx(unit.length_formula, rel=1e-9)
    assert unit.random == pytest.approx(unit.random_formula, rel=0.06)
    assert unit.sign > 3 * unit.random


def test_equal_weights_add_up_with_the_number_of_inputs():
    small, large = (linear_unit(d, 0.1, "equal", 10, seed=0).sign for d in (100, 1600))
    assert large / small == pytest.approx(16)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("d", [16, 256, 1024])
def test_of_informative_features_the_radius_falls_as_the_root(d, learned):
    found = [gaussian_radii(d, PLAN, seed, learned=learned) for seed in range(3)]
    product = sum(float(r.linf.median()) for r in found) / 3 * math.sqrt(d)
    assert product == pytest.approx(2.0, abs=0.07)
    assert sum(r.accuracy for r in found) / 3 == pytest.approx(0.977, abs=0.015)


def test_radii_of_the_best_plane_are_those_of_its_formula():
    found = gaussian_radii(64, PLAN, 0, learned=False)
    torch.testing.assert_close(found.linf * 64**0.5, found.l2)


def test_more_pixels_of_the_same_digits_change_the_linf_radius_little():
    small, large = (digit_radii(side, PLAN, 0, "mlp") for side in (8, 32))
    assert 0.06 < float(large.linf.median()) / float(small.linf.median()) * 0.1 < 0.14
    assert 2.5 < float(large.l2.median() / small.l2.median()) < 5.5


@pytest.mark.slow
def test_the_slopes_are_a_half_and_none():
    found = measure_dimensions(Dimensions(gaussian=(16, 64, 256), sides=(8, 16, 32), images=60, seeds=2))
    assert found.gaussian[0].slope.mean == pytest.approx(-0.5, abs=0.03)
    assert abs(found.digits[1].slope.mean) < 0.12
    assert found.digits[1].slope_l2.mean == pytest.approx(0.5, abs=0.12)


def test_a_slope_is_read_off_logarithms():
    assert slope([1, 10, 100], [5, 0.5, 0.05]) == pytest.approx(-1)


def test_a_mean_has_students_interval_and_a_single_value_none():
    found = mean_of([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.high - 2 == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert mean_of([1.0]) == (1.0, 1.0, 1.0, 1)
