"""What the page shows is what the library and the command line give; each figure has its control."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unfool.attributions.base import Attribution
from unfool.attributions.cam import GradCAM
from unfool.cli.main import run
from unfool.cli.shared import ModelOptions
from unfool.cli.studio import EMBEDDED, staged, told_apart
from unfool.data.address import open_data
from unfool.errors import DataError, InputError, UnfoolError
from unfool.model import Model
from unfool.regions import Linf
from unfool.runs.table import read_table
from unfool.spec import catalogue
from unfool.web.by_hand import moved
from unfool.web.desk import Job, Stopped
from unfool.web.stage import Stage

ID = "test/3"


def run_lines(text: str) -> dict[str, Any]:
    held: dict[str, Any] = {}
    exec(text, held)
    return held


@pytest.mark.parametrize("method", ["GradCAM('features.3')", "SmoothGrad(samples=4)", "Occlusion(window=2)"])
def test_a_map_is_that_of_the_python_and_of_the_command_that_are_shown(ask, method, tmp_path, monkeypatch):
    value, arrays = ask("explain", image=ID, method=method, target=8)
    assert np.array_equal(arrays["heat"], run_lines(value["python"])["heat"].numpy())
    monkeypatch.chdir(tmp_path)
    words = command_words(value["command"])
    assert run([*words, "--out", "run", "--pictures", "0", "--quiet"]) == 0
    table = read_table(Path("run"))
    assert np.array_equal(arrays["heat"], table["heat"][0, 0].numpy())
    assert value["score"] == pytest.approx(float(table["score"][0]))


def command_words(text: str) -> list[str]:
    import shlex

    words = shlex.split(text)
    assert words.pop(0) == "unfool"
    return words


def test_a_changed_image_is_that_of_the_python_and_of_the_command(ask, tmp_path, monkeypatch):
    value, arrays = ask("attack", image=ID, attack="PGD(steps=3)", eps=0.2, method="GradCAM()")
    lines = run_lines(value["python"])
    assert np.array_equal(arrays["x"], lines["found"].x[0].numpy())
    monkeypatch.chdir(tmp_path)
    assert run([*command_words(value["command"]), "--out", "run", "--pictures", "0", "--quiet"]) == 0
    saved = read_table(Path("run"))["adversarial"][0].numpy()
    assert np.array_equal((arrays["x"] * 255).round(), saved)
    heat = GradCAM()(lines["model"], lines["found"].x).map[0, 0]
    assert np.array_equal(arrays["heat"], heat.numpy())


def test_probabilities_are_the_networks_and_the_random_change_is_of_the_same_size(ask, stage):
    value, arrays = ask("attack", image=ID, attack="FGSM()", eps=0.25)
    room = stage.room(0)
    clean = room.batch(ID).x
    three = torch.cat([clean, *(torch.from_numpy(arrays[k].copy())[None] for k in ("x", "random"))])
    wanted = room.model(three).softmax(1)[:, value["classes"]]
    assert np.allclose(value["p"], wanted, atol=1e-6)
    assert value["classes"][0] == value["label"]
    for changed in three[1:]:
        assert float((changed - clean).abs().max()) == pytest.approx(0.25)


def test_no_change_is_the_image_itself(ask):
    value, arrays = ask("attack", image=ID, attack="PGD()", eps=0)
    assert value["p"][0] == value["p"][1] == value["p"][2]
    assert not value["success"]
    assert not arrays


def test_the_curve_is_each_size_by_itself(ask):
    value, arrays = ask("curve", image=ID, attack="PGD(steps=4)", most=0.4)
    assert arrays["attack"].shape == arrays["random"].shape == (21, len(value["classes"]))
    for k in (3, 10, 20):
        size = value["sizes"][k]
        one, _ = ask("attack", image=ID, attack="PGD(steps=4)", eps=size)
        p = dict(zip(one["classes"], one["p"][1], strict=True))
        known = [p[c] for c in value["classes"] if c in p]
        own = [v for c, v in zip(value["classes"], arrays["attack"][k].tolist(), strict=True) if c in p]
        assert np.allclose(own, known, atol=1e-5)
        assert one["success"] == (value["flip"] is not None and size >= value["flip"])


def test_towards_a_class_and_in_every_norm(ask):
    for norm, eps in (("Linf", 0.3), ("L2", 2.0), ("L1", 10.0), ("L0", 8.0)):
        value, arrays = ask("attack", image=ID, attack="PGD()", norm=norm, eps=eps, target=8)
        assert "target=8" in value["python"]
        assert f'--within "{norm}({eps:g})"' in value["command"]
        assert arrays["x"].shape == (1, 8, 8)
    with pytest.raises(InputError, match="of the target class already"):
        ask("attack", image=ID, attack="PGD()", eps=0.1, target=6)


def drawn(*places: tuple[slice, slice]) -> dict[str, Any]:
    mask = np.zeros((8, 8), "u1")
    for place in places:
        mask[place] = 1
    return {"mask": mask}


def test_a_change_stays_inside_what_is_drawn(ask):
    box = drawn((slice(2, 6), slice(1, 5)))
    value, arrays = ask("attack", box, image=ID, attack="PGD()", eps=0.5)
    clean = ask("image", image=ID)[1]["x"]
    assert ((arrays["x"] != clean)[0] <= (box["mask"] > 0)).all()
    assert np.array_equal(arrays["x"], run_lines(value["python"])["found"].x[0].numpy())
    assert "Mask(Linf(0.5), box=(0.25, 0.125, 0.75, 0.625))" in value["command"]
    free = ask("attack", drawn((slice(2, 6), slice(1, 5)), (0, 0)), image=ID, attack="FGSM()", eps=0.5)[0]
    assert free["command"] == ""
    assert "mask.png" in free["python"]


def test_hiding_by_hand_beside_the_same_region_elsewhere(ask, stage):
    box = drawn((slice(2, 6), slice(2, 6)))
    value, arrays = ask("hide", box, image=ID, fill="zero")
    clean = ask("image", image=ID)[1]["x"]
    assert np.array_equal(arrays["x"], np.where(box["mask"][None] > 0, 0, clean).astype("f4"))
    room = stage.room(0)
    p = room.model(torch.from_numpy(arrays["x"].copy())[None]).softmax(1)[0, value["classes"]]
    assert np.allclose(value["p"][1], p, atol=1e-6)
    assert value["share"] == 0.25
    others = moved(torch.from_numpy(box["mask"]))
    assert len(others) == value["elsewhere"][1]
    assert all(int(m.sum()) == 16 and not np.array_equal(m, box["mask"]) for m in others)
    with pytest.raises(InputError, match="nothing is drawn"):
        ask("hide", drawn(), image=ID)
    with pytest.raises(InputError, match="mask must be"):
        ask("hide", {"mask": np.ones((3, 3), "u1")}, image=ID)


def test_a_badge_is_the_one_of_the_reports_and_is_made_once(ask, stage):
    value, _ = ask("badge", method="GradientTimesInput()")
    assert value["verdict"] in ("pass", "weak", "fail")
    assert value["n"] > 1
    before = len(stage.room(0).badges)
    assert ask("badge", method="GradientTimesInput()")[0] == value
    assert len(stage.room(0).badges) == before


def test_a_detector_shows_boxes_and_offers_no_attack(ask):
    room, _ = ask("room", model=1)
    assert (room["kind"], room["attacks"]) == ("boxes", [])
    value, _ = ask("image", model=1, image="test/0")
    assert {one["said"] for one in value["boxes"]} == {True, False}
    with pytest.raises(UnfoolError):
        ask("attack", model=1, image="test/0", attack="FGSM()", eps=0.1)


def test_every_form_rebuilds_its_method_with_the_defaults_it_shows(ask):
    from unfool.spec import parse

    room, _ = ask("room")
    for form in [*room["attacks"], *room["attributions"]]:
        if all(field["default"] is not None for field in form["fields"]):
            shown = ", ".join(f"{field['name']}={field['default']}" for field in form["fields"])
            assert repr(parse(f"{form['name']}({shown})")) == f"{form['name']}()"


def test_what_an_attribution_says_it_asks_for_is_what_it_asks_for():
    model = Model.scores(lambda x: x.reshape(len(x), -1)[:, :3], classes="abc")
    x = torch.rand(1, 1, 8, 8)
    for name, cls in catalogue(Attribution).items():
        if cls.asks == "gradients" and cls.__module__.startswith("unfool."):
            with pytest.raises(UnfoolError):
                cls()(model, x)
        elif name != "RISE":  # a thousand masks
            assert cls()(model, x).map.shape == x.shape, name


@pytest.mark.parametrize("access", ["scores", "labels"])
def test_of_a_black_box_only_what_works_on_it_is_offered(access):
    stage = staged(("unfool:digits8",), None, ModelOptions(only=access), ())
    job = Job(None, "one", lambda job: None, lambda found: None)
    room, _ = stage(job, {"do": "room"}, {})
    offered = {form["name"]: form for form in room["attacks"]}
    assert {"SurFree", "RandomNoise"} <= offered.keys()
    assert ("Square" in offered) == ("PGD" in offered) == (access == "scores")
    assert {form["name"] for form in room["attributions"]} >= (
        {"Occlusion", "LIME"} if access == "scores" else set()
    )
    assert "GradCAM" not in {form["name"] for form in room["attributions"]}
    name = "PGD" if access == "scores" else "RandomNoise"
    given = ", ".join(f"{k}={v}" for k, v in offered[name]["given"].items())
    words = {"image": ID, "attack": f"{name}({given})", "eps": 0.3}
    assert stage(job, {"do": "attack", "with": words}, {})[0]["p"]
    assert f"--only {access}" in stage(job, {"do": "attack", "with": words}, {})[0]["command"]


def test_work_that_is_stopped_ends_at_its_next_pass_and_leaves_the_network_as_it_was(stage: Stage):
    net = stage.room(0).model.net
    before = [p.requires_grad for p in net.parameters()]
    job = Job(None, "one", lambda job: None, lambda found: None)
    job.stopped = True
    with pytest.raises(Stopped):
        stage(job, {"do": "attack", "with": {"image": ID, "attack": "PGD(steps=50)", "eps": 0.1}}, {})
    assert [p.requires_grad for p in net.parameters()] == before
    assert not any(m._forward_hooks for m in net.modules())


def test_neighbours_are_the_nearest_and_never_the_image_itself(ask, stage):
    value, arrays = ask("neighbours", image=ID)
    for name, found in value["spaces"].items():
        far = [one["far"] for one in found]
        assert far == sorted(far)
        assert ID not in [one["id"] for one in found]
        assert len(arrays[name]) == len(found)


def test_filters_are_the_networks(ask, stage):
    value, arrays = ask("filters")
    name, found = stage.room(0).model.filters(stage.room(0).first[None])
    assert value["layer"] == name
    assert np.array_equal(arrays["filters"], found.numpy())


@pytest.fixture
def with_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        run(
            [
                "attack",
                "FGSM",
                "unfool:digits8",
                "--model",
                "unfool:digits8",
                "--limit",
                "12",
                "--pictures",
                "0",
                "--quiet",
            ]
        )
        == 0
    )
    stage = staged(("unfool:digits8",), None, ModelOptions(), (Path("runs"),))
    job = Job(None, "one", lambda job: None, lambda found: None)
    return lambda act, **words: stage(job, {"do": act, "with": words}, {})


def test_a_run_is_sorted_and_filtered_and_its_rows_have_images(with_run):
    (one,) = with_run("runs")[0]["runs"]
    assert one["rows"] == 12
    found, _ = with_run("rows", run=one["id"], sort="confidence", down=True)
    names = [column["name"] for column in found["columns"]]
    sure = [row[names.index("confidence")] for row in found["rows"]]
    assert sure == sorted(sure, reverse=True)
    assert found["model"] == 0
    half, _ = with_run(
        "rows", run=one["id"], where=[["confidence", "≥", str(sure[5])], ["success", "=", "yes"]]
    )
    wanted = [row for row in found["rows"][:6] if row[names.index("success")]]
    assert sorted(half["rows"]) == sorted(wanted)
    ids = [row[names.index("id")] for row in found["rows"][:3]]
    told, pixels = with_run("run_thumbs", run=one["id"], ids=[*ids, "../../etc/passwd"])
    assert told["ids"] == told["changed"] == ids
    assert pixels["before"].shape == pixels["after"].shape == (3, 56, 56, 3)


@pytest.mark.parametrize(
    "words",
    [
        {"run": "../.."},
        {"sort": "no such column"},
        {"where": [["confidence", "~", "1"]]},
        {"where": [["confidence", "<", "x"]]},
        {"where": "x"},
    ],
)
def test_what_is_no_run_column_or_filter_is_refused(with_run, words):
    (one,) = with_run("runs")[0]["runs"]
    with pytest.raises(UnfoolError):
        with_run("rows", **{"run": one["id"], **words})


def test_which_addresses_are_models_and_which_is_data(tmp_path):
    (tmp_path / "photos").mkdir()
    photos = str(tmp_path / "photos")
    assert told_apart((), None) == (EMBEDDED, None)
    assert told_apart(("unfool:digits", photos), None) == (("unfool:digits",), photos)
    assert told_apart(("a.py:net", "test.npz"), None) == (("a.py:net",), "test.npz")
    assert told_apart(("a.py:net",), "unfool:digits") == (("a.py:net",), "unfool:digits")
    assert told_apart(("m", "torchvision:CIFAR10:test"), None) == (("m",), "torchvision:CIFAR10:test")
    with pytest.raises(InputError, match="several data"):
        told_apart(("m", photos, "test.npz"), None)


def test_one_image_alone_by_its_id():
    assert open_data("unfool:digits8?id=test/3").ids() == ("test/3",)
    with pytest.raises(DataError, match="no 'test/9999'"):
        open_data("unfool:digits8?id=test/9999").ids()


def test_an_own_picture_has_lines_that_give_the_same(stage, ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((30, 20), 80).save("own.png")
    id = ask("adopt", {"content": Path("own.png").read_bytes()}, name="own.png")[0]["id"]
    value, arrays = ask("explain", image=id, method="Gradient()")
    assert np.array_equal(arrays["heat"], run_lines(value["python"])["heat"].numpy())
    assert run([*command_words(value["command"]), "--out", "run", "--pictures", "0", "--quiet"]) == 0
    assert np.array_equal(arrays["heat"], read_table(Path("run"))["heat"][0, 0].numpy())
    assert ask("attack", image=id, attack="FGSM()", eps=0.1)[0]["linf"] == pytest.approx(0.1)


def test_series_come_with_their_profile_and_signals():
    stage = staged(("unfool:cine",), None, ModelOptions(), ())
    job = Job(None, "one", lambda job: None, lambda found: None)
    value, arrays = stage(job, {"do": "image", "with": {"image": "test/0"}}, {})
    assert arrays["x"].shape == (1, 32, 40, 40)
    assert set(value["signals"]) == {"LV", "RV"}
    assert sum(one["p"] for one in value["best"]) == pytest.approx(1)
    told, maps = stage(job, {"do": "explain", "with": {"image": "test/0", "method": "Gradient()"}}, {})
    assert maps["heat"].shape == (32, 40, 40)
    assert sum(told["profile"]) == pytest.approx(1, abs=1e-4)


def test_the_region_of_embedded_data_and_that_of_others(stage):
    assert stage.room(0).region == Linf(0.1)
