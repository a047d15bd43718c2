"""Wilson: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96."""

import math

import pytest
import torch

from unfool.analysis.rates import rate, spread
from unfool.region import size_text


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 7), (98, 500)])
def test_the_interval_is_wilsons(k, n):
    z, p = 1.959963984540054, k / n
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = rate(torch.arange(n) < k)
    assert found.low == pytest.approx(max(0, (middle - half) / (1 + z**2 / n)), abs=1e-12)
    assert found.high == pytest.approx(min(1, (middle + half) / (1 + z**2 / n)), abs=1e-12)
    assert (found.k, found.n, found.value) == (k, n, p)


def test_nothing_counted_says_nothing():
    found = rate(torch.zeros(0, dtype=torch.bool))
    assert (found.low, found.high) == (0, 1)
    assert math.isnan(found.value)


def test_the_interval_covers_the_truth():
    stream = torch.Generator().manual_seed(0)
    covered = [
        r.low <= 0.2 <= r.high for r in (rate(torch.rand(60, generator=stream) < 0.2) for _ in range(500))
    ]
    assert sum(covered) / 500 >= 0.93


def test_a_spread_counts_what_never_flipped():
    found = spread(torch.tensor([1.0, 2.0, 3.0, math.inf, math.inf]))
    assert (found.median, found.infinite, found.n) == (3.0, 2, 5)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (8 / 255, "8/255"),
        (2 / 255 / 8, "0.25/255"),
        (0.1, "0.1"),
        (0.0125, "0.0125"),
        (0, "0"),
        (1 / 3, "0.333"),
        (1 / 6, "0.167"),  # not 42.5/255
    ],
)
def test_sizes_are_written_as_people_do(size, text):
    assert size_text(size) == text


def test_a_rate_in_a_table_fits_its_column():
    assert rate(torch.ones(60)).brief == "100 [94.0–100]"
    assert rate(torch.arange(500) < 235).brief == "47.0 [42.7–51.4]"
