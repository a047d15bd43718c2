"""Passes are contracts: counted in the network, where they happen, as well as where they are noted."""

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import Plane, images, residual
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.noise import RandomNoise
from unfool.attacks.wrappers import Best, Repeated, Smallest
from unfool.attributions.baselines import BASELINES
from unfool.attributions.cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from unfool.attributions.cam_factors import EigenCAM, EigenGradCAM
from unfool.attributions.cam_linear import CAM
from unfool.attributions.cam_scores import AblationCAM, ScoreCAM
from unfool.attributions.counterfactual import Counterfactual
from unfool.attributions.fullgrad import FullGrad
from unfool.attributions.gradient import Gradient, GradientTimesInput, IntegratedGradients
from unfool.attributions.occlusion import Occlusion
from unfool.attributions.panels import NoiseLevels, OcclusionPanels, OtherFills
from unfool.attributions.relevance import LRP
from unfool.attributions.rules import Bent, GuidedGradCAM
from unfool.attributions.wrappers import SmoothGrad, VarGrad
from unfool.method import Method
from unfool.model import Model
from unfool.regions import Linf
from unfool.slopes import NES, Expectation
from unfool.targets import Channel

B = 4
X = images(B, 3, 8, 8)


class _Count(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: dict[str, int]) -> Tensor:
        ctx.counts = counts
        counts["forward"] += len(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        ctx.counts["backward"] += len(grads[0])
        return grads[0], None


class Counts(nn.Module):
    """Counts the rows that pass, either way."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = {"forward": 0, "backward": 0}

    def forward(self, x: Tensor) -> Tensor:
        return _Count.apply(x, self.counts)


class _Wall(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise AssertionError("went further back than needed")


class Wall(nn.Module):
    """Lets nothing back."""

    def forward(self, x: Tensor) -> Tensor:
        return _Wall.apply(x)


class _Frugal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        assert not ctx.needs_input_grad[1], "a gradient of the weights is being computed"
        return grads[0] @ ctx.saved_tensors[0], None


class Frugal(nn.Module):
    """A linear layer that refuses to compute a gradient of its weights."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, inputs * outputs).view(outputs, inputs).sin())

    def forward(self, x: Tensor) -> Tensor:
        return _Frugal.apply(x, self.weight)


COSTS: list[tuple[Method, float, float]] = [  # forward and backward passes per image, the judge's included
    (FGSM(), 2, 1),
    (PGD(steps=7, random_start=False), 8, 7),
    (PGD(steps=7), 8, 7),
    (PGD(steps=3, slope=NES(samples=5)), 3 * 11 + 1, 0),
    (FGSM(slope=Expectation(samples=5)), 5 + 1 + 1, 5),
    (RandomNoise(), 1, 0),
    (RandomNoise(draws=6), 6, 0),
    (Repeated(FGSM(), 3), 3 + 2 + 1, 3),
    (Best((FGSM(), PGD(steps=2))), 1 + 1 + 2 + 1, 3),
    (Smallest(FGSM(), halvings=5), 1 + 2 + 1, 1),  # nothing to halve where nothing flips
    (Gradient(), 1, 1),
    (GradientTimesInput(), 1, 1),
    (GradCAM("conv"), 1, 1),
    (GradCAMPlusPlus("conv"), 1, 1),
    (LayerCAM("conv"), 1, 1),
    (HiResCAM("conv"), 1, 1),
    (GradCAM(("0.stem.2", "0.conv", "0.relu")), 1, 1),
    (GradCAM("all"), 1, 1),
    (EigenCAM("conv"), 1, 0),
    (EigenGradCAM("conv"), 1, 1),
    (AblationCAM("0.relu"), 1, 0),
    (CAM("0.relu"), 1, 0),
    (Occlusion((4,), (4,)), 1 + 4, 0),
    (OcclusionPanels((4,), (4,), layer="0.relu"), 1 + 4, 0),
    (NoiseLevels(SmoothGrad(samples=3), (0.0, 0.1, 0.3)), 1 + 3 + 1 + 3 + 3, 3 + 1 + 3 + 3),
    (OtherFills(Occlusion((4,), (4,)), ("zero", "mean")), 3 * (1 + 4), 0),
    (ScoreCAM("conv"), 1 + 8, 0),
    (Counterfactual(GradCAM("conv")), 1, 1),
    (FullGrad(), 1, 1),
    (IntegratedGradients(9, tolerance=1), 11, 9),
    (GuidedGradCAM("conv"), 1, 2),
    (Bent(), 1, 1),
    (LRP(), 1, 1),
    (SmoothGrad(samples=9), 10, 9),
    (VarGrad(GradCAM("conv"), samples=3), 4, 3),
    (Occlusion((4,), (4,)), 1 + 4, 0),
    *((baseline, 1, 0) for baseline in BASELINES),  # no look but the score
]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("method", "forward", "backward"), COSTS, ids=lambda v: repr(v) if isinstance(v, Method) else ""
)
def test_passes_per_image(method: Any, forward: float, backward: float, known: bool):
    counts, net = Counts(), residual()
    whole = nn.Sequential(net, counts).eval()
    model = Model(whole)
    y = model(X).argmax(1)
    model.spatial_layers(X)  # seen once
    counts.counts.update(forward=0, backward=0)
    if isinstance(method, (FGSM, PGD, RandomNoise, Repeated, Best, Smallest)):
        found = method(model, X, y, within=Linf(1e-6))  # so small that nothing flips and no row leaves
        assert not found.success.any()
    else:
        method = type(method)(
            **{k: _inside(getattr(method, k)) for k in (field.name for field in fields(method))}
        )
        found = method(model, X, y if known else None)
        assert torch.equal(found.target, y)
    assert found.cost.get("forward", 0) == counts.counts["forward"] == forward * B
    assert found.cost.get("backward", 0) == counts.counts["backward"] == backward * B


def _inside(value: Any) -> Any:
    """The same layer's name within the counted network."""
    return "0.conv" if value == "conv" else GradCAM("0.conv") if value == GradCAM("conv") else value


@pytest.mark.parametrize("method", [GradCAM, GradCAMPlusPlus, LayerCAM])
def test_a_class_activation_map_goes_back_no_further_than_its_layer(method: type[GradCAM]):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Wall(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3)).eval()
    found = method("2")(Model(net), X)
    assert found.cost == {"forward": B, "backward": B}
    with pytest.raises(AssertionError, match="further back"):
        Gradient()(Model(net), X)


def test_a_score_at_a_layer_goes_forward_no_further_than_that_layer():
    net = residual()
    net.head.register_forward_hook(lambda *_: pytest.fail("went on"))
    Gradient()(Model(net), X, 1, objective=Channel("conv"))


def test_no_gradient_of_the_weights_is_computed():
    net = nn.Sequential(nn.Flatten(), Frugal(192, 6), nn.Tanh(), Frugal(6, 3)).eval()
    assert all(p.requires_grad for p in net.parameters())
    with pytest.raises(AssertionError, match="gradient of the weights"):
        net(X).sum().backward()
    for method in (Gradient(), SmoothGrad(samples=2), IntegratedGradients(2, tolerance=1)):
        method(Model(net), X)
    for attack in (FGSM(), PGD(steps=2)):
        attack(Model(net), X, 0)


def test_rows_that_are_done_leave():
    net = Plane(3, 8, 8)
    x = images(40, 3, 8, 8)
    y = net.label(x)
    eps = 4 * float(net.radius(x, "Linf").max())
    found = PGD(steps=20, random_start=False)(Model(net), x, y, within=Linf(eps))
    assert found.success.all()
    assert found.cost["backward"] < 40 * 20 / 2
    none = PGD(steps=20)(Model(net), x, 1 - y, within=Linf(1e-6))  # wrong before: one look each
    assert none.cost == {"forward": 40 + 40, "backward": 40}


def test_an_image_that_is_wrong_to_begin_with_costs_smallest_two_passes():
    net = Plane(3, 8, 8)
    found = Smallest(PGD())(Model(net), X, 1 - net.label(X))
    assert found.cost == {"forward": 2 * B}


def test_halving_costs_one_attack_and_one_look_each_time():
    net = Plane(3, 8, 8)
    found = Smallest(FGSM(), halvings=5)(Model(net), X, net.label(X), within=Linf(0.5))
    assert found.success.all()
    assert found.cost == {"forward": B * (1 + 6 * 2 + 1), "backward": B * 6}


def test_copies_of_an_image_share_passes_as_far_as_the_model_holds():
    sizes: list[int] = []
    net = residual()
    net.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    SmoothGrad(samples=10)(Model(net, capacity=20), X, 1)
    assert sizes == [20, 20, 4]  # 10 copies of 4, and the score
