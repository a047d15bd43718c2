"""The tasks, and how each library does them. A library that is not installed raises ImportError and is left out."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from ..attacks.gradient import FGSM, PGD
from ..attributions.cam import GradCAM, GradCAMPlusPlus, LayerCAM
from ..attributions.cam_factors import EigenCAM
from ..attributions.cam_scores import AblationCAM, ScoreCAM
from ..attributions.gradient import Gradient
from ..attributions.relevance import LRP
from ..attributions.rules import Bent, GuidedGradCAM
from ..attributions.shares import Flat, ZPlus
from ..model import Model
from ..regions import Linf
from ..vision import torchvision
from .setting import Setting
from .timing import Action

Contender = Callable[[Setting], Action]
STEPS = 10


def explaining(method: Any) -> Contender:
    def prepared(s: Setting) -> Action:
        model = Model(s.net)
        return lambda: method(model, s.x, s.y)

    return prepared


def behind(method: Any) -> Contender:
    """The same where something stands behind the head, so that no formula holds."""

    def prepared(s: Setting) -> Action:
        model = Model(nn.Sequential(OrderedDict(net=s.net, scale=Tenfold())).eval())
        hidden = replace(method, layer=f"net.{s.layer}")
        return lambda: hidden(model, s.x, s.y)

    return prepared


class Tenfold(nn.Module):
    """Logits ten times as large."""

    def forward(self, z: Tensor) -> Tensor:
        return 10 * z


def attacking(method: Any, fast: bool = False) -> Contender:
    def prepared(s: Setting) -> Action:
        model = Model(s.net, fast=fast)
        return lambda: method(model, s.x, s.y, within=Linf(s.eps)).x

    return prepared


def captum_saliency(s: Setting) -> Action:
    saliency = import_module("captum.attr").Saliency(s.net)
    return lambda: saliency.attribute(s.x.clone().requires_grad_(), target=s.y, abs=False)


def captum_grad_cam(s: Setting) -> Action:
    cam = import_module("captum.attr").LayerGradCam(s.net, s.last)
    return lambda: cam.attribute(s.x, target=s.y)


def captum_guided(method: str, *last: str) -> Contender:
    def prepared(s: Setting) -> Action:
        found = getattr(import_module("captum.attr"), method)(s.net, *(s.last for _ in last))
        return lambda: found.attribute(s.x, target=s.y)

    return prepared


def zennit(composite: str, **options: Any) -> Contender:
    def prepared(s: Setting) -> Action:
        torchvision()  # which it imports
        gradient: Any = import_module("zennit.attribution").Gradient
        canonizers: Any = import_module("zennit.torchvision")
        kind = "ResNetCanonizer" if "resnet" in s.name else "VGGCanonizer"
        rules = getattr(import_module("zennit.composites"), composite)(
            canonizers=[getattr(canonizers, kind)()], **options
        )

        def action() -> Any:
            with gradient(model=s.net, composite=rules) as attributor:
                return attributor(s.x, lambda out: torch.zeros_like(out).scatter(1, s.y[:, None], 1))

        return action

    return prepared


def pytorch_grad_cam(method: str) -> Contender:
    def prepared(s: Setting) -> Action:
        library: Any = import_module("pytorch_grad_cam")
        target = import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
        cam = getattr(library, method)(model=s.net, target_layers=[s.last])
        return lambda: cam(input_tensor=s.x, targets=[target(int(label)) for label in s.y])

    return prepared


def torch_cam(method: str) -> Contender:
    def prepared(s: Setting) -> Action:
        extractor: Any = getattr(import_module("torchcam.methods"), method)(s.net, s.layer)

        def action() -> Any:  # its hooks stay on the network for as long as they are switched on
            extractor.enable_hooks()
            try:
                return extractor(s.y.tolist(), s.net(s.x))
            finally:
                extractor.disable_hooks()

        extractor.disable_hooks()
        return action

    return prepared


def foolbox(method: str, **options: Any) -> Contender:
    def prepared(s: Setting) -> Action:
        library: Any = import_module("foolbox")
        model = library.PyTorchModel(s.net, bounds=(0, 1), device=s.x.device)
        attack = getattr(library.attacks, method)(**options)
        return lambda: attack(model, s.x, s.y, epsilons=s.eps)[1]

    return prepared


def torchattacks(s: Setting) -> Action:
    attack = import_module("torchattacks").PGD(s.net, eps=s.eps, alpha=s.eps / 4, steps=STEPS)
    return lambda: attack(s.x, s.y)


def cleverhans(s: Setting) -> Action:
    path = "cleverhans.torch.attacks.projected_gradient_descent"
    attack: Any = import_module(path).projected_gradient_descent
    box = {"clip_min": 0.0, "clip_max": 1.0, "sanity_checks": False}
    return lambda: attack(s.net, s.x, s.eps, s.eps / 4, STEPS, float("inf"), y=s.y, **box)


def adversarial_robustness_toolbox(s: Setting) -> Action:
    classifier: Any = import_module("art.estimators.classification").PyTorchClassifier
    shape = tuple(s.x.shape[1:])
    wrapped = classifier(
        s.net, nn.CrossEntropyLoss(), shape, int(Model(s.net)(s.x).shape[1]), clip_values=(0, 1)
    )
    attacks: Any = import_module("art.attacks.evasion")
    attack = attacks.ProjectedGradientDescent(
        wrapped, eps=s.eps, eps_step=s.eps / 4, max_iter=STEPS, batch_size=len(s.x), verbose=False
    )
    x, y = s.x.cpu().numpy(), s.y.cpu().numpy()
    return lambda: torch.from_numpy(attack.generate(x=x, y=y)).to(s.x)


def adv_lib(s: Setting) -> Action:
    torchvision()  # which it imports
    attack: Any = import_module("adv_lib.attacks").pgd_linf
    return lambda: attack(s.net, s.x, s.y, ε=s.eps, steps=STEPS, relative_step_size=0.25)


def plain_gradient(s: Setting) -> Action:
    """What a user would write by hand: weights that want gradients get them, too."""

    def action() -> Tensor:
        x = s.x.clone().requires_grad_()
        s.net(x).gather(1, s.y[:, None]).sum().backward()
        assert x.grad is not None
        return x.grad

    return action


STRONG: dict[str, Contender] = {
    "unfool": attacking(PGD(steps=STEPS)),
    "unfool, fast copy": attacking(PGD(steps=STEPS), fast=True),
    "torchattacks": torchattacks,
    "adv-lib": adv_lib,
    "foolbox": foolbox("LinfPGD", steps=STEPS, rel_stepsize=0.25),
    "cleverhans": cleverhans,
    "adversarial-robustness-toolbox": adversarial_robustness_toolbox,
}
"""Projected gradient descent: ten steps of a quarter of eps from a random start."""

TASKS: dict[str, dict[str, Contender]] = {
    "input gradient": {
        "unfool": explaining(Gradient()),
        "captum": captum_saliency,
        "by hand": plain_gradient,
    },
    "Grad-CAM": {
        "unfool": explaining(GradCAM()),
        "captum": captum_grad_cam,
        "pytorch-grad-cam": pytorch_grad_cam("GradCAM"),
        "torch-cam": torch_cam("GradCAM"),
    },
    "Grad-CAM++": {
        "unfool": explaining(GradCAMPlusPlus()),
        "pytorch-grad-cam": pytorch_grad_cam("GradCAMPlusPlus"),
        "torch-cam": torch_cam("GradCAMpp"),
    },
    "Layer-CAM": {
        "unfool": explaining(LayerCAM()),
        "pytorch-grad-cam": pytorch_grad_cam("LayerCAM"),
        "torch-cam": torch_cam("LayerCAM"),
    },
    "every convolution": {
        "unfool": explaining(GradCAM("all")),
    },
    "Eigen-CAM": {
        "unfool": explaining(EigenCAM()),
        "pytorch-grad-cam": pytorch_grad_cam("EigenCAM"),
    },
    "Ablation-CAM": {
        "unfool": explaining(AblationCAM()),
        "unfool, head unknown": behind(AblationCAM()),
        "pytorch-grad-cam": pytorch_grad_cam("AblationCAM"),
    },
    "Score-CAM": {
        "unfool": explaining(ScoreCAM()),
        "pytorch-grad-cam": pytorch_grad_cam("ScoreCAM"),
        "torch-cam": torch_cam("ScoreCAM"),
    },
    "guided backprop": {
        "unfool": explaining(Bent()),
        "captum": captum_guided("GuidedBackprop"),
    },
    "Guided Grad-CAM": {
        "unfool": explaining(GuidedGradCAM()),
        "captum": captum_guided("GuidedGradCam", "layer"),
    },
    "LRP, flat and z+": {
        "unfool": explaining(LRP(Flat(), ZPlus())),
        "zennit": zennit("EpsilonPlusFlat"),
    },
    "LRP, box, gamma": {
        "unfool": explaining(LRP()),
        "zennit": zennit("EpsilonGammaBox", low=0.0, high=1.0),
    },
    "FGSM": {
        "unfool": attacking(FGSM()),
        "foolbox": foolbox("LinfFastGradientAttack", random_start=False),
    },
    f"PGD-{STEPS}": STRONG,
}
"""Every task and who does it."""
LONG = {"Ablation-CAM", "Score-CAM"}
"""Those that take hundreds of passes."""
