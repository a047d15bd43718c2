"""The score again: y without channel k (Ablation), through channel k (Score), of one position alone (Recipro).

Ablation-CAM: w_k = (y - y_k) / |y|. Score-CAM: w = softmax_k f(x ⊙ H_k), H_k the channel at the image's size in [0, 1].
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles import KINDS, SPACES, conv, images, tiny_vit
from unfool.attributions.base import Attribution
from unfool.attributions.cam_scores import AblationCAM, ReciproCAM, ScoreCAM
from unfool.model import Model
from unfool.objectives import LogProb

from .test_cam import A, G, by_hand

X = images(3, 3, 8, 8)
METHODS = [AblationCAM(), ScoreCAM(), ReciproCAM()]
each = pytest.mark.parametrize("method", METHODS, ids=repr)


def heat(method: Attribution, target: int) -> Tensor:
    return method(Model(by_hand()), A[None], target).heat[0, 0]


def test_ablation_by_hand():
    """Class 0: y = Σ G A = (1 + 1 - 1/4) + (-4 + 1/2 + 1/2) = 1.75 - 3; without a channel the other is left."""
    whole = torch.stack([(G[0][k] * A[k]).sum() for k in range(2)])
    assert whole.tolist() == [1.75, -3.0]
    y = whole.sum()
    assert y < 0  # divided by the score itself, every sign would be turned round
    expected = ((whole / y.abs()).view(2, 1, 1) * A).sum(0).relu()
    assert torch.allclose(heat(AblationCAM("0"), 0), expected)
    assert heat(AblationCAM("0"), 0)[0, 0] == pytest.approx(1.75 / 1.25)
    assert heat(AblationCAM("0"), 1).max() == 0  # all against it


def test_score_cam_by_hand():
    """Both channels fill [0, 1]; the layer is the image, so each score is Σ G (A ⊙ A_k)."""
    scores = torch.stack([(G[2] * (A * A[k])).sum() for k in range(2)])
    expected = (scores.softmax(0).view(2, 1, 1) * A).sum(0).relu()
    assert torch.allclose(heat(ScoreCAM("0"), 2), expected, atol=1e-6)


def test_score_cam_by_probability():
    logits = torch.stack([(G * (A * A[k])).flatten(1).sum(1) for k in range(2)])
    expected = (logits.softmax(1)[:, 2].view(2, 1, 1) * A).sum(0)
    assert torch.allclose(heat(ScoreCAM("0", weighting="probability"), 2), expected, atol=1e-6)


def test_recipro_by_hand():
    """With a linear head a position by itself adds Σ_k G_k A_k there: HiResCAM."""
    assert torch.allclose(heat(ReciproCAM("0"), 0), (G[0] * A).sum(0), atol=1e-6)


def test_soft_recipro_lets_neighbours_through():
    own = (G[0] * A).sum(0)
    kernel = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]])
    expected = F.conv2d(own[None, None], kernel[None, None], padding=1)[0, 0]
    assert torch.allclose(heat(ReciproCAM("0", soft=True), 0), expected, atol=1e-6)


def test_a_constant_channel_is_left_out_of_score_cam_and_gives_no_nan():
    net = conv()
    with torch.no_grad():
        net[2].weight[3:] = 0  # five of eight channels are the same everywhere
        net[2].bias[3:] = 0.5
    found = ScoreCAM("3")(Model(net), X, 1)
    assert found.heat.isfinite().all()
    live = int((net[:4](X).flatten(2).amax(2) > net[:4](X).flatten(2).amin(2)).sum(1).amax())
    assert live <= 3
    assert found.cost == {"forward": 3 * (1 + live)}


def test_where_all_channels_are_constant_the_map_is_zero():
    for method in (ScoreCAM("0"), ScoreCAM("0", weighting="probability")):
        assert method(Model(conv()), torch.zeros(2, 3, 8, 8), 1, objective=LogProb()).heat.isfinite().all()
    net = conv()
    nn.init.zeros_(net[2].weight)
    assert ScoreCAM("3")(Model(net), X, 1).heat.abs().max() == 0


def test_score_cam_never_holds_more_images_than_the_model():
    sizes: list[int] = []
    net = conv()
    net.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    ScoreCAM("3")(Model(net, capacity=6), X, 1)
    assert max(sizes) <= 6


def test_ablation_runs_the_body_once_and_the_tail_for_each_live_channel():
    net = nn.Sequential(*conv()[:4], nn.AdaptiveMaxPool2d(1), *conv()[5:]).eval()
    live = int((net[:4](X) > 0).flatten(2).any(2).sum(1).amax())
    found = AblationCAM("3")(Model(net), X, 1)
    assert found.cost == {"forward": 3, "body": 3, "tail": 3 * (1 + live)}


def test_ablation_is_the_network_run_anew_without_each_channel():
    net = nn.Sequential(*conv()[:4], nn.AdaptiveMaxPool2d(1), *conv()[5:]).double().eval()
    x = X.double()
    maps = net[:4](x)
    y, weights = net[4:](maps)[:, 2], []
    for k in range(8):
        without = maps.clone()
        without[:, k] = 0
        weights.append((y - net[4:](without)[:, 2]) / y.abs())
    expected = torch.einsum("kb,bkhw->bhw", torch.stack(weights), maps).relu()
    assert torch.allclose(AblationCAM("3")(Model(net), x, 2).heat[:, 0], expected)


def test_ablation_of_tokens_keeps_the_class_token():
    net = tiny_vit().double()
    x = X.double()
    found = AblationCAM("norm")(Model(net), x, 2)
    tokens, weights = [], []
    handle = net.norm.register_forward_hook(lambda m, a, out: tokens.append(out.detach()))
    y = net(x)[:, 2].detach()
    handle.remove()
    for k in range(8):

        def ablate(m: nn.Module, a: object, out: Tensor, k: int = k) -> Tensor:
            out = out.clone()
            out[:, 1:, k] = 0
            return out

        handle = net.norm.register_forward_hook(ablate)
        weights.append((y - net(x)[:, 2].detach()) / y.abs())
        handle.remove()
    maps = tokens[0][:, 1:].mT.reshape(3, 8, 4, 4)
    expected = torch.einsum("kb,bkhw->bhw", torch.stack(weights), maps).relu()
    assert torch.allclose(found.heat[:, 0], expected)


@each
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("plane", "quadratic")])
def test_every_kind_of_network(method: Attribution, kind: str):
    found = method(Model(KINDS[kind]()), X, 1)
    assert found.map.shape == (3, 1, 8, 8)
    assert found.map.isfinite().all()


@each
@pytest.mark.parametrize("space", SPACES)
def test_any_number_of_channels_and_dimensions(method: Attribution, space: str):
    net, x = SPACES[space]()
    found = method(Model(net), x)
    assert found.map.shape == (3, 1, *x.shape[2:])
    assert found.map.isfinite().all()


@each
def test_a_tail_that_raises_leaves_the_network_as_it_was(method: Attribution):
    class Fussy(nn.Module):
        calls = 0

        def forward(self, z: Tensor) -> Tensor:
            self.calls += 1
            if self.calls > 2:
                raise IndexError("not again")
            return z * 1.5

    net = nn.Sequential(*conv(), Fussy()).eval()
    with pytest.raises(Exception, match="not again"):
        type(method)("3")(Model(net, capacity=3), X, 1)
    assert not any("forward" in m.__dict__ or m._forward_hooks for m in net.modules())
