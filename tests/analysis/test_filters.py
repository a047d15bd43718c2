"""First-layer filters: a planted bank of Gabor functions comes back in its order, with its waves' length and way."""

import math

import pytest
import torch
from torch import Tensor, nn

from oracles import images
from unfool.analysis.filters import first_filters
from unfool.errors import InputError
from unfool.model import Model
from unfool.report.subjects.filters import filters_page

SIDE = 11
BANK = [(degrees, length) for degrees in (0, 30, 60, 90, 120, 150) for length in (3.0, 5.0)]


def gabor(degrees: float, length: float) -> Tensor:
    at = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    rows, columns = torch.meshgrid(at, at, indexing="ij")
    turn = math.radians(degrees)
    along = columns * math.cos(turn) + rows * math.sin(turn)
    wave = torch.cos(2 * math.pi * along / length + 0.3)
    return (wave * torch.exp(-(rows**2 + columns**2) / (2 * 2.5**2))).float()


def planted() -> nn.Sequential:
    net = nn.Sequential(nn.Conv2d(3, len(BANK), SIDE, bias=False), nn.ReLU(), nn.Conv2d(len(BANK), 2, 1))
    with torch.no_grad():
        for weight, (degrees, length) in zip(net[0].weight, BANK, strict=True):
            weight[:] = gabor(degrees, length)
    return net.eval()


def test_a_planted_bank_comes_back_in_order():
    found = first_filters(Model(planted()), images(1, 3, 20, 20))
    assert found.layer == "0"
    assert torch.equal(found.weight, planted()[0].weight.detach())
    for k, (degrees, length) in enumerate(BANK):
        off = abs(float(found.orientation[k]) - degrees) % 180
        assert min(off, 180 - off) < 8, k
        assert float(found.frequency[k].norm()) == pytest.approx(1 / length, abs=0.03)
    assert not found.noisy.any()
    assert not found.dead.any()
    assert found.double == ()


def test_dead_noisy_and_double_filters_are_flagged():
    net = planted()
    with torch.no_grad():
        net[0].weight[2] *= 1e-6
        net[0].weight[5].normal_(generator=torch.Generator().manual_seed(0))
        net[0].weight[7] = -2 * net[0].weight[0]
    found = first_filters(Model(net), images(1, 3, 20, 20))
    assert found.dead.nonzero()[:, 0].tolist() == [2]
    assert found.noisy.nonzero()[:, 0].tolist() == [5]
    assert [pair[:2] for pair in found.double] == [(0, 7)]
    assert found.double[0][2] == pytest.approx(-1, abs=1e-6)
    page = filters_page("planted", found)
    assert "1 dead, 1 noisy, 1 pairs alike" in page.sentence


def test_batch_norm_is_folded_in():
    net = nn.Sequential(nn.Conv2d(1, 2, 5), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)).eval()
    with torch.no_grad():
        net[1].weight[:] = torch.tensor([3.0, -1.0])
        net[1].running_var[:] = torch.tensor([4.0, 1.0])
    found = first_filters(Model(net), images(1, 1, 9, 9))
    expected = net[0].weight * torch.tensor([1.5, -1.0]).view(2, 1, 1, 1)
    assert torch.allclose(found.weight, expected, rtol=1e-4)


def test_the_first_is_the_first_to_run_and_another_may_be_named():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.late, self.early = nn.Conv2d(4, 2, 3), nn.Conv2d(1, 4, 7)

        def forward(self, x: Tensor) -> Tensor:
            return self.late(self.early(x))

    model, x = Model(Backwards()), images(1, 1, 16, 16)
    assert first_filters(model, x).layer == "early"
    assert first_filters(model, x, "late").weight.shape == (2, 4, 3, 3)


def test_a_network_without_convolutions_has_no_filters():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(InputError, match="has no convolution"):
        first_filters(Model(net), images(1, 1, 4, 4))
    with pytest.raises(InputError, match="layer '1' is no convolution"):
        first_filters(Model(net), images(1, 1, 4, 4), "1")
