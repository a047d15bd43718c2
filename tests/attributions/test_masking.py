"""Of a score that is linear in the pieces of the image, Σ c_k [piece k kept], every one of these has a known answer.

RISE: the score falls by c_k where k is hidden, so its map is c_k (1 - p) on average. KernelSHAP and LIME: c_k. Shapley
values of a product of two pieces: half of it each.
"""

from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import images, one_square, residual, same
from unfool.attributions.masking import RISE, MeaningfulPerturbation
from unfool.attributions.superpixels import superpixels
from unfool.attributions.surrogate import LIME, KernelSHAP
from unfool.model import Model

QUARTERS = (
    torch.tensor([[0.25, 0.5], [0.75, 1.0]]).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
)
"""Four pieces of four greys."""


class Pieces(nn.Module):
    """A score of which quarters are there: ``value`` of four flags (the quarter's mean is as in QUARTERS)."""

    def __init__(self, value: Any):
        super().__init__()
        self.value = value
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        means = nn.functional.avg_pool2d(x, 4).flatten(1)
        there = (means / nn.functional.avg_pool2d(QUARTERS, 4).flatten(1)).double()
        score = self.value(there)
        return torch.stack([-score, score], 1)


C = torch.tensor([0.5, -1.0, 2.0, 0.25], dtype=torch.float64)
SUM, PRODUCT = (
    Pieces(lambda there: there @ C),
    Pieces(lambda there: there @ C + 3 * there[:, 0] * there[:, 3]),
)


def by_quarter(heat: Tensor) -> Tensor:
    return heat[0, 0, ::4, ::4].flatten().double()


def test_superpixels_find_pieces_of_one_colour():
    label = superpixels(QUARTERS[0], 4)
    assert label.unique().tolist() == [0, 1, 2, 3]
    assert all(QUARTERS[0, 0][label == k].unique().numel() == 1 for k in range(4))
    assert superpixels(torch.zeros(3, 5), 3).shape == (5,)
    assert superpixels(images(1, 4, 6, 5), 8).shape == (4, 6, 5)
    assert superpixels(images(3, 2, 2), 50).unique().numel() <= 4


def shapley(value: Any) -> Tensor:
    """From the definition: the mean over all orders of what a piece adds."""
    found = torch.zeros(4, dtype=torch.float64)
    orders = list(permutations(range(4)))
    for order in orders:
        there = torch.zeros(1, 4, dtype=torch.float64)
        for k in order:
            before = float(value(there))
            there[0, k] = 1
            found[k] += float(value(there)) - before
    return found / len(orders)


@pytest.mark.parametrize("net", [SUM, PRODUCT])
def test_kernel_shap_gives_shapley_values(net: Pieces):
    method = KernelSHAP(samples=4000 if net is PRODUCT else 40, pieces=4, fill="zero")
    found = by_quarter(method(Model(net), QUARTERS, 1).heat)
    assert torch.allclose(found, shapley(net.value), atol=0.08 if net is PRODUCT else 1e-5)
    assert float(found.sum()) == pytest.approx(
        float(net.value(torch.ones(1, 4, dtype=torch.float64))), abs=1e-5
    )


def test_lime_recovers_a_sum():
    found = LIME(samples=60, pieces=4, fill="zero", ridge=1e-9)(Model(SUM), QUARTERS, 1).heat
    assert torch.allclose(by_quarter(found), C, atol=1e-4)


def test_rise_comes_to_its_expectation():
    """With cells as large as the image shifts, a pixel's mean score when seen is p times the others plus its own."""
    x = torch.ones(1, 1, 6, 6)
    w = images(1, 6, 6, low=-1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 2, bias=False)).eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([-w, w]).flatten(1))
    rise = RISE(samples=20000, cells=6)(Model(net), x, 1).heat[0, 0]
    assert torch.allclose(rise, w[0] * 0.5, atol=0.12)
    published = RISE(samples=50, cells=3)(Model(net), x, 1)
    assert published.heat.shape == (1, 1, 6, 6)


@pytest.mark.parametrize(
    "method",
    [RISE(300, 4), MeaningfulPerturbation(fill="zero"), LIME(300, 16, "zero"), KernelSHAP(300, 16, "zero")],
    ids=repr,
)
def test_the_only_square_that_matters_is_found(method: Any):
    x = images(2, 3, 8, 8, low=0.5)
    heat = method(Model(one_square()), x, 1).map
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[1:4, 4:7] = True
    assert (heat[:, 0, inside].mean(1) > 2 * heat[:, 0, ~inside].mean(1).abs()).all()


@pytest.mark.parametrize(
    "method", [RISE(20), LIME(20, 6), KernelSHAP(20, 6), MeaningfulPerturbation(5)], ids=repr
)
@pytest.mark.parametrize("space", [(9,), (6, 7), (4, 5, 6)])
def test_any_number_of_dimensions(method: Any, space: tuple[int, ...]):
    net = nn.Sequential(nn.Flatten(), nn.Linear(int(torch.tensor(space).prod()), 3)).eval()
    found = method(Model(net), images(2, 1, *space), 1)
    assert found.map.shape == (2, 1, *space)
    assert found.map.isfinite().all()


def test_rows_do_not_depend_on_neighbours():
    x, model = images(3, 3, 8, 8), Model(residual())
    for method in (RISE(10), LIME(10, 5), KernelSHAP(10, 5)):
        assert same(method(model, x, 1).heat[1:2], method(model, x[1:2], 1, ids=[1]).heat)


def test_the_mask_hides_no_more_than_it_pays_for():
    """Hiding costs; where nothing in the image matters nothing is hidden."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    with torch.no_grad():
        net[1].weight.zero_()
    assert MeaningfulPerturbation()(Model(net), images(1, 1, 8, 8), 1).heat.max() < 0.05
