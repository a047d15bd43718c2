"""Rules by hand: with R what arrives, a ReLU passes R [x > 0]; guided R [x > 0] [R > 0]; deconvnet R [R > 0].

Springenberg et al. (2015, figure 1); the defects of other libraries that a layer's form or name decides.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles import conv, functional, images, residual, same, state_of
from unfool.attributions.base import Attribution
from unfool.attributions.cam import GradCAM
from unfool.attributions.gradient import Gradient
from unfool.attributions.relevance import PositiveExcitation
from unfool.attributions.rules import Bent, Deconv, Guided, GuidedGradCAM, Product
from unfool.attributions.wrappers import SmoothGrad
from unfool.errors import InputError
from unfool.model import Model
from unfool.targets import Channel, Neuron
from unfool.vision import torchvision

FORMS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "module": nn.ReLU,
    "module, in place": lambda: nn.ReLU(inplace=True),
    "F.relu": lambda: F.relu,
    "F.relu, in place": lambda: lambda t: F.relu(t, inplace=True),
    "torch.relu": lambda: torch.relu,
    "torch.relu_": lambda: torch.relu_,
    "method": lambda: Tensor.relu,
    "method, in place": lambda: Tensor.relu_,
    "in place, result dropped": lambda: lambda t: (t.relu_(), t)[1],
    "clamp": lambda: lambda t: t.clamp(min=0),
    "clamp_min": lambda: lambda t: t.clamp_min(0),
    "clamp, by place": lambda: lambda t: torch.clamp(t, 0),
    "threshold": lambda: nn.Threshold(0, 0),
    "ReLU6": nn.ReLU6,
    "F.relu6": lambda: F.relu6,
}


class Three(nn.Module):
    """s = a - 2 b + 3 c of ReLUs of (x0 - 0.5, x1 + 0.1, 1 - 2 x0 + x1), each seen through one more ReLU."""

    def __init__(self, act: Callable[[Tensor], Tensor]):
        super().__init__()
        self.act = act
        self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 2)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-2.0, 1.0]]))
            self.first.bias.copy_(torch.tensor([-0.5, 0.1, 1.0]))
            self.second.weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]]))
            self.second.bias.zero_()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.act(self.first(x.flatten(1))))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_three_relus_by_hand(form: str):
    model = Model(Three(FORMS[form]()))
    x = torch.tensor([[0.8, 0.5], [0.2, 0.5]]).view(2, 2, 1, 1)
    # units are 0.3, 0.6, -0.1 and -0.3, 0.6, 1.1; what arrives at them is 1, -2, 3
    expected = {
        Gradient(): [[1.0, -2.0], [-6.0, 1.0]],
        Bent(): [[1.0, 0.0], [-6.0, 3.0]],
        Bent(rule=Deconv()): [[1 - 6.0, 3.0], [1 - 6.0, 3.0]],
    }
    for method, heat in expected.items():
        found = method(model, x, 0)
        assert found.heat.flatten(1).tolist() == heat, method
        if isinstance(method, Bent):
            kind = "ReLU6_met" if "ReLU6" in form or "relu6" in form else "ReLU_met"
            assert {name: n.tolist() for name, n in found.notes.items()} == {kind: [1, 1]}
        assert found.score.tolist() == pytest.approx([0.3 - 1.2, -1.2 + 3.3])


def test_a_unit_at_its_ceiling_is_off():
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.ReLU6()).eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[10.0, 0.0], [0.0, 1.0]]))
        net[1].bias.zero_()
    x = torch.full((1, 2, 1, 1), 0.9)
    assert not Bent()(Model(net), x, 0).heat.any()
    assert Bent(rule=Deconv())(Model(net), x, 0).heat.flatten().tolist() == [10.0, 0.0]


def test_where_no_signal_is_negative_guided_is_the_gradient():
    net = conv().double()
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    x = images(2, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(Bent()(Model(net), x, 1).heat, Gradient()(Model(net), x, 1).heat)


class PreActivation(nn.Module):
    """y = conv(relu(h)) + h with h = conv(x): the skip carries negative signals, too."""

    def __init__(self, act: Callable[[Tensor], Tensor]):
        super().__init__()
        self.stem, self.conv, self.act = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), act
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        return (self.conv(self.act(h)) + h).mean((2, 3))


def test_a_skip_past_a_relu_is_not_clamped():
    """captum clamps the sum of both signals."""
    torch.manual_seed(0)
    net, x = PreActivation(F.relu).double(), images(2, 3, 8, 8, dtype=torch.float64)
    h = net.stem(x).detach()
    arrives = torch.zeros_like(h)
    arrives[:, 1] = 1 / h[0, 0].numel()
    branch = F.conv_transpose2d(arrives, net.conv.weight, padding=1).relu() * (h > 0)
    expected = F.conv_transpose2d(branch + arrives, net.stem.weight)
    assert torch.allclose(Bent()(Model(net), x, 1).heat, expected, atol=1e-12)
    assert (branch.relu() != branch + arrives).any()


def test_rules_do_not_change_scores_and_do_not_add_up():
    model, x = Model(residual()), images(2, 3, 8, 8)
    plain, first, second = Gradient()(model, x), Bent()(model, x), Bent()(model, x)
    assert torch.equal(first.score, plain.score)
    assert torch.equal(first.heat, second.heat)
    assert torch.equal(Gradient()(model, x).heat, plain.heat)


@pytest.mark.parametrize("make", [functional, residual])
def test_guided_is_not_the_gradient_whatever_form_the_relus_have(make: Callable[[], nn.Module]):
    model, x = Model(make()), images(2, 3, 8, 8)
    alike = torch.cosine_similarity(*(m(model, x, 0).heat.flatten(1) for m in (Bent(), Gradient())), dim=1)
    assert (alike < 0.95).all()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), [("googlenet", 64), ("inception_v3", 96)])
def test_networks_of_functional_relus_are_far_from_their_gradient(name: str, side: int):
    """captum, pytorch-grad-cam and zennit find no ReLU in them and give the plain gradient."""
    net = _of_torchvision(name)
    found = Bent()(model := Model(net), x := images(2, 3, side, side), 0)
    assert int(found.notes["ReLU_met"][0]) >= 57
    alike = torch.cosine_similarity(found.heat.flatten(1), Gradient()(model, x, 0).heat.flatten(1), dim=1)
    assert (alike < 0.5).all()


def _of_torchvision(name: str) -> nn.Module:
    """With weights drawn so that signals reach the image."""
    torchvision()
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inception = (
            {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
        )
        net = getattr(models, name)(weights=None, num_classes=5, **inception)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
    return net.eval()


@pytest.mark.slow
def test_a_network_without_relus_is_an_error_or_extended():
    model, x = Model(_of_torchvision("efficientnet_b0")), images(1, 3, 64, 64)
    with pytest.raises(InputError, match="only SiLU, which it does not cover") as error:
        Bent()(model, x, 0)
    assert "extend=True" in error.value.hint
    found = Bent(rule=Guided(extend=True))(model, x, 0)
    assert found.notes["SiLU_met"].tolist() == [49]
    assert (
        torch.cosine_similarity(found.heat.flatten(1), Gradient()(model, x, 0).heat.flatten(1)).item() < 0.9
    )


@pytest.mark.parametrize("form", [F.silu, F.gelu, nn.SiLU(inplace=True), nn.LeakyReLU(0.1, inplace=True)])
def test_extended_by_hand(form: Callable[[Tensor], Tensor]):
    """The activation's own derivative, where it is positive, stands for a ReLU's step."""
    net, x = Three(form).double(), torch.tensor([[0.1, 0.4]], dtype=torch.float64).view(1, 2, 1, 1)
    unit = (x.flatten(1) @ net.first.weight.T + net.first.bias).detach().requires_grad_()
    (slope,) = torch.autograd.grad(form(unit * 1).sum(), unit)
    arrives = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    guided = Bent(rule=Guided(extend=True))(Model(net), x, 0).heat.flatten(1)
    assert torch.allclose(guided, (arrives.relu() * slope.relu()) @ net.first.weight)
    deconv = Bent(rule=Deconv(extend=True))(Model(net), x, 0).heat.flatten(1)
    assert torch.allclose(deconv, arrives.relu() @ net.first.weight)


def test_what_a_rule_leaves_as_it_was_is_said():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    with pytest.warns(UserWarning, match="met ReLU 1, SiLU 0: extend=True"):
        found = Bent()(Model(net.eval()), images(2, 3, 8, 8), 0)
    assert {name: n.tolist() for name, n in found.notes.items()} == {"ReLU_met": [1, 1], "SiLU_met": [0, 0]}


def test_a_network_without_activations_is_an_error():
    with pytest.raises(InputError, match="nothing on the way"):
        Bent()(Model(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()), images(2, 3, 8, 8), 0)


def test_names_do_not_matter():
    """MONAI replaces modules whose name contains "relu"."""
    bare = conv()
    named = nn.Sequential()
    for k, module in enumerate(conv()):
        named.add_module(f"adn_{k}" if isinstance(module, nn.ReLU) else f"relu_{k}", module)
    x = images(2, 3, 8, 8)
    assert same(Bent()(Model(named.eval()), x, 0).heat, Bent()(Model(bare), x, 0).heat)


@pytest.mark.filterwarnings("ignore:.*jit")
@pytest.mark.parametrize("kind", ["scripted", "compiled"])
def test_what_cannot_be_looked_into_is_an_error(kind: str):
    net = conv()
    if kind == "scripted":
        net = torch.jit.trace(net, images(1, 3, 8, 8))
    else:
        net.compile()
    with pytest.raises(InputError, match=f"does not reach into the network, which is {kind}"):
        Bent()(Model(net), images(1, 3, 8, 8), 0)


def test_one_unit_or_one_channel_of_a_layer_has_its_own_maps():
    net, x = conv().double(), images(2, 3, 8, 8, dtype=torch.float64)
    model, size = Model(net), 3
    for method in (Gradient(), Bent(), Bent(rule=Deconv())):
        found = method(model, x, 2, objective=Neuron("0", (4, 4))).heat if method == Gradient() else None
        heat = method(model, x, 2, objective=Neuron("3", (1, 2))).heat
        away = heat.abs().sum((0, 1))
        seen = torch.zeros(8, 8, dtype=torch.bool)
        seen[0:5, 2:7] = True  # five by five about (2, 4), the field of two convolutions
        assert (away[~seen] == 0).all()
        assert away[seen].any()
        if found is not None:
            assert torch.allclose(found[0, :, size : size + 3, size : size + 3], net[0].weight[2])
    assert not same(
        Bent()(model, x, 2, objective=Channel("3")).heat, Gradient()(model, x, 2, objective=Channel("3")).heat
    )


def test_a_deconvnet_of_one_unit_goes_back_through_the_switches_of_max_pooling():
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 1)).eval()
    with torch.no_grad():
        net[0].weight.fill_(2.0)
        net[3].weight.fill_(1.0)
    x = images(1, 1, 4, 4)
    heat = Bent(rule=Deconv())(Model(net), x, 0, objective=Neuron("3", (0, 1))).heat[0, 0]
    window = x[0, 0, :2, 2:]
    expected = torch.zeros(4, 4)
    expected[:2, 2:] = 2.0 * (window == window.max())
    assert torch.equal(heat, expected)


@pytest.mark.parametrize("method", [GuidedGradCAM("0"), GuidedGradCAM("0", Deconv()), GuidedGradCAM("1")])
def test_guided_grad_cam_is_the_product_for_one_pass_forward_less(method: GuidedGradCAM):
    model, x = Model(conv()), images(2, 3, 8, 8)
    both = Product(Bent(rule=method.rule), GradCAM(method.layer))(model, x)
    found = method(model, x)
    assert torch.equal(found.heat, both.heat)
    assert found.heat.any()
    assert (found.cost["forward"], both.cost["forward"]) == (2, 4)


def test_the_layer_of_guided_grad_cam_is_weighted_by_the_true_gradient():
    model, x = Model(conv()), images(2, 3, 8, 8)
    bent = Product(Bent(), Bent(GradCAM("0")))(model, x).heat
    true = GuidedGradCAM("0")(model, x).heat
    assert (true - bent).abs().max() > 0.1 * true.abs().max()


def test_wrappers_take_either_order():
    model, x = Model(conv()), images(2, 3, 8, 8)
    inside = SmoothGrad(Bent(), samples=3)(model, x, seed=1).heat
    outside = Bent(SmoothGrad(samples=3))(model, x, seed=1).heat
    assert torch.equal(inside, outside)


def test_a_tail_is_guided_too():
    model, x = Model(conv()), images(2, 3, 8, 8)
    assert Bent(GradCAM("0"))(model, x, 0).notes["ReLU_met"].tolist() == [2, 2]
    assert Bent(GradCAM("1"))(model, x, 0).notes["ReLU_met"].tolist() == [1, 1]
    with pytest.raises(InputError, match="nothing on the way"):
        Bent(GradCAM("3"))(model, x, 0)


class _Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("broken")


@pytest.mark.parametrize("method", [Bent(), GuidedGradCAM("0"), Bent(rule=PositiveExcitation())], ids=repr)
def test_nothing_is_left_after_an_exception(method: Attribution):
    net = nn.Sequential(*conv(), _Broken()).train()
    model, x, before = Model(net.eval()), images(2, 3, 8, 8), state_of(net)
    with pytest.raises(InputError, match="broken"):
        method(model, x, 0)
    assert state_of(net) == before
    t = torch.tensor([-1.0], requires_grad=True)
    (-F.relu(t + 2)).backward()
    assert t.grad is not None
    assert t.grad.item() == -1.0  # ReLUs are themselves again


def test_winning_probabilities_by_hand():
    """Zhang et al. (2018, eq. 1): each winner's probability among its excitatory inputs, a * w+ over their sum."""
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)
    ).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, -1.0], [2.0, 1.0]]))
        net[3].weight.copy_(torch.tensor([[1.0, 3.0]]))
    x = torch.tensor([0.75, 0.25], dtype=torch.float64).view(1, 2, 1, 1)
    found = Bent(Gradient(), PositiveExcitation())(Model(net.eval()), x, 0, objective=Channel("3"))
    units = torch.tensor([0.5, 1.75], dtype=torch.float64)  # the second is 5.25 of 5.75
    share = units * torch.tensor([1.0, 3.0]) / 5.75
    expected = torch.stack([share[0] + share[1] * 1.5 / 1.75, share[1] * 0.25 / 1.75]) * 5.75
    assert torch.allclose((found.heat * x).flatten(), expected)
