"""Networks by address: with their own preparation, their own names, and weights that run nothing."""

import io
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from unfool.attacks.hide import look_for
from unfool.data.address import open_data
from unfool.detections import finds_boxes, told
from unfool.errors import DataError, InputError, SpecError, UnknownName
from unfool.samples import digits, digits8, lesions
from unfool.views import from_uint8
from unfool.zoo.address import load
from unfool.zoo.detectors import DETECTORS
from unfool.zoo.embedded import ACCURACY, WEIGHTS, accuracy, build, train
from unfool.zoo.nets import NETS

FACTORY = """
import torch
import unfool
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))

def wrapped():
    return unfool.Model(make(), classes=("a", "b"))

def nothing():
    return None
"""


@pytest.fixture
def factory(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path / "net.py"


@pytest.mark.parametrize("name", NETS)
def test_the_committed_weights_are_as_accurate_as_they_say(name):
    data = {"digits": digits, "digits8": digits8, "lesions": lesions}[name.partition("_")[0]]
    assert accuracy(build(name), data("test")) == pytest.approx(ACCURACY[name], abs=2 / 500)


def test_the_weights_are_small():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 2_000_000


def test_training_again_gives_the_same_weights():
    def trained():
        torch.manual_seed(0)
        net = NETS["digits8_linear"]()
        train(net, digits8("train"), 10)
        return net

    with torch.random.fork_rng(devices=[]):
        first, second = trained(), trained()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert accuracy(first.eval(), digits8("test")) > 0.85


def test_the_films_shortcut_is_learned():
    """Calibration: right on films like those it learned from, near chance where the tube says nothing."""
    net = build("lesions_conv")
    with_tube, without = lesions("test"), lesions("test", shortcut=False)
    assert accuracy(net, with_tube) > 0.9
    assert accuracy(net, without) < 0.75
    missed = (without.y == 1) & torch.tensor([tube == "no tube" for tube in without.groups["tube"]])
    with torch.no_grad():
        assert (net(from_uint8(without.x[missed])).argmax(1) == 1).float().mean() < 0.6


@pytest.mark.parametrize("address", ["unfool:digits", "unfool:digits?net=mlp", "unfool:digits?robust=1"])
def test_embedded_networks_load_with_their_class_names(address):
    model = load(address)
    assert model.classes == tuple("0123456789")
    assert model(torch.rand(2, 1, 32, 32)).shape == (2, 10)


def test_a_factory_gives_a_module_or_a_model(factory):
    assert load(f"{factory}:make")(torch.rand(3, 1, 2, 2)).shape == (3, 2)
    assert load(f"{factory}:wrapped").classes == ("a", "b")


def test_class_names_view_and_device_are_the_users(factory):
    model = load(f"{factory}:make", classes=("cat", "dog"), device="cpu")
    assert model.classes == ("cat", "dog")
    with pytest.raises(InputError, match="no device 'warp:9'"):
        load(f"{factory}:make", device="warp:9")


def test_weights_of_every_kind_fit_in(factory, tmp_path):
    wanted = {"1.weight": torch.full((2, 4), 0.5), "1.bias": torch.tensor([1.0, 2.0])}
    save_file(wanted, tmp_path / "w.safetensors")
    torch.save(wanted, tmp_path / "w.pth")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in wanted.items()}}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pth", "w.pt"):
        model = load(f"{factory}:make?weights={tmp_path / name}")
        assert torch.equal(model.net.state_dict()["1.weight"], wanted["1.weight"]), name


def test_weights_that_do_not_fit_name_the_keys(factory, tmp_path):
    torch.save({"2.weight": torch.zeros(2), "1.bias": torch.zeros(5)}, tmp_path / "w.pth")
    with pytest.raises(DataError) as caught:
        load(f"{factory}:make?weights={tmp_path / 'w.pth'}")
    for part in ("missing 1.weight", "unexpected 2.weight", "1.bias is [5], not [2]"):
        assert part in str(caught.value)


class Boom:
    def __reduce__(self):
        return (sys.modules["builtins"].exec, ("import builtins; builtins.boomed = True",))


def test_a_pickle_is_refused_and_not_run(factory, tmp_path):
    torch.save(Boom(), tmp_path / "w.pth")
    with pytest.raises(DataError, match="needs unpickling") as caught:
        load(f"{factory}:make?weights={tmp_path / 'w.pth'}")
    assert "--trust" in caught.value.hint
    assert not hasattr(sys.modules["builtins"], "boomed")


def test_a_whole_network_loads_where_it_is_trusted(factory, tmp_path):
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), tmp_path / "w.pt")
    with pytest.raises(DataError):
        load(f"{factory}:make?weights={tmp_path / 'w.pt'}")
    assert load(f"{factory}:make?weights={tmp_path / 'w.pt'}", trust=True)(torch.rand(1, 1, 2, 2)).shape == (
        1,
        2,
    )


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04broken"])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_broken_weights_are_one_sentence(factory, tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"weights|unpickling"):
        load(f"{factory}:make?weights={tmp_path / name}")


def test_truncated_weights_are_one_sentence(factory, tmp_path):
    buffer = io.BytesIO()
    torch.save({"1.weight": torch.zeros(2, 4)}, buffer)
    assert zipfile.is_zipfile(buffer)
    (tmp_path / "w.pth").write_bytes(buffer.getvalue()[:-200])
    with pytest.raises(DataError, match="cannot read the weights"):
        load(f"{factory}:make?weights={tmp_path / 'w.pth'}")


def test_unknown_names_say_what_was_meant(factory, tmp_path):
    cases = {
        "unfool:digts": "unfool:digits",
        "unfool:digits?net=cnv": "conv",
        "torchvision:resnet81": "resnet18",
        f"{factory}:mak": "make",
    }
    for address, meant in cases.items():
        with pytest.raises(UnknownName) as caught:
            load(address)
        assert meant in caught.value.hint, address
    with pytest.raises(DataError, match="gives NoneType"):
        load(f"{factory}:nothing")
    with pytest.raises(DataError, match="there is no file"):
        load(f"{tmp_path / 'nett.py'}:make")
    with pytest.raises(DataError, match="no model's address"):
        load("resnet18")
    with pytest.raises(SpecError, match="no option 'wieghts'"):
        load(f"{factory}:make?wieghts=x")


def test_a_file_that_cannot_be_imported_says_why(tmp_path):
    (tmp_path / "net.py").write_text("import nowhere_at_all\n")
    with pytest.raises(DataError, match="nowhere_at_all"):
        load(f"{tmp_path / 'net.py'}:make")


def test_a_factory_that_raises_says_why(tmp_path):
    (tmp_path / "net.py").write_text(
        "def broken():\n    raise KeyError('weights')\ndef needs(n):\n    return n\n"
    )
    for factory, reason in (("broken", "KeyError: 'weights'"), ("needs", "missing 1 required")):
        with pytest.raises(DataError, match=reason):
            load(f"{tmp_path / 'net.py'}:{factory}")


def test_an_option_nobody_has_says_what_was_meant():
    with pytest.raises(SpecError) as caught:
        load("unfool:digits?nett=mlp")
    assert "did you mean net?" in caught.value.hint


def test_torchvision_networks_come_with_their_preparation(tmp_path):
    save_file(
        {k: v.contiguous() for k, v in torch_squeezenet().state_dict().items()}, tmp_path / "w.safetensors"
    )
    model = load(f"torchvision:squeezenet1_1?weights={tmp_path / 'w.safetensors'}")
    assert len(model.classes) == 1000
    assert repr(model.view) == "View(resize=256, crop=224, channels=3)"
    x = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        torch.testing.assert_close(model(x), torch_squeezenet()((x - mean) / std), rtol=1e-3, atol=1e-4)


def torch_squeezenet() -> nn.Module:
    from unfool.vision import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision().models.squeezenet1_1(weights=None).eval()


def test_a_network_from_a_file_may_be_normalised_by_its_address(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\ndef make(): return nn.Flatten()\n")
    x = torch.rand(2, 3, 2, 2)
    mean, std = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), 0.2
    found = load(f"{file}:make?mean=0.5,0.4,0.3&std=0.2", outputs="logits")
    assert torch.allclose(found(x), ((x - mean) / std).flatten(1), atol=1e-5)
    with pytest.raises(SpecError, match="2 for mean and 3 for std"):
        load(f"{file}:make?mean=1,2&std=1,2,3")


@pytest.mark.parametrize("name", [key.partition("_")[2] for key in DETECTORS])
def test_embedded_detectors_find_nine_of_ten_objects(name):
    model, source = load(f"unfool:scenes?net={name}"), open_data("unfool:scenes")
    batch = source.batch(source.ids(), model.view, model.classes)
    seen = ~look_for(model, batch.x, batch.victims).hidden
    assert model.classes == ("background", "octagon", "circle", "triangle")
    assert seen.float().mean() > 0.88
    assert {k for *_, labels in told(model, batch.x[:50]) for k in labels.tolist()} == {1, 2, 3}


@pytest.mark.slow
def test_a_detector_of_another_width_is_trained_when_asked_for_and_finds_as_many_objects():
    model, source = (
        load("unfool:scenes?width=5&stride=8"),
        open_data("unfool:scenes"),
    )  # as the embedded narrow one
    batch = source.batch(source.ids(), model.view, model.classes)
    assert (~look_for(model, batch.x, batch.victims).hidden).float().mean() > 0.88


def test_a_timm_network_nobody_has_names_those_near_it(tmp_path):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    near = {
        "timm:resnett18": "resnet18",
        "timm:resnet18@random": "resnet18",
        "timm:resnet18.a1_in9k": "resnet18.a1_in1k",
    }
    for address, hint in near.items():
        with pytest.raises(UnknownName, match="no timm network is called") as caught:
            load(address)
        assert hint in caught.value.hint
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "w.safetensors")
    model = load(f"timm:test_vit?weights={tmp_path / 'w.safetensors'}")
    assert model(torch.rand(1, 3, 160, 160)).shape == (1, 1000)
    assert model.view is not None
    assert model.view.crop == 160


def test_timm_loads_beside_a_torch_that_torchvision_was_not_built_for():
    """In a process of its own: here that has been seen to."""
    pytest.importorskip("timm", reason="timm is not installed")
    ask = "from unfool.zoo.address import load; load('timm:resnett18')"
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert "no timm network is called 'resnett18'" in ran.stderr.splitlines()[-1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchvision_s_detectors_load_by_address(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    build = torchvision.models.detection.ssdlite320_mobilenet_v3_large
    torch.save(build(weights=None, weights_backbone=None).state_dict(), tmp_path / "w.pth")
    model = load(f"torchvision:ssdlite320_mobilenet_v3_large?weights={tmp_path / 'w.pth'}")
    assert finds_boxes(model)
    assert model.classes[:3] == ("__background__", "person", "bicycle")


@pytest.mark.parametrize("address", ["unfool:digits8?weights=none", "unfool:digits8?classes=3"])
def test_weights_that_nobody_has_learned_are_the_same_in_every_process(address: str):
    """And drawing them moves nobody's random numbers."""
    torch.manual_seed(1)
    one, drawn = load(address), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    torch.manual_seed(2)
    other = load(address)
    last = [list(model.net.parameters())[-2] for model in (one, other, load(address, seed=1))]
    assert torch.equal(last[0], last[1])
    assert not torch.equal(last[0], last[2])
