"""Of a network of ReLUs the score is gradient times image plus Σ gradient times bias (Srinivas & Fleuret, 2019)."""

import pytest
import torch
from torch import Tensor, nn

from oracles import KINDS, SPACES, conv, images, residual
from unfool.attributions.fullgrad import FullGrad, parts
from unfool.attributions.layers import biased
from unfool.model import Model
from unfool.objectives import Logit
from unfool.query import Query
from unfool.rows import Rng

X = images(3, 3, 8, 8, dtype=torch.float64)


def query(net: nn.Module, x: Tensor) -> Query:
    y = torch.ones(len(x), dtype=torch.long)
    return Query(Model(net), Logit(), y, Rng.seeded(0, range(len(x))), images=x)


@pytest.mark.parametrize("make", [conv, residual, lambda: SPACES["volume"]()[0]])
def test_the_parts_add_up_to_the_score_but_for_the_head_s_bias(make):
    net = make().double()
    x = X if next(net.parameters()).ndim == 4 else SPACES["volume"]()[1].double()
    asked = query(net, x)
    found = parts(asked, x)
    (head,) = [m for m in net.modules() if isinstance(m, nn.Linear)]
    total = torch.stack([part.flatten(1).sum(1) for part in found]).sum(0) + head.bias[1]
    assert torch.allclose(total, net(x)[:, 1])


def test_the_map_is_the_paper_s():
    """By hand of a convolution and a sum: gradient 1 under ReLU, bias b, each part over its own largest size."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 1)).double().eval()
    with torch.no_grad():
        net[0].weight.fill_(2.0)
        net[0].bias.fill_(-1.0)
        net[3].weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    x = torch.tensor([[[[0.0, 1.0], [0.75, 1.0]]]]).double()
    on = torch.tensor([[0.0, 2.0], [3.0, 4.0]]).double()  # the head's weight where 2 x > 1
    first, second = 2 * on * x[0, 0], on
    expected = first / first.max() + second / second.max()
    model = Model(net, outputs="logits")
    assert torch.allclose(FullGrad()(model, x, 0).heat[0, 0], expected)


def test_one_pass_each_way():
    assert FullGrad()(Model(residual()), X.float(), 1).cost == {"forward": 3, "backward": 3}


def test_a_batch_norm_s_bias_is_its_whole_constant_part():
    bn = residual().bn.double()
    zero = torch.zeros(1, 8, 2, 2, dtype=torch.float64)
    assert torch.allclose(biased(bn), bn(zero)[0, :, 0, 0])
    assert biased(nn.BatchNorm2d(3, affine=False)) is None
    assert biased(nn.ReLU()) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network(kind: str):
    found = FullGrad()(Model(KINDS[kind]()), X.float(), 0)
    assert found.map.shape == (3, 1, 8, 8)
    assert found.map.isfinite().all()


@pytest.mark.parametrize("space", SPACES)
def test_any_number_of_channels_and_dimensions(space: str):
    net, x = SPACES[space]()
    assert FullGrad()(Model(net), x).map.shape == (3, 1, *x.shape[2:])
