"""Addresses of what was taught, of networks that have learned nothing yet, and of networks with another head."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from oracles import images
from unfool.errors import DataError, SpecError, UnknownName
from unfool.views import View
from unfool.zoo.address import load
from unfool.zoo.head import with_head

FILE = """
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4))

def points():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 7, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
X = images(2, 3, 2, 2)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(FILE)
    return str(tmp_path / "nets.py")


def saved(place: Path, net: nn.Module, **told: Any) -> Path:
    note = {"model": "", "classes": [], "view": ""} | told
    save_file(net.state_dict(), place, {"unfool": json.dumps(note)})
    return place


def test_without_weights_a_network_is_as_it_was_drawn(file: str):
    for address in ("unfool:digits8?weights=none", f"{file}:net?weights=none", f"{file}:net"):
        first, same, other = (load(address, seed=seed).net.state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(v, same[k]) for k, v in first.items())
        assert any(not torch.equal(v, other[k]) for k, v in first.items())


def test_what_was_taught_brings_its_classes_its_view_and_its_normalisation(file: str, tmp_path: Path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    address = f"{file}:net?mean=0.5&std=0.25"
    view = View(resize=4, crop=2)
    place = saved(tmp_path / "model.safetensors", net, model=address, classes=list("abcd"), view=repr(view))
    for where in (tmp_path, place):
        found = load(str(where))
        assert found.classes == tuple("abcd")
        assert found.view == view
        assert found.name == str(where)
        with torch.no_grad():
            assert torch.allclose(found(X), net((X - 0.5) / 0.25), atol=1e-6)
    assert load(str(place), classes=tuple("wxyz")).classes == tuple("wxyz")


def test_what_was_taught_keeps_its_head(file: str, tmp_path: Path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 9))
    saved(tmp_path / "model.safetensors", net, model=f"{file}:net?classes=9")
    assert load(str(tmp_path))(X).shape == (2, 9)


@pytest.mark.parametrize("factory", ["net", "points"])
def test_a_head_of_ones_own_leaves_everything_before_it(file: str, factory: str):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        before = load(f"{file}:{factory}").net
        torch.manual_seed(0)
        after = load(f"{file}:{factory}?classes=6").net
    assert after(X).shape == (2, 6)
    last = [name for name, m in before.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
    others = {k: v for k, v in before.state_dict().items() if not k.startswith(f"{last}.")}
    assert all(torch.equal(v, after.state_dict()[k]) for k, v in others.items())


def test_a_network_that_is_one_layer_gets_another(file: str):
    assert with_head(nn.Linear(5, 2), "3")(torch.zeros(1, 5)).shape == (1, 3)


def test_heads_that_cannot_be_are_one_sentence(file: str):
    for classes in ("1", "x", "-3"):
        with pytest.raises(SpecError, match="cannot be"):
            load(f"{file}:net?classes={classes}")
    with pytest.raises(SpecError, match="no linear layer"):
        with_head(nn.Conv2d(3, 4, 3), "5")


def test_weights_of_another_architecture_and_networks_that_are_gone_are_one_sentence(
    file: str, tmp_path: Path
):
    other = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    place = saved(tmp_path / "model.safetensors", other, model=f"{file}:net")
    with pytest.raises(DataError, match="does not fit the network"):
        load(str(place))
    Path(file).write_text(FILE.replace("def net", "def gone"))
    with pytest.raises(UnknownName):
        load(str(place))
