"""Rank correlation as SciPy computes it; interpolation that keeps what it should."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from oracles import images
from unfool.maps import ranks, resize, spearman, strongest_channel

numbers = st.lists(st.integers(-3, 3), min_size=4, max_size=12)


@settings(max_examples=100, deadline=None)
@given(numbers, st.randoms(use_true_random=False))
def test_ranks_and_rank_correlation_are_scipys_ties_included(values: list[int], random):
    other = random.sample(values, len(values))
    a, b = torch.tensor([values, other]).double()
    np.testing.assert_allclose(ranks(a[None])[0] + 1, rankdata(values))
    if len(set(values)) > 1:
        assert spearman(a[None], b[None]).item() == pytest.approx(
            spearmanr(values, other).statistic, abs=1e-12
        )


def test_rank_correlation_is_row_by_row_and_0_for_a_constant_map():
    a = images(3, 1, 4, 4)
    b = torch.stack([a[0] ** 3, -a[1], torch.ones_like(a[2])])
    assert spearman(a, b).tolist() == pytest.approx([1, -1, 0])


@pytest.mark.parametrize("size", [(9,), (9, 7), (5, 9, 7)])
def test_a_map_is_resized_in_as_many_dimensions_as_the_image_has(size: tuple[int, ...]):
    small = torch.full((2, 1, *(3 for _ in size)), 0.25)
    assert resize(small, size).shape == (2, 1, *size)
    assert torch.allclose(resize(small, size), torch.tensor(0.25))
    assert resize(small, (3,) * len(size)) is small


def test_resizing_is_linear_between_the_centres_of_pixels():
    assert resize(torch.tensor([[[0.0, 1.0]]]), (4,)).tolist() == [[[0, 0.25, 0.75, 1]]]


def test_one_channel_from_many_is_the_strongest_by_absolute_value():
    heat = torch.tensor([[[-3.0, 1.0]], [[2.0, -1.5]]]).view(1, 2, 2)
    assert strongest_channel(heat).tolist() == [[[3.0, 1.5]]]
    assert strongest_channel(heat[:, :1]) is not None
    assert strongest_channel(heat[:, :1]).tolist() == [[[-3.0, 1.0]]]  # one channel keeps its sign
