"""What was found wrong in other libraries that look inside networks, each as a test of ours that has it for a name.

Lucent 0.1.8
    hooks and gradients of weights are left: ``synthesis/test_maximise.py``, "no hook is left";
    an error is swallowed at the first step, ImageNet's normalisation is built in, no price on size or variation;
    installs what only its tests need, pins an old kornia, compares versions as strings: below
Horama 0.3.0
    crops of another size: ``synthesis/test_maximise.py``, "crops have the sizes that were asked for";
    MACO's spectrum comes from the net into the current folder, one image at a time, an option that is only documented
SemanticLens 0.2.1
    top-k that begins at zero, scores as bfloat16, the loader's order, no positions
zennit-crp 0.6.0
    always 40 images, a file for each class
THINGSvision (an issue, since mended)
    an activation overwritten by the layer behind it: also ``test_model.py``, "a watched layer is not overwritten"
TensorBoard
    a sprite too wide for it: ``cli/test_imagemap.py``, "no sprite is wider than the projector takes"
The gradient of NaN, a common gist
    an empty receptive field behind a rectifier of zeros
Captum 0.9.0
    a wheel without the modules it documents
"""

import re
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from oracles import Plane, conv, images
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.measures.units import Units, unit_layers, watched
from unfool.model import Model
from unfool.objectives import Logit
from unfool.receptive import receptive_fields
from unfool.rows import Batch
from unfool.runs.units import Looking, run_units
from unfool.spec import options
from unfool.synthesis.canvas import MACO, Fourier, Pixels
from unfool.synthesis.cleaning import Fade
from unfool.synthesis.maximise import Maximise
from unfool.targets import Channel, TotalVariation
from unfool.zoo.address import load

ROOT = Path(__file__).parents[1]
GREY = torch.full((1, 3, 8, 8), 0.5)


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("a fault of the network's own")


def test_lucent_an_error_at_the_first_step_is_not_swallowed():
    with pytest.raises(InputError, match="a fault of the network's own"):
        Maximise(steps=2)(Model(Broken()), [0], start=GREY)


def test_lucent_the_normalisation_is_the_networks_own():
    """The same function of the image, behind any normalisation, is maximised by the same image."""
    plane = Plane(3, 8, 8)
    mean, std = torch.tensor([0.1, 0.5, 0.7]).view(1, 3, 1, 1), torch.tensor([0.2, 1.5, 0.9]).view(1, 3, 1, 1)

    class Undone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return plane(x * std + mean)

    method = Maximise(Pixels(), (), steps=5)
    own = Model(Undone(), mean=mean.flatten().tolist(), std=std.flatten().tolist())
    found, expected = (method(m, [0], start=GREY, objective=Logit()).x for m in (own, Model(plane)))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_lucent_size_and_variation_have_a_price():
    model = Model(conv())
    plain, rough = (
        Maximise(Pixels(), (), steps=20)(model, [1], start=GREY, objective=aim).x
        for aim in (Channel("0"), Channel("0") - 5.0 * TotalVariation())
    )
    small = Maximise(Pixels(), (), steps=20, cleaning=(Fade(0.2),))(
        model, [1], start=GREY, objective=Channel("0")
    ).x
    variation = lambda x: float(x.diff(dim=2).abs().sum() + x.diff(dim=3).abs().sum())  # noqa: E731
    assert variation(rough) < 0.5 * variation(plain)
    assert (small - GREY).norm() < 0.9 * (plain - GREY).norm()


def test_lucent_nothing_is_pinned_to_old_versions_or_needed_for_tests_only():
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert not [need for need in needs if re.search("<|==|pytest|coverage", need)]


def test_lucent_versions_are_no_strings():
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    assert not re.findall(r"__version__\s*[<>]|version\([^)]*\)\s*[<>]", code)


def test_horama_maco_needs_no_net_leaves_no_file_and_makes_many_images_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "socket", lambda *a, **k: pytest.fail("asked the net"))
    passes = []
    net = conv()
    net.register_forward_pre_hook(lambda module, args: passes.append(len(args[0])))
    found = Maximise(MACO(), (), steps=3)(Model(net), [0, 1, 2, 3], start=GREY, objective=Channel("0"))
    assert found.x.shape == (4, 3, 8, 8)
    assert passes[1:4] == [4, 4, 4]
    assert not list(tmp_path.iterdir())


def test_horama_what_is_documented_is_taken():
    text = (ROOT / "docs" / "methods.md").read_text()
    for cls in (Maximise, MACO, Fourier):
        section = text.split(f"### {cls.__name__}\n")[1].split("\n### ")[0]
        told = re.findall(r"^\| `(\w+)`", section, re.M)
        assert told == [option.name for option in options(cls)]


def seen(net: nn.Module, x: Tensor, layer: str, keep: int = 3, order: Tensor | None = None) -> Units:
    """One layer's units over the images, three at a time, in another order where one is given."""
    model = Model(net, outputs="logits")
    grids = unit_layers(model, x[:1], (layer,))
    with torch.no_grad():
        channels = grids[layer].maps(model.trace(x[:1], (layer,))[layer]).shape[1]
    found = Units.none(channels, keep, x.ndim - 2, 1)
    for rows in (torch.arange(len(x)) if order is None else order).split(3):
        batch = Batch(tuple(map(str, rows.tolist())), x[rows], torch.zeros(len(rows), dtype=torch.long))
        found = found.joined(watched(model, grids, batch, rows, rows >= 0, 1, {layer: found})[layer])
    return found


class Below(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x.abs() - 1


def test_semanticlens_a_channel_that_is_always_negative_has_its_best_images():
    x = images(9, 3, 5, 5)
    found = seen(nn.Sequential(nn.Conv2d(3, 4, 3), Below()), x, "1")
    assert (found.image >= 0).all()
    assert (found.value < -1).all()


def test_semanticlens_scores_that_bfloat16_would_take_for_equal_are_told_apart():
    x = torch.full((9, 1, 4, 4), 0.5) + torch.arange(9).view(-1, 1, 1, 1) * 1e-4
    assert len(x[:, 0, 0, 0].bfloat16().unique()) == 1
    assert seen(nn.Sequential(nn.Identity()), x, "0").image.tolist() == [[8, 7, 6]]


def test_semanticlens_images_are_named_by_themselves_and_not_by_their_place_in_a_loader():
    x, net = images(9, 3, 5, 5), conv()
    order = torch.randperm(9)
    found, shuffled = seen(net, x, "0"), seen(net, x, "0", order=order)
    assert torch.equal(found.image, shuffled.image)
    assert torch.equal(found.place, shuffled.place)


def test_semanticlens_the_position_is_kept():
    x = torch.zeros(3, 1, 6, 6)
    for k, (row, column) in enumerate([(1, 4), (5, 0), (2, 2)]):
        x[k, 0, row, column] = 1 - 0.1 * k
    assert seen(nn.Sequential(nn.Identity()), x, "0").place.tolist() == [[[1, 4], [5, 0], [2, 2]]]


@pytest.mark.parametrize("keep", [1, 7])
def test_zennit_crp_any_number_of_images_is_kept_in_as_many_files_for_any_number_of_classes(keep, tmp_path):
    model, source = load("unfool:digits8"), open_data("unfool:digits8")
    found, _ = run_units(
        Looking("unfool:digits8", "unfool:digits8", keep=keep, limit=20), model, source, tmp_path
    )
    assert {units.image.shape[1] for units in found.values()} == {keep}
    assert len(list((tmp_path / "parts").rglob("*.safetensors"))) == 1


def test_thingsvision_what_a_unit_gave_is_not_overwritten_by_the_layer_behind_it():
    torch.manual_seed(0)
    first = nn.Conv2d(3, 4, 3)
    x = images(9, 3, 5, 5)
    found = seen(nn.Sequential(first, nn.ReLU(inplace=True)), x, "0")
    values = first(x).detach().flatten(2).amax(2)
    assert torch.allclose(found.low, values.amin(0))
    assert found.low.min() < 0


def test_nan_gradients_a_rectifier_of_zeros_still_has_a_receptive_field():
    first = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    net = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(2, 3, 3))
    field = receptive_fields(Model(net, outputs="logits"), torch.zeros(1, 1, 24, 24), ["2", "3"])
    assert field["2"].size == (5, 5)
    assert field["3"].size == (9, 9)


def test_captum_the_wheel_holds_every_file_of_the_package(tmp_path):
    """Captum 0.9.0 has neither ``insights`` nor ``optim`` in its wheel, and once had no templates."""
    code = "import sys, hatchling.build as b; b.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("unfool/")}
    files = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "unfool").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - held == set()
