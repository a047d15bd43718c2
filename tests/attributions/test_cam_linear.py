"""With a mean and a linear head the logits are ``z = W mean(A) + b``: CAM is ``Σ_k W_ck A_k`` (Zhou et al., 2016)."""

import pytest
import torch
from torch import Tensor, nn

from oracles import KINDS, SPACES, conv, functional, images, residual, segmenter, tiny_vit
from unfool.attributions.base import Attribution
from unfool.attributions.cam import GradCAM, HiResCAM, XGradCAM
from unfool.attributions.cam_linear import CAM, EveryClass, all_classes
from unfool.attributions.cam_scores import AblationCAM
from unfool.attributions.counterfactual import Counterfactual
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import Between, Logit, LogProb
from unfool.targets import Channel

X = images(3, 3, 8, 8)


def parts(net: nn.Module, x: Tensor = X) -> tuple[Tensor, Tensor, Tensor]:
    """The maps before the head, its weights and its bias."""
    return net[:4](x).detach(), net[6].weight.detach(), net[6].bias.detach()


def test_cam_is_the_paper_s_sum_signed():
    net = conv()
    maps, weight, bias = parts(net)
    found = CAM()(Model(net), X, 2)
    assert torch.allclose(found.heat[:, 0], torch.einsum("k,bkhw->bhw", weight[2], maps), atol=1e-6)
    assert torch.allclose(found.heat.flatten(1).mean(1) + bias[2], net(X)[:, 2], atol=1e-6)
    assert min(CAM()(Model(net), X, c).heat.min() for c in range(5)) < 0


def test_of_a_difference_of_two_classes_cam_is_the_difference_of_their_maps():
    model = Model(conv())
    pairs = torch.tensor([[1, 3]] * 3)
    both = CAM()(model, X, 3).heat - CAM()(model, X, 1).heat
    found = CAM()(model, X, pairs, objective=Between()).heat
    assert torch.allclose(found, both, atol=1e-6)


@pytest.mark.parametrize("method", [GradCAM("3"), XGradCAM("3"), HiResCAM("3")], ids=repr)
def test_gradient_cams_are_cam_up_to_their_scale(method: Attribution):
    """Grad-CAM and HiResCAM: CAM / Z. XGrad-CAM: the same, as a constant gradient is its own mean under any weights."""
    net = conv()
    cam = CAM("3")(Model(net), X, 1).heat / 16
    if not isinstance(method, HiResCAM):
        cam = cam.relu()
    found = method(Model(net), X, 1).heat
    assert torch.allclose(found, cam, atol=1e-7)


@pytest.mark.parametrize("net", [conv, functional, residual, lambda: conv().double()])
def test_a_head_is_told_by_what_it_answers(net):
    x = X.double() if next(net().parameters()).dtype == torch.float64 else X
    found = CAM()(Model(net()), x, 1)
    cam = found.heat.flatten(1).mean(1)
    (head,) = [m for m in net().modules() if isinstance(m, nn.Linear)]
    assert torch.allclose(cam + head.bias[1].detach(), found.score, atol=1e-6)


class Pooled(nn.Module):
    """One convolution, then something, then a linear layer."""

    def __init__(self, pool: nn.Module, inputs: int = 4):
        super().__init__()
        self.conv, self.pool, self.flat = nn.Conv2d(3, 4, 3), pool, nn.Flatten()
        self.head = nn.Linear(inputs, 5)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flat(self.pool(self.conv(x))))


def test_a_relu_between_layer_and_mean_is_seen_through():
    net = Pooled(nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1)))
    maps = net.conv(X).relu().detach()
    found = CAM("conv")(Model(net), X, 2).heat[:, 0]
    assert torch.allclose(found, torch.einsum("k,bkhw->bhw", net.head.weight[2].detach(), maps), atol=1e-6)


WHY_NOT = [
    (Pooled(nn.AdaptiveMaxPool2d(1)), "conv", "more than a mean over positions"),
    (Pooled(nn.Sequential(nn.Tanh(), nn.AdaptiveAvgPool2d(1))), "conv", "more than a mean over positions"),
    (Pooled(nn.Identity(), 4 * 36), "conv", "takes 144 numbers and gives 5, layer 'conv' has 4 channels"),
    (segmenter(), "0", "there is no linear head"),
    (tiny_vit(), "norm", "more than a mean over positions"),
    (conv().bfloat16(), "3", "torch.bfloat16 is too coarse"),
]


@pytest.mark.parametrize(("net", "layer", "why"), WHY_NOT)
def test_where_there_is_no_such_head_the_error_says_why_and_what_to_do(net: nn.Module, layer: str, why: str):
    with pytest.raises(InputError, match=why) as caught:
        CAM(layer)(Model(net), X, 1)
    assert "GradCAM()" in caught.value.hint


def test_cam_explains_answers_only():
    with pytest.raises(InputError, match="CAM explains the network's answer"):
        CAM("3")(Model(conv()), X, 1, objective=Channel("2"))


# All classes.


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("plane", "quadratic", "segmenter")])
def test_maps_of_all_classes_are_those_of_each(kind: str):
    model = Model(KINDS[kind]())
    found = all_classes(model, X)
    n = model(X).shape[1]
    assert found.shape[:2] == (3, n)
    for c in range(n):
        one = GradCAM()(model, X, c).heat
        assert torch.allclose(found[:, c : c + 1].relu(), one, atol=0.05 if kind == "bfloat16" else 1e-6)


def test_maps_of_all_classes_of_a_volume():
    net, x = SPACES["volume"]()
    assert torch.allclose(
        all_classes(Model(net), x)[:, 2:3].relu(), GradCAM()(Model(net), x, 2).heat, atol=1e-7
    )


def test_all_classes_cost_one_pass_and_name_the_one_explained():
    found = EveryClass()(Model(conv()), X)
    assert found.cost == {"forward": 3}
    assert torch.equal(found.target, conv()(X).argmax(1))
    assert torch.equal(found.heat[:, 0], found.notes["classes"][torch.arange(3), found.target])
    assert torch.allclose(found.notes["class_scores"], conv()(X))
    with pytest.raises(InputError, match="explains logits"):
        EveryClass()(Model(conv()), X, objective=LogProb())


# The counterfactual.


def test_the_counterfactual_keeps_what_speaks_against():
    net = conv()
    model = Model(net)
    against = Counterfactual(GradCAM("3"))(model, X, 1)
    assert torch.allclose(against.heat, (-CAM("3")(model, X, 1).heat / 16).relu(), atol=1e-7)
    assert torch.allclose(against.score, Logit().score({"output": net(X)}, against.target))


@pytest.mark.parametrize("objective", [None, LogProb()])
def test_the_counterfactual_costs_what_its_inner_costs(objective):
    found = Counterfactual(GradCAM("3"))(Model(conv()), X, objective=objective)
    assert found.cost == {"forward": 3, "backward": 3}
    assert torch.equal(found.target, conv()(X).argmax(1))


# Ablation.


def test_ablation_s_closed_form_is_its_general_form():
    """One pass where the head is known; what stands behind it hides it."""
    net = conv().double()
    hidden = nn.Sequential(*net, Hidden()).eval()
    x = X.double()
    closed, general = AblationCAM("3")(Model(net), x, 1), AblationCAM("3")(Model(hidden), x, 1)
    assert closed.cost == {"forward": 3}
    assert general.cost["tail"] > 3
    assert torch.allclose(closed.heat, general.heat, atol=1e-12)
    assert closed.heat.max() > 0


class Hidden(nn.Module):
    """Leaves the network's answer but for a shift of all logits that no linear head gives."""

    def forward(self, z: Tensor) -> Tensor:
        return z + torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0])
