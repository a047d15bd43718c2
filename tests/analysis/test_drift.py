"""Drift: planted shifts are found, halves of one set are not, and estimated shares cover the planted ones."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from unfool.analysis.drift import covariate_shift, label_shift, stability, told_apart
from unfool.errors import InputError


def test_a_planted_shift_of_one_feature_is_found_and_no_other():
    stream = torch.Generator().manual_seed(0)
    known, new = (torch.randn(n, 12, generator=stream) for n in (600, 400))
    new[:, 7] += 0.5
    found = covariate_shift(known, new)
    first = found.features[0]
    assert (first.number, found.differing) == (7, 1)
    assert first.distance == pytest.approx(ks_2samp(known[:, 7].numpy(), new[:, 7].numpy()).statistic)
    assert first.psi > 0.2 > found.features[1].psi
    assert found.told.right.low > 0.5
    assert found.told.p < 0.01
    assert found.control.p > 0.05


def test_two_halves_of_one_set_are_seldom_called_different():
    stream, features, told = torch.Generator().manual_seed(1), 0, 0
    for k in range(60):
        a, b = (torch.randn(200, 8, generator=stream) for _ in range(2))
        found = covariate_shift(a, b, k)
        features += found.differing > 0
        told += found.told.p < 0.05
    assert features <= 8  # 3 are expected
    assert told <= 8


def test_the_stability_index_is_its_sum():
    known, new = torch.arange(100.0), torch.cat([torch.arange(50.0), torch.arange(50.0)])
    p, q = np.full(10, 10.5) / 105, np.array([20.5] * 5 + [0.5] * 5) / 105
    assert stability(known, new) == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=0.05)
    assert stability(known, known) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(stability(torch.zeros(50), torch.ones(50)))


def test_a_classifier_tells_what_is_apart():
    stream = torch.Generator().manual_seed(2)
    a = torch.randn(200, 4, generator=stream)
    assert told_apart(a, a + 3).right.value > 0.95
    assert told_apart(a, torch.randn(200, 4, generator=stream)).p > 0.01


CHANCES = torch.tensor([[0.8, 0.1, 0.1], [0.15, 0.7, 0.15], [0.1, 0.2, 0.7]])
"""How often an image of the class of a row is taken for that of a column."""


def drawn(shares, n, stream):
    y = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=stream)
    return torch.multinomial(CHANCES[y], 1, generator=stream)[:, 0], y


def test_planted_shares_are_covered_and_counting_answers_would_not():
    stream, hits, counted = torch.Generator().manual_seed(3), 0, 0
    truth = (0.1, 0.2, 0.7)
    for k in range(100):
        said, y = drawn((1 / 3, 1 / 3, 1 / 3), 600, stream)
        new, _ = drawn(truth, 500, stream)
        found = label_shift(said, y, new, seed=k)
        hits += all(s.low <= t <= s.high for s, t in zip(found, truth, strict=True))
        counted += abs(float((new == 2).double().mean()) - 0.7) < 0.05
    assert hits >= 93
    assert counted < 10
    assert found[2].shifted
    assert found[2].counted is None
    assert sum(s.new for s in found) == pytest.approx(1)


def test_shares_that_did_not_change_are_seldom_called_shifted():
    stream, alarms = torch.Generator().manual_seed(4), 0
    for k in range(60):
        said, y = drawn((0.2, 0.3, 0.5), 800, stream)
        new, truth = drawn((0.2, 0.3, 0.5), 400, stream)
        alarms += any(s.shifted for s in label_shift(said, y, new, truth, seed=k))
    assert alarms <= 8


def test_too_few_images_and_one_class_are_one_sentence():
    with pytest.raises(InputError, match="too few to compare"):
        covariate_shift(torch.zeros(10, 2), torch.zeros(100, 2))
    one = torch.zeros(50, dtype=torch.long)
    with pytest.raises(InputError, match="one class"):
        label_shift(one, one, one)
