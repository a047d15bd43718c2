"""The nearest are those of brute force in double precision: distances, order, ties and what is left out."""

import pytest
import torch
import torch.nn.functional as F

from unfool.analysis import nearest as module
from unfool.analysis.nearest import Gallery, Keys, largest, nearest


def brute(queries, gallery, k, metric="l2", same=None):
    if metric == "cosine":
        queries, gallery = (F.normalize(t.double(), dim=1) for t in (queries, gallery))
    square = (queries[:, None].double() - gallery[None].double()).square().sum(2)
    square = square if same is None else square.masked_fill(same, torch.inf)
    order = square.argsort(dim=1, stable=True)[:, :k]
    square = square.gather(1, order)
    return square / 2 if metric == "cosine" else square.sqrt(), order


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize(("n", "d", "shift"), [(3000, 32, 0.0), (40, 5, 0.0), (3000, 8, 1000.0)])
def test_it_equals_brute_force(monkeypatch, metric, n, d, shift):
    monkeypatch.setattr(module, "ROOM", 20_000)  # many blocks
    stream = torch.Generator().manual_seed(0)
    gallery, queries = (torch.randn(m, d, generator=stream) + shift for m in (n, 25))
    found = nearest(queries, gallery, 7, metric)
    distance, order = brute(queries, gallery, 7, metric)
    assert torch.equal(found.which, order)
    torch.testing.assert_close(found.distance, distance, rtol=1e-12, atol=0)


def test_of_equally_near_ones_the_first_come_first():
    gallery = torch.randn(5, 4).repeat(300, 1)
    found = nearest(gallery[:5], gallery, 10)
    assert torch.equal(found.which, torch.arange(5)[:, None] + 5 * torch.arange(10))
    assert (found.distance == 0).all()


def test_copies_that_differ_by_less_than_float32_tells_from_a_product_are_told_apart():
    gallery = torch.randn(2000, 64) * 1e-3 + 50
    gallery[100] = gallery[7] + 1e-5
    found = nearest(gallery[7:8], gallery, 2)
    assert found.which.tolist() == [[7, 100]]


def test_what_shares_a_number_is_left_out_and_missing_ones_are_told():
    gallery = torch.randn(300, 6)
    numbers = torch.arange(300) // 2
    found = nearest(gallery, gallery, 5, keys=Keys(numbers, numbers))
    same = numbers[:, None] == numbers
    assert torch.equal(found.which, brute(gallery, gallery, 5, same=same)[1])
    few = nearest(gallery[:3], gallery[:3], 3, keys=Keys(torch.arange(3), torch.arange(3)))
    assert (few.which[:, 2] == -1).all()
    assert few.distance[:, 2].isinf().all()


def test_the_largest_of_groups_are_the_largest_of_all():
    score = torch.randn(20, 5017)
    assert torch.equal(largest(score, 12)[1], score.topk(12, 1).indices)
    assert Gallery(torch.randn(4, 3)).nearest(torch.randn(2, 3), 9).which.shape == (2, 4)
