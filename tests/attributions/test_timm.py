"""Unattended over timm: every family with random weights gives a finite map that is not blank, or one clear sentence.

Each network is asked about the class it predicts, with every layer chosen by itself. It is left as it was.
"""

import warnings

import pytest
import torch
from torch import Tensor, nn

from oracles import images, state_of
from unfool.attributions import windows
from unfool.attributions.base import Attribution, Explained
from unfool.attributions.cam import GradCAM, HiResCAM, LayerCAM
from unfool.attributions.cam_factors import EigenCAM
from unfool.attributions.gradient import Gradient
from unfool.attributions.occlusion import Occlusion
from unfool.attributions.relevance import LRP
from unfool.attributions.rules import Bent, Guided
from unfool.errors import InputError
from unfool.model import Model
from unfool.partial.changed import plain

timm = pytest.importorskip("timm", reason="timm is not installed")
pytestmark = pytest.mark.slow

SIDE = 64
NARROW = {"depth": 2, "embed_dim": 96, "num_heads": 3}
FAMILIES: dict[str, dict[str, object]] = {  # a small member, with what makes it smaller still and its image's side
    "beit_base_patch16_224": NARROW,
    "caformer_s18": {},
    "cait_xxs24_224": {"depth": 3},
    "coat_lite_tiny": {},
    "coat_tiny": {"serial_depths": (1, 1, 1, 1), "parallel_depth": 1},
    "coatnet_pico_rw_224": {},
    "convit_tiny": {"depth": 3},
    "convnext_atto": {},
    "convnextv2_atto": {},
    "crossvit_9_240": {"side": 240, "depth": ((1, 1, 0),)},
    "cspnext_tiny": {},
    "davit_tiny": {"depths": (1, 1, 1, 1), "embed_dims": (24, 48, 96, 192), "num_heads": (3, 6, 12, 24)},
    "deit_tiny_distilled_patch16_224": {"depth": 3},
    "densenet121": {"block_config": (2, 2, 2, 2)},
    "dla46_c": {},
    "dpn48b": {},
    "edgenext_xx_small": {},
    "efficientformerv2_s0": {},
    "efficientnet_lite0": {},
    "efficientvit_b0": {},
    "efficientvit_m0": {},
    "eva02_tiny_patch14_224": {"depth": 2, "side": 56},
    "fasternet_t0": {},
    "fastvit_t8": {},
    "focalnet_tiny_srf": {},
    "ghostnet_050": {},
    "gmlp_ti16_224": {},
    "hgnetv2_b0": {},
    "hrnet_w18_small": {},
    "inception_next_atto": {},
    "levit_128s": {},
    "mambaout_femto": {"depths": (1, 1, 1, 1)},
    "maxvit_pico_rw_256": {},
    "mixer_s32_224": {},
    "mobilenetv3_small_050": {},
    "mobilenetv4_conv_small_035": {},
    "mobilevit_xxs": {},
    "mobilevitv2_050": {},
    "naflexvit_base_patch16_gap": NARROW,
    "pit_ti_distilled_224": {},
    "poolformer_s12": {},
    "pvt_v2_b0": {},
    "regnetx_002": {},
    "regnety_002": {},
    "repvgg_a0": {},
    "repvit_m0_9": {},
    "res2net50_14w_8s": {"layers": (1, 1, 1, 1)},
    "resmlp_12_224": {},
    "resnet18": {},
    "resnext50_32x4d": {"layers": (1, 1, 1, 1)},
    "rexnet_100": {},
    "sequencer2d_s": {"layers": (1, 1, 1, 1)},
    "shvit_s1": {},
    "skresnet18": {},
    "starnet_s050": {},
    "swiftformer_xs": {},
    "swin_tiny_patch4_window7_224": {"embed_dim": 24, "depths": (1, 1, 1, 1)},
    "swinv2_tiny_window8_256": {"embed_dim": 24, "depths": (1, 1, 1, 1)},
    "test_nfnet": {},
    "tnt_s_patch16_224": {"depth": 2},
    "tresnet_m": {"layers": (1, 1, 1, 1)},
    "twins_pcpvt_small": {"depths": (1, 1, 1, 1)},
    "twins_svt_small": {"depths": (1, 1, 1, 1)},
    "visformer_tiny": {},
    "vit_tiny_patch16_224": {"depth": 3},
    "vit_tiny_r_s16_p8_224": {"depth": 2},
    "vit_base_patch16_siglip_224": NARROW,
    "volo_d1_224": {},
    "ese_vovnet19b_slim_dw": {},
    "xcit_nano_12_p16_224": {"depth": 3},
}  # fmt: skip
SIZED = {
    "beit_base_patch16_224", "cait_xxs24_224", "coat_lite_tiny", "coat_tiny", "coatnet_pico_rw_224", "convit_tiny",
    "crossvit_9_240", "deit_tiny_distilled_patch16_224", "efficientformerv2_s0", "efficientvit_m0",
    "eva02_tiny_patch14_224", "gmlp_ti16_224", "levit_128s", "maxvit_pico_rw_256", "mixer_s32_224", "mobilevit_xxs",
    "mobilevitv2_050", "naflexvit_base_patch16_gap", "pit_ti_distilled_224", "repvgg_a0", "repvit_m0_9",
    "resmlp_12_224", "sequencer2d_s", "swiftformer_xs", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256",
    "tnt_s_patch16_224", "twins_pcpvt_small", "twins_svt_small", "visformer_tiny", "vit_base_patch16_siglip_224",
    "vit_tiny_patch16_224", "vit_tiny_r_s16_p8_224", "volo_d1_224", "xcit_nano_12_p16_224",
}  # fmt: skip
"""Those that are told how large their images are."""


def network(name: str) -> tuple[Model, Tensor]:
    """With random weights, those that start at zero too, so that no branch is dead; and two images."""
    options = {"num_classes": 10, **FAMILIES[name]}
    side = options.pop("side", SIDE)
    if name in SIZED:
        options["img_size"] = side
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        net = timm.create_model(name, pretrained=False, **options)
        for p in net.parameters():
            if not p.any():
                nn.init.normal_(p, std=0.02)
    return Model(net.eval()), images(2, 3, side, side)


RULES = [Bent(), Bent(rule=Guided(extend=True)), LRP(), LRP(extend=True)]
REFUSED = {
    "caformer_s18": "no rule for pow",
    "crossvit_9_240": "given [2, 3, 224, 224], not the image",  # reads it at a second size
    "naflexvit_base_patch16_gap": "given [2, 16, 768], not the image",
    "tnt_s_patch16_224": "given [32, 3, 16, 16], not the image",  # reads patches
    "tresnet_m": "given [2, 48, 16, 16], not the image",
    "vit_tiny_r_s16_p8_224": "given [2, 3, 69, 69], not the image",  # pads it first
}
"""What LRP does not cover with its extension either."""


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family(name: str):
    model, x = network(name)
    before = state_of(model.net)
    for method in (Gradient(), HiResCAM(), EigenCAM()):
        found = method(model, x)
        sound(found, x)
        assert found.heat.flatten(1).abs().amax(1).min() > 0, method
    sound(Occlusion(window=(32,), stride=(32,))(model, x), x)
    for method in (GradCAM(), LayerCAM()):
        found = method(model, x)
        sound(found, x)
        assert torch.allclose(found.heat, positive(method, model, x, found), rtol=1e-3, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a rule leaves as it was
        for method in RULES:
            told = sound_or_told(method, model, x)
            assert not told or "extend=True" not in repr(method) or REFUSED.get(name, "-") in told
    assert state_of(model.net) == before


def sound(found: Explained, x: Tensor) -> None:
    assert found.map.shape == (len(x), 1, *x.shape[2:])
    assert found.heat.isfinite().all()


def positive(method: Attribution, model: Model, x: Tensor, found: Explained) -> Tensor:
    """The map by its formula: blank where nothing speaks for the class, and never because nothing is read."""
    layer = [*model.layers][int(found.notes["layer"][0])]
    grid = model.spatial_layers(x)[layer]
    assert abs(grid.sides[0] - grid.sides[1]) <= 1
    trace = model.trace(x, (layer, "output"), leaves=(layer,))
    score = trace["output"].gather(1, found.target[:, None]).sum()
    maps, grad = map(grid.maps, (trace[layer].detach(), torch.autograd.grad(score, trace[layer])[0]))
    assert grad.flatten(1).abs().amax(1).min() > 0
    weights = grad.relu() if isinstance(method, LayerCAM) else grad.mean((2, 3), keepdim=True)
    return (weights * maps).sum(1, keepdim=True).relu()


def sound_or_told(method: Attribution, model: Model, x: Tensor) -> str:
    """Nothing after a map, else the sentence that says why there is none."""
    try:
        sound(method(model, x), x)
    except InputError as error:
        return str(error) if error.hint and "\n" not in str(error) else "-"
    return ""


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenetv3_small_050", "convnext_atto", "densenet121", "regnety_002", "test_nfnet"]
)
def test_occlusion_by_what_changes_is_occlusion(name: str, monkeypatch: pytest.MonkeyPatch):
    """In float64: what falls in a network of random weights is little beside its score."""
    model, x = network(name)
    model, x = Model(model.net.double()), x.double()
    method = Occlusion(window=(8,), stride=(8,))
    some = method(model, x).heat
    changed = windows.changed
    monkeypatch.setattr(windows, "changed", lambda *how: plain(changed(*how)))
    every = method(model, x).heat
    assert (some - every).abs().max() <= 1e-4 * every.abs().max()
    assert every.abs().max() > 0
