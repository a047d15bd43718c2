"""Unattended: every family of torchvision with random weights gives a finite map or one clear sentence."""

from types import ModuleType
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from oracles import images
from unfool.attributions.cam import GradCAM, HiResCAM
from unfool.attributions.cam_factors import EigenCAM
from unfool.attributions.cam_linear import CAM, all_classes
from unfool.errors import InputError
from unfool.model import Model

FLAT: dict[str, int] = {  # name and side of the image
    "alexnet": 96, "convnext_tiny": 64, "densenet121": 64, "efficientnet_b0": 64, "efficientnet_v2_s": 64,
    "googlenet": 64, "inception_v3": 160, "maxvit_t": 224, "mnasnet0_5": 64, "mobilenet_v2": 64,
    "mobilenet_v3_small": 64, "mobilenet_v3_large": 64, "regnet_x_400mf": 64, "regnet_y_400mf": 64,
    "resnet18": 64, "resnet50": 64, "resnext50_32x4d": 64, "shufflenet_v2_x0_5": 64, "squeezenet1_0": 64,
    "squeezenet1_1": 64, "swin_t": 64, "swin_v2_t": 64, "vgg11": 64, "vgg11_bn": 64, "vit_b_32": 96,
    "wide_resnet50_2": 64, "fcn_resnet50": 32, "deeplabv3_mobilenet_v3_large": 64, "lraspp_mobilenet_v3_large": 64,
}  # fmt: skip
POOLED = {
    "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3", "mnasnet0_5", "mobilenet_v2",
    "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5", "swin_t",
    "swin_v2_t", "wide_resnet50_2",
}  # fmt: skip
"""Those whose head is a mean and a linear layer."""
FILMS = ["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v1_b", "swin3d_t"]


def network(name: str) -> nn.Module:
    """With random weights, those that start at zero too, so that no branch is dead."""
    models = pytest.importorskip("torchvision").models
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        how = {}
        if ("resnet50" in name and name.startswith("fcn")) or name.startswith(("deeplab", "lraspp")):
            how = {"weights": None, "weights_backbone": None}
        elif name in ("googlenet", "inception_v3"):
            how = {"init_weights": False, "aux_logits": True}
        elif name == "vit_b_32":
            how = {"image_size": FLAT[name]}
        net = small_mvit(models.video.mvit) if name == "mvit_v1_b" else models.get_model(name, **how)
        for p in net.parameters():
            if not p.any():
                nn.init.normal_(p, std=0.02)
    return net.eval()


def small_mvit(mvit: ModuleType) -> nn.Module:
    """Its layers for 8 frames of 64 x 64, which its constructor does not offer: with 16 of 224 it takes a minute."""
    built = mvit._mvit
    with patch.object(
        mvit, "_mvit", lambda **how: built(**how | {"spatial_size": (64, 64), "temporal_size": 8})
    ):
        return mvit.mvit_v1_b()


def sound(found: Tensor, x: Tensor) -> None:
    assert found.shape == (len(x), 1, *x.shape[2:])
    assert found.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAT)
def test_pictures(name: str):
    net = network(name)
    model, x = Model(net), images(2, 3, FLAT[name], FLAT[name])
    found = HiResCAM()(model, x)
    sound(found.map, x)
    assert found.heat.flatten(1).abs().amax(1).min() > 0  # somewhere it looks at something
    sound(GradCAM()(model, x).map, x)
    sound(GradCAM("stages")(model, x).map, x)
    sound(EigenCAM()(model, x).map, x)
    if name in POOLED:
        sound(CAM()(model, x).map, x)
    else:
        with pytest.raises(InputError, match="CAM cannot be computed: "):
            CAM()(model, x)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILMS)
def test_films(name: str):
    side, frames = 224 if name == "s3d" else 64, 8 if name == "mvit_v1_b" else 16
    model, x = Model(network(name)), images(1, 3, frames, side, side)
    found = HiResCAM()(model, x)
    sound(found.map, x)
    assert found.heat.abs().max() > 0
    sound(EigenCAM()(model, x).map, x)


@pytest.mark.slow
def test_a_thousand_classes_at_once():
    model, x = Model(network("resnet18")), images(2, 3, 64, 64)
    found = all_classes(model, x)
    assert found.shape == (2, 1000, 2, 2)
    assert torch.allclose(found[:, 7:8].relu(), GradCAM()(model, x, 7).heat, atol=1e-5)
