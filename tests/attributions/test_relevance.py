"""Relevance is handed down, never made: R_i = sum over j of x_i w_ij / (sum over k of x_k w_kj) R_j and its relatives.

Bach et al. (2015, eq. 56 and 58), Montavon et al. (2017: z+, z^B; 2019: gamma), Zhang et al. (2018). Without biases the
map's sum is the score; with epsilon and biases it lacks the biases' own contribution, computed here by their gradient.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles import conv, functional, images, residual, seeded, shared, tiny_vit
from unfool.attributions.base import Attribution
from unfool.attributions.cam import LayerCAM
from unfool.attributions.gradient import GradientTimesInput
from unfool.attributions.relevance import LRP, PositiveExcitation
from unfool.attributions.rules import Bent
from unfool.attributions.shares import Epsilon, Flat, Gamma, ZBox, ZPlus
from unfool.errors import InputError, SpecError
from unfool.model import Model
from unfool.objectives import Margin
from unfool.targets import Channel
from unfool.vision import torchvision

EXACT = Epsilon(epsilon=0)
COMPOSITES = [
    LRP(linear=EXACT),
    LRP(Flat(), ZPlus(), EXACT),
    LRP(ZPlus(), ZPlus(), ZPlus()),
    LRP(Gamma(), Gamma(0.5), Gamma()),
    LRP(EXACT, EXACT, EXACT),
]
composites = pytest.mark.parametrize("lrp", COMPOSITES, ids=repr)


def vgg() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten()),
        *(nn.Linear(32, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 5)),
    )


class Dense(nn.Module):
    """Every layer sees all before it, its batch norm comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4 * k) for k in (1, 2)])
        self.convs = nn.ModuleList([nn.Conv2d(4 * k, 4, 3, padding=1) for k in (1, 2)])
        self.pool, self.up, self.head = (
            nn.AvgPool2d(2),
            nn.ConvTranspose2d(12, 6, 2, stride=2),
            nn.Linear(6, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.stem(x)]
        for norm, layer in zip(self.norms, self.convs, strict=True):
            seen.append(layer(F.relu(norm(torch.cat(seen, 1)))))
        up = self.up(self.pool(F.relu(torch.cat(seen, 1))))
        return self.head(F.interpolate(up, scale_factor=2, mode="bilinear").relu().mean((2, 3)))


class WithImage(nn.Module):
    """The image itself goes on beside what is made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(7, 5, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = (self.first(x) + self.second(x)).relu()
        return self.last(torch.cat([x, h], 1)).mean((2, 3))


NETS: dict[str, Callable[[], nn.Module]] = {
    "in place": conv,
    "functional": functional,
    "residual": residual,
    "shared": shared,
    "VGG": seeded(vgg),
    "dense": seeded(Dense),
    "image twice": seeded(WithImage),
}


def without_biases(net: nn.Module) -> nn.Module:
    """In float64, batch norms with a scale and a spread of their own but nothing added."""
    with torch.no_grad():
        for module in net.double().modules():
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.zero_()
                module.running_var.copy_(torch.linspace(0.5, 2, len(module.running_var)))
                module.weight.copy_(torch.linspace(-0.5, 1.5, len(module.weight)))
    return net.eval()


@composites
@pytest.mark.parametrize("name", NETS, ids=str)
def test_the_sum_of_the_map_is_the_score(name: str, lrp: LRP):
    x = images(3, 3, 8, 8, dtype=torch.float64)
    for model in (Model(net := without_biases(NETS[name]())), Model(net, mean=(0.4, 0.5, 0.3), std=0.25)):
        for target in range(5):
            found = lrp(model, x, target)
            size = found.heat.abs().flatten(1).sum(1).clamp_min(found.score.abs())
            assert ((found.heat.flatten(1).sum(1) - found.score).abs() <= 1e-9 * size + 1e-15).all()
            assert found.heat.shape == (3, 1, 8, 8)


@pytest.mark.parametrize("name", ["in place", "functional", "VGG"])
def test_by_contribution_it_lacks_what_biases_contribute(name: str):
    net, x = NETS[name]().double(), images(3, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.01)
    found = LRP(EXACT, EXACT, EXACT)(Model(net), x, 1)
    for k in range(3):
        biases = [p for n, p in net.named_parameters() if n.endswith("bias")]
        grads = torch.autograd.grad(net(x[k : k + 1])[0, 1], biases)
        share = sum((p * g).sum() for p, g in zip(biases, grads, strict=True)).item()
        if name == "VGG":  # its batch norm's mean is none: running statistics are 0 and 1
            assert float(net[1].running_mean.abs().max()) == 0
        assert found.heat[k].sum().item() + share == pytest.approx(found.score[k].item(), abs=1e-12)


@pytest.mark.parametrize("net", [NETS["in place"], NETS["residual"]], ids=["plain", "residual"])
def test_by_contribution_it_is_the_gradient_times_the_input(net: Callable[[], nn.Module]):
    model, x = Model(net().double()), images(3, 3, 8, 8, dtype=torch.float64)
    both = (method(model, x, 0).heat for method in (LRP(EXACT, EXACT, EXACT), GradientTimesInput()))
    assert torch.allclose(*both, atol=1e-12)


def one_row() -> tuple[nn.Module, Tensor, Tensor]:
    """Two outputs of three pixels in a row: the network, its matrix [2, 3] and the pixels."""
    w = torch.tensor([[1.0, -2.0, 3.0], [-1.0, 0.5, -4.0]], dtype=torch.float64)
    x = torch.tensor([0.5, 0.25, 0.75], dtype=torch.float64)
    net = nn.Sequential(nn.Conv2d(1, 2, (1, 3), bias=False), nn.Flatten()).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(w[:, None, None])
    return net, w, x


@pytest.mark.parametrize("k", [0, 1])
def test_each_rule_by_hand(k: int):
    """Outputs are 2.25 (raised by the first and the last) and -3.375 (lowered by them)."""
    net, w, x = one_row()
    z, y = x * w[k], float(x @ w[k])
    own = z.relu() if y > 0 else -(-z).relu()
    above = x * w[k].clamp(min=0) + (x - 1.0) * w[k].clamp(max=0)
    expected = {
        EXACT: z,
        Epsilon(0.5): z * y / (y + 0.5 * (1 if y > 0 else -1)),
        ZPlus(): own / own.sum() * y,
        Gamma(0.5): (z + 0.5 * own) / (z + 0.5 * own).sum() * y,
        ZBox(): above / above.sum() * y,
        Flat(): torch.full_like(x, y / 3),
    }
    for rule, relevance in expected.items():
        found = LRP(rule)(Model(net), x.view(1, 1, 1, 3), k)
        assert torch.allclose(found.heat.flatten(), relevance), rule


def test_inputs_below_zero_count_by_the_sign_of_their_contribution():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False)).double().eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[2.0, -1.0, 1.0]]))
    x = torch.tensor([0.9, 0.1, 0.2], dtype=torch.float64)  # the network sees 0.4, -0.4, -0.3
    found = LRP(ZPlus())(Model(net, mean=0.5), x.view(1, 1, 1, 3), 0, objective=Channel("1"))
    own = torch.tensor([0.8, 0.4, 0.0], dtype=torch.float64)
    assert torch.allclose(found.heat.flatten(), own / own.sum() * 0.9)


def test_pixels_have_the_range_the_network_sees():
    """z^B: the ends are (0 - mean) / std and (1 - mean) / std, whoever subtracts and divides."""
    net, w, x = one_row()
    seen, low, high = ((t - 0.4) / 0.2 for t in (x, 0.0, 1.0))
    share = seen * w[0] - low * w[0].clamp(min=0) - high * w[0].clamp(max=0)
    expected = share / share.sum() * float(seen @ w[0])

    class Inside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 0.4) / 0.2

    outside = Model(net, mean=0.4, std=0.2)
    inside = Model(nn.Sequential(Inside(), net).eval())
    for model in (outside, inside):
        assert torch.allclose(LRP()(model, x.view(1, 1, 1, 3), 0).heat.flatten(), expected)


def test_a_batch_norm_is_folded_into_what_it_follows():
    """The same function as one convolution, so the same relevance, negative scales included."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3, bias=False),
        nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4),
    ).double().eval()  # fmt: skip
    for k in (1, 4):
        for t in (net[k].weight, net[k].bias, net[k].running_mean):
            t.data.normal_()
        net[k].running_var.uniform_(0.5, 2)
    folded = nn.Sequential(*net)
    for k in (0, 3):
        folded[k] = nn.utils.fusion.fuse_conv_bn_eval(net[k], net[k + 1])
        folded[k + 1] = nn.Identity()
    x = images(2, 3, 8, 8, dtype=torch.float64)
    for lrp in (*COMPOSITES, LRP()):
        assert torch.allclose(lrp(Model(net), x, 0).heat, lrp(Model(folded.eval()), x, 0).heat, atol=1e-12), (
            lrp
        )


def test_a_convolution_used_beside_its_batch_norm_keeps_both():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x)
            return self.head((self.norm(h).relu() + h).relu().mean((2, 3)))

    net, x = without_biases(seeded(Twice)()), images(2, 3, 8, 8, dtype=torch.float64)
    for lrp in COMPOSITES:
        found = lrp(Model(net), x, 1)
        assert torch.allclose(found.heat.flatten(1).sum(1), found.score)


def test_a_maximum_takes_all():
    net = (
        nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        .double()
        .eval()
    )
    nn.init.ones_(net[0].weight)
    x = images(1, 1, 4, 4, dtype=torch.float64)
    heat = LRP(ZPlus())(Model(net), x, 0).heat[0, 0]
    window = x[0, 0, :2, :2]
    assert torch.allclose(heat[:2, :2], window * (window == window.max()))
    assert not heat[2:].any()


def test_no_share_is_larger_than_its_whole():
    """Where contributions nearly cancel, what goes down is no more than what came."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 1, bias=False)).double().eval()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, -1.0 + 1e-9]]))
    x = torch.tensor([0.7, 0.7], dtype=torch.float64).view(1, 1, 1, 2)
    plus = LRP(ZPlus())(Model(net), x, 0, objective=Channel("1"))
    assert plus.heat.abs().sum().item() == pytest.approx(plus.score.abs().item(), rel=1e-6)


class TwoSizes(nn.Module):
    """Reads the image, and then a smaller one made of it, or patches of it one by one."""

    def __init__(self, patches: bool):
        super().__init__()
        self.large, self.small, self.patches = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), patches

    def forward(self, x: Tensor) -> Tensor:
        if self.patches:
            parts = F.unfold(x, 4, stride=4).mT.reshape(-1, 3, 4, 4)
            return self.large(parts).relu().mean((2, 3)).view(len(x), -1, 4).mean(1)
        return self.large(x).relu().mean((2, 3)) + self.small(F.avg_pool2d(x, 2)).relu().mean((2, 3))


@pytest.mark.parametrize("patches", [False, True])
def test_an_image_read_at_two_sizes_or_in_parts_has_no_rule_for_pixels(patches: bool):
    model, x = Model(without_biases(TwoSizes(patches))), images(2, 3, 8, 8, dtype=torch.float64)
    with pytest.raises(InputError, match="not the image") as caught:
        LRP()(model, x, 0)
    assert "first=Epsilon()" in caught.value.hint
    found = LRP(EXACT)(model, x, 0)
    assert torch.allclose(found.heat.flatten(1).sum(1), found.score)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "densenet121", "mobilenet_v2"])
def test_networks_of_torchvision_conserve(name: str):
    """captum's relevance of a ResNet-18 sums to 8e11 for a score of 0.3, and it refuses MobileNetV2."""
    torchvision()
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = getattr(models, name)(weights=None, num_classes=10)
    model, x = Model(without_biases(net)), images(1, 3, 64, 64, dtype=torch.float64)
    for lrp in (LRP(linear=EXACT), LRP(Flat(), ZPlus(), EXACT)):
        found = lrp(model, x, 3)
        total, size = found.heat.sum().item(), found.heat.abs().sum().item()
        assert total == pytest.approx(found.score.item(), rel=1e-6, abs=1e-9 * size)
        assert size < 1e3 * abs(found.score.item())


@pytest.mark.parametrize(
    "act", [nn.GELU(), nn.SiLU(inplace=True), nn.Hardswish(), nn.Tanh(), nn.LeakyReLU()], ids=repr
)
def test_other_activations_need_the_extension_and_conserve_with_it(act: nn.Module):
    net = without_biases(nn.Sequential(nn.Conv2d(3, 8, 3), act, nn.Flatten(), nn.Linear(288, 4)))
    x = images(2, 3, 8, 8, dtype=torch.float64)
    with pytest.raises(InputError, match=f"no rule for {type(act).__name__}") as error:
        LRP()(Model(net), x, 0)
    assert "extend=True" in error.value.hint
    for lrp in (LRP(linear=EXACT, extend=True), LRP(EXACT, EXACT, EXACT, True)):
        found = lrp(Model(net), x, 0)
        assert torch.allclose(found.heat.flatten(1).sum(1), found.score)


def test_gates_and_products_conserve_with_the_extension():
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x).relu()
            h = h * self.gate(h.mean((2, 3))).sigmoid()[..., None, None]
            return self.head((h * h).mean((2, 3)))

    model, x = Model(without_biases(seeded(Gated)())), images(2, 3, 8, 8, dtype=torch.float64)
    with pytest.raises(InputError, match="no rule for a gate"):
        LRP()(model, x, 0)
    found = LRP(linear=EXACT, extend=True)(model, x, 0)
    assert torch.allclose(found.heat.flatten(1).sum(1), found.score)


def test_transformers_conserve_with_the_extension():
    """Ali et al. (2022): attention's weights and the spread of a LayerNorm count as numbers."""
    net = without_biases(tiny_vit())
    for name, p in net.named_parameters():
        if "bias" in name or name == "token":
            p.data.zero_()
    model, x = Model(net), images(2, 3, 8, 8, dtype=torch.float64)
    with pytest.raises(InputError, match="no rule for LayerNorm"):
        LRP()(model, x, 0)
    found = LRP(EXACT, EXACT, EXACT, extend=True)(model, x, 0)
    assert torch.allclose(found.heat.flatten(1).sum(1), found.score)
    assert torch.allclose(found.score, model(x)[:, 0])
    assert found.heat.any()


def test_group_norm_is_what_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    net = net.double().eval()
    nn.init.uniform_(net[1].weight)
    nn.init.uniform_(net[1].bias)
    model, x = Model(net), images(2, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(LRP(extend=True)(model, x, 0).score, model(x)[:, 0])


def test_what_has_no_rule_at_all_is_said():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 3)).eval()
    with pytest.raises(InputError, match="no rule for softplus"):
        LRP(extend=True)(Model(net), images(2, 3, 8, 8), 0)


@pytest.mark.parametrize("rule", [ZBox(), Flat()], ids=repr)
def test_rules_for_pixels_are_for_pixels(rule: ZBox):
    for name in ("convolution", "linear"):
        with pytest.raises(SpecError, match=f"LRP.{name} must be Epsilon.*for what reads the image"):
            LRP(**{name: rule})


def test_any_score_can_be_handed_down():
    model, x = Model(without_biases(conv())), images(2, 3, 8, 8, dtype=torch.float64)
    for objective in (Margin(), Channel("2")):
        found = LRP(linear=EXACT)(model, x, 1, objective=objective)
        assert torch.allclose(found.heat.flatten(1).sum(1), found.score)


def test_relevance_of_a_layer_is_its_activation_times_what_arrives():
    """Under the rule Layer-CAM's product is the winning probabilities, positive and of the score's size."""
    net, x = without_biases(conv()), images(2, 3, 8, 8, dtype=torch.float64)
    found = Bent(LayerCAM("1"), PositiveExcitation())(Model(net), x, int(Model(net)(x[:1]).argmax()))
    assert torch.allclose(found.heat.flatten(1).sum(1), found.score)


@pytest.mark.parametrize("shape", [(2, 1, 16), (2, 2, 6, 8, 8), (2, 1, 9, 7)])
def test_any_number_of_dimensions(shape: tuple[int, ...]):
    net = without_biases(conv(shape[1], dims=len(shape) - 2))
    x = images(*shape, dtype=torch.float64)
    for lrp in COMPOSITES:
        found = lrp(Model(net), x, 0)
        assert torch.allclose(found.heat.flatten(1).sum(1), found.score)
        assert found.heat.shape == (2, 1, *shape[2:])


@pytest.mark.parametrize("method", [LRP(), LRP(Flat(), ZPlus())], ids=repr)
def test_called_twice_it_gives_the_same(method: Attribution):
    model, x = Model(residual()), images(2, 3, 8, 8)
    assert torch.equal(method(model, x, 0).heat, method(model, x, 0).heat)
    assert method(model, x, 0).notes["Conv_met"].tolist() == [2, 2]


def test_it_takes_one_pass_there_and_one_back():
    found = LRP()(Model(residual()), images(2, 3, 8, 8), 0)
    assert found.cost == {"forward": 2, "backward": 2}
