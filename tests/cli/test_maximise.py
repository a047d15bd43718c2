"""``unfool maximise``: units by their names, dead ones named and left out, pictures judged as their files hold them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from oracles import images
from unfool.analysis.liked import best_of, gain, noise_like
from unfool.cli.liked import file_names
from unfool.cli.main import run
from unfool.cli.units import Unit, grouped, units_of
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import Logit
from unfool.runs.begin import chosen
from unfool.synthesis.presets import PRESETS, synthesis_of
from unfool.targets import Channel, Neuron
from unfool.zoo.address import load

LIKE = torch.full((1, 1, 32, 32), 0.5)
QUICK = ("--method", "Maximise(steps=5)", "--real", "40", "--noise", "20")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(capsys: Any, *arguments: str) -> dict[str, Any]:
    assert run(["maximise", *arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_units_are_classes_channels_positions_or_layers():
    model = load("unfool:digits")
    assert units_of(("3",), model, LIKE) == [Unit("3", None, 3)]
    assert len(units_of((), model, LIKE)) == 10
    channel, neuron = units_of(("features.1:2", "features.3:5@3,4"), model, LIKE)
    assert channel[1:] == (Channel("features.1"), 2)
    assert neuron[1:] == (Neuron("features.3", (3, 4)), 5)
    layer = units_of(("features.3:*",), model, LIKE)
    assert [unit.number for unit in layer] == list(range(32))
    assert grouped([*layer, channel]) == [
        (Channel("features.3"), list(range(32))),
        (Channel("features.1"), [32]),
    ]
    assert file_names([channel, channel, neuron]) == ["features.1-2", "features.1-2-2", "features.3-5-3-4"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["features.9:1"], "no layer is called 'features.9'"),
        (["features.3:99"], "layer 'features.3' has 32 channels, there is no 99"),
        (["features.3:x"], "names no unit"),
        (["12"], "classes must be 0 to 9"),
        (["seven"], "no class is called 'seven'"),
        (["features.1:2", "--method", "Fooling"], "Fooling works for LogProb"),
        (["--method", "lucit"], "no synthesis or preset is called 'lucit'"),
        (["--method", "DeepDream('features.1')"], "DeepDream begins with an image"),
        (["--images", "unfool:digits"], "Maximise begins with no image"),
        (["3", "4", "--method", "Accentuate('pool')", "--images", "unfool:digits"], "one unit at a time"),
        (["features.1:1", "--objective", "Channel('pool')"], "scores numbers of its own"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_sentence(capsys: Any, arguments: list[str], said: str):
    assert run(["maximise", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not Path("runs").exists() or not list(Path("runs").rglob("*.json"))


def test_the_numbers_are_those_of_the_files(capsys: Any):
    told = found(capsys, "3", "features.1:2", *QUICK, "--out", "m")
    model = load("unfool:digits")
    x = torch.stack([read(f"m/pictures/{name}.png") for name in ("3", "features.1-2")])
    assert abs(float(model(x)[0, 3]) - told["score"][0]) < 1e-4
    trace = model.trace(x, ("features.1",))["features.1"]
    assert abs(float(trace[1, 2].mean()) - told["score"][1]) < 1e-5
    assert abs(float(model(x).softmax(1)[0, 3]) - told["confidence"][0]) < 1e-5
    assert told["gain"][0] == pytest.approx(told["score"][0] / told["best"][0], rel=1e-4)
    assert told["units"] == ["3", "features.1:2"]
    assert told["real"] == 40
    assert Path("m/grid.png").exists()
    assert "<svg" in Path("m/curve.svg").read_text()


def test_the_strongest_patch_of_a_channel_is_that_of_brute_force(capsys: Any):
    told = found(capsys, "features.3:7", "3", *QUICK, "--out", "m")
    assert told["best_patch"][1] is None
    patch, model, source = (
        told["best_patch"][0],
        load("unfool:digits"),
        open_data("unfool:digits?split=train"),
    )
    x = source.batch(chosen(source.ids(), 40, 0)).x
    maps = model.trace(x, ("features.3",))["features.3"][:, 7]
    assert patch["value"] == pytest.approx(float(maps.max()), rel=1e-5)
    assert patch["id"] == chosen(source.ids(), 40, 0)[int(maps.flatten(1).amax(1).argmax())]
    made = model.trace(read("m/pictures/features.3-7.png")[None], ("features.3",))["features.3"][0, 7]
    assert patch["largest_made"] == pytest.approx(float(made.max()), rel=1e-4)
    rows, columns = (slice(*ends) for ends in patch["box"])
    image = x[int(maps.flatten(1).amax(1).argmax())][None]
    alone = torch.rand_like(image)
    alone[..., rows, columns] = image[..., rows, columns]  # all that it sees is in the box
    place = divmod(int(maps.flatten(1).max(1).indices[maps.flatten(1).amax(1).argmax()]), maps.shape[2])
    again = model.trace(alone, ("features.3",))["features.3"][0, 7][place]
    assert float(again) == pytest.approx(patch["value"], rel=1e-5)


def read(path: str) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).copy()).float()[None] / 255


def test_dead_channels_are_named_and_nothing_is_divided_by_them(capsys: Any):
    told = found(capsys, "features.3:*", *QUICK, "--out", "m")
    dead = [name for name, best in zip(told["units"], told["best"], strict=True) if best <= 0]
    assert told["dead"] == dead
    assert dead
    assert all((told["gain"][k] is None) == (name in dead) for k, name in enumerate(told["units"]))
    alive = torch.tensor([g for g in told["gain"] if g is not None])
    assert told["median_gain"] == pytest.approx(float(alive.median()))


def test_a_gain_over_nothing_is_not_a_number():
    found = gain(torch.tensor([2.0, 2.0, -1.0]), torch.tensor([1.0, 0.0, -3.0]))
    assert found[0] == 2
    assert found[1:].isnan().all()


def test_the_best_real_image_is_that_of_brute_force_and_the_first_of_equals():
    model = load("unfool:digits")
    x = images(50, 1, 32, 32)
    x = torch.cat([x, x])
    for room in (7, 64):
        wrapped = Model(model.net, capacity=room)
        best = best_of(wrapped, Logit(), torch.arange(10), x)
        values, places = model(x)[:50].max(0)
        assert torch.allclose(best.score, values, atol=1e-4)
        assert best.which.tolist() == places.tolist()
    negative = best_of(model, -1.0 * Channel("features.1"), torch.arange(4), x)
    assert (negative.score <= 0).all()
    noise = torch.cat(list(noise_like(LIKE, 9, 0, 4)))
    assert noise.shape == (9, 1, 32, 32)
    assert torch.equal(noise, torch.cat(list(noise_like(LIKE, 9, 0, 2))))


def test_an_image_is_made_of_each_image(capsys: Any):
    told = found(
        capsys, "3", "--method", "Accentuate('features.1', how=Maximise(steps=5))", "--images", "unfool:digits",
        "--out", "m",
    )  # fmt: skip
    assert len(told["images"]) == 8
    assert len(list(Path("m/pictures").iterdir())) == 8
    assert (
        run(["maximise", "--method", "Invert('pool', how=Maximise(steps=2))", "--images", "m/pictures"]) == 0
    )


def test_an_objective_of_ones_own_scores_its_own_numbers(capsys: Any):
    told = found(
        capsys,
        "1",
        "20",
        "--objective",
        "Channel('features.3') - 0.1 * TotalVariation()",
        *QUICK,
        "--out",
        "m",
    )
    assert told["units"] == ["features.3:1", "features.3:20"]
    told = found(capsys, "1", "--objective", "LogProb", *QUICK, "--times", "2", "--out", "n")
    assert sorted(p.name for p in Path("n/pictures").iterdir()) == ["1-2.png", "1.png"]
    assert told["dead"] == []


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_its_text(name: str):
    assert synthesis_of(repr(synthesis_of(name))) == PRESETS[name]


def test_presets_have_the_numbers_of_their_papers():
    assert [PRESETS[f"yosinski-{k}"].steps for k in (1, 2, 3, 4)] == [500, 750, 1000, 1000]
    assert PRESETS["yosinski-3"].rate == pytest.approx(100 / 255**2)
    assert PRESETS["lucid"].steps == 512
    assert PRESETS["simonyan"].l2 > 0
    with pytest.raises(InputError, match="works for"):
        synthesis_of("Fooling").aim(Channel("a"))
