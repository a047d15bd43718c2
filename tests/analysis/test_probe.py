"""Probes read what is there to be read, chance where nothing is, and layers move as their images do."""

import numpy as np
import pytest
import torch
from torch import nn

from unfool.analysis.probe import every_second, fitted, study
from unfool.data.address import open_data
from unfool.errors import InputError, UnknownName
from unfool.measures.moving import moved, pixels_of, to_the_right
from unfool.model import Model
from unfool.runs.neighbours import RANDOM
from unfool.runs.probe import Probe, run_probe
from unfool.zoo.address import load


def probed(folder, data="unfool:digits8", model="unfool:digits8?net=mlp", **how):
    network, source = load(model), open_data(data)
    plan = Probe(model, data, **how)
    return study(plan, run_probe(plan, network, source, None, folder), network, source)


def test_classes_that_a_line_parts_are_read_and_noise_is_not():
    stream = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 2
    noise = torch.randn(400, 20, generator=stream)
    apart = noise + 3 * torch.nn.functional.one_hot(y, 20)
    for x, low, high in ((apart, 0.95, 1.0), (noise, 0.35, 0.65)):
        right = float((fitted(x[:200], y[:200], x[200:]) == y[200:]).double().mean())
        assert low <= right <= high
    assert torch.equal(
        fitted(apart[:200] * 1e4 + 7, y[:200], apart[200:] * 1e4 + 7),
        fitted(apart[:200], y[:200], apart[200:]),
    )


def test_the_digits_give_the_order_that_is_known(tmp_path):
    """Five labels a class: pixels about 86 %, random weights about 72 %, trained about 94 % (measured elsewhere)."""
    found = probed(tmp_path / "a", layers=("2",), shots=(5, 1000), moved=20)
    five = {name: r.few[5].mean for name, r in found.spaces.items()}
    assert 0.8 < five["pixels"] < 0.9
    assert five[RANDOM] + 0.05 < five["pixels"] < five["features"] - 0.03
    assert found.left_out == (1000,)
    assert found.n == (252, 248)
    assert [one.name for one in found.layers] == ["pixels", "2", "last"]
    assert found.layers[1].full.value > found.layers[1].empty.value


def test_a_layer_without_positions_in_a_picture_moves_by_itself():
    """Of an average over the picture a shift inside a blank border changes nothing; pixels move."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)).eval()
    x = torch.zeros(4, 1, 16, 16)
    for k in range(4):
        x[k, 0, 6:8, 6 : 8 + k] = 1
    found = moved(Model(net), x, "0", (0, 3), (0, 90), (1, 1))
    assert found.shifts.abs().max() < 1e-5
    pixels = moved(Model(net), x, "pixels", (0, 3), (0,), (1, 1.5))
    assert pixels.shifts[1].min() > 0.5
    assert pixels.scales[1].min() > 0.1
    assert found.angles[0].abs().max() == found.scales.abs().max() == 0
    assert torch.equal(to_the_right(x, 3)[..., 3:], x[..., :-3])
    assert [pixels_of(s, 8) for s in (0, 1, 8)] == [0, 1, 2]


def test_halves_hold_each_class_alike():
    y = torch.tensor([0, 0, 1, 0, 1, 1, 0])
    first = every_second(y)
    assert y[first].bincount().tolist() == [2, 2]
    assert y[~first].bincount().tolist() == [2, 1]


def test_one_class_and_a_layer_that_is_not_there_are_one_sentence(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "one.npz", x=rng.integers(0, 255, (12, 8, 8)).astype(np.uint8), y=np.zeros(12, int))
    with pytest.raises(InputError, match="labels of one class only"):
        probed(tmp_path / "a", data=str(tmp_path / "one.npz"), layers=("2",))
    with pytest.raises(UnknownName, match="no layer is called 'featurs'"):
        probed(tmp_path / "b", layers=("featurs",))
    assert not (tmp_path / "b").exists()
