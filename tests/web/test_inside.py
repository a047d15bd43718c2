"""What Inside shows of units and maps is what the library gives; each with its control; a slice is one everywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unfool.analysis.imagemap import inside as polygon
from unfool.analysis.layouts import components
from unfool.analysis.tsne import tsne
from unfool.analysis.units import Gallery, looked
from unfool.data.address import open_data
from unfool.errors import InputError, UnknownName
from unfool.runs.imagemap import ImageMap, run_map
from unfool.runs.units import Looking, run_units
from unfool.web import charted
from unfool.web.desk import Job, Stopped

from .test_acts import command_words, run_lines

FEW = 60


def test_units_are_those_of_one_look_at_the_images(ask, stage, tmp_path):
    value, arrays = ask("units", limit=FEW, all=True)
    room = stage.room(0)
    plan = Looking(room.address, room.data, limit=FEW)
    found, _ = run_units(plan, room.model, room.source, tmp_path)
    layer = looked(room.model, room.source, plan.ids(room.source), found)[-1]
    assert value["layer"] == layer.name
    assert value["total"] == len(layer.units.low)
    assert value["dead"] == int(layer.units.dead.sum())
    assert [one["channel"] for one in value["units"]] == list(range(min(24, value["total"])))
    gallery = Gallery(room.model, room.source, plan.ids(room.source))
    for one in value["units"][:6]:
        best = gallery.patches(layer, one["channel"])
        assert [p["id"] for p in one["patches"]] == [p.id for p in best]
        assert np.allclose([p["value"] for p in one["patches"]], [p.value for p in best], atol=1e-5)
    assert arrays["patches"].shape == (9 * len(value["units"]), 40, 40, 3)
    assert arrays["random"].shape == (9, 40, 40, 3)
    assert (arrays["random"] != arrays["patches"][:9]).any()


def test_the_python_beside_units_gives_them(ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value, _ = ask("unit", limit=FEW, channel=2)
    lines = run_lines(value["python"])
    assert [p.id for p in lines["patches"]] == [p["id"] for p in value["patches"]]
    assert value["without"] is None or value["without"]["rival"] != 2
    assert len(value["alike"]) == 5


def test_a_unit_is_drawn_beside_what_is_real_and_what_is_noise(ask):
    listed, _ = ask("units", limit=FEW)
    channel = listed["units"][0]["channel"]
    value, arrays = ask("draw_unit", limit=FEW, channel=channel, method="Maximise(steps=20)")
    assert value["best"] == pytest.approx(listed["units"][0]["best"])
    assert value["value"] > value["noise"]
    assert arrays["pictures"].shape == (3, 224, 224, 3)
    assert f"--unit {listed['layer']}:{channel}" in value["command"]
    with pytest.raises(UnknownName, match="synthesis or preset"):
        ask("draw_unit", limit=FEW, method="nonsense")
    with pytest.raises(InputError, match="there is no 999"):
        ask("unit", limit=FEW, channel=999)
    with pytest.raises(UnknownName):
        ask("units", limit=FEW, layer="nowhere")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("map")


def test_a_map_is_that_of_the_library_and_keeps_more_than_the_controls(ask, stage, folder):
    value, arrays = ask("map", count=FEW, perplexity=6)
    room = stage.room(0)
    plan = ImageMap(room.address, room.data, sample=FEW, perplexity=6, k=10)
    mapped = run_map(plan, room.model, room.source, folder)
    assert tuple(value["ids"]) == mapped.space.ids
    assert np.array_equal(arrays["said"], mapped.said.numpy())
    view = tsne(components(mapped.space.vectors["features"]), 6, 0)
    assert np.allclose(arrays["view"], view.numpy(), atol=1e-4)
    assert len({tuple(cell) for cell in arrays["cells"].tolist()}) == FEW  # no picture hides another
    kept = value["kept"]
    assert kept["this map"]["trust"][0] > kept["random places"]["trust"][0]
    assert arrays["pixels"].shape == (FEW, 28, 28, 3)
    plane, flat = ask("map", count=FEW, perplexity=6, way="pca")
    wanted = components(mapped.space.vectors["features"], 2)
    assert np.allclose(flat["view"], wanted.numpy(), atol=1e-4)
    assert plane["command"] == ""


def test_a_map_by_pacmap_is_offered_where_it_is_installed(ask, stage, monkeypatch):
    monkeypatch.setattr(charted, "find_spec", lambda name: name)
    monkeypatch.setattr(
        charted, "pacmap_of", lambda x, seed: 2 * x[:, :2] + seed
    )  # that itself takes long to begin
    assert ask("begin")[0]["ways"] == ["tsne", "pacmap", "pca"]
    value, arrays = ask("map", count=FEW, perplexity=6, way="pacmap")
    x = stage.room(0).held[value["key"]].mapped.space.vectors["features"]
    assert np.array_equal(arrays["view"], 2 * components(x)[:, :2].numpy())
    assert "--method pacmap" in value["command"]
    assert "view = pacmap_of(components(x), 0)" in value["python"]
    monkeypatch.setattr(charted, "find_spec", lambda name: None)
    assert ask("begin")[0]["ways"] == ["tsne", "pca"]
    with pytest.raises(InputError, match="one of tsne, pca"):
        ask("map", count=FEW, way="pacmap")


def test_what_is_drawn_around_is_a_slice_that_commands_and_the_page_take(ask, stage):
    value, arrays = ask("map", count=FEW, perplexity=6)
    x = arrays["view"].astype(float)
    middle, low, high = float(np.median(x[:, 0])), x.min(0) - 1, x.max(0) + 1
    ring = [low[0], low[1], middle, low[1], middle, high[1], low[0], high[1]]
    corners = [float(v) for v in ring]
    told, _ = ask("slice", key=value["key"], corners=corners, keep=True)
    inside = [i for i, (right, _) in zip(value["ids"], x, strict=True) if right < middle]
    assert told["count"] == len(inside)
    known = [stage.room(0).source.label(i) for i in inside]
    assert sum(n for _, n in told["labels"]) == len(known)
    assert set(open_data(told["address"]).ids()) == set(inside)
    shown, _ = ask("thumbs", slice=told["name"], count=100)
    assert set(shown["ids"]) == set(inside)
    assert shown["total"] == len(inside)
    words = command_words(told["command"])
    lasso = words.pop().removeprefix("--lasso=")
    assert words[:5] == ["inspect", "map", stage.room(0).address, stage.room(0).data, "--limit"]
    flags = polygon(torch.from_numpy(arrays["view"].copy()), [float(v) for v in lasso.split(",")])
    assert [i for i, flag in zip(value["ids"], flags.tolist(), strict=True) if flag] == inside
    done, _ = ask("start", kind="attack", method="FGSM()", slice=told["name"])
    assert repr(told["address"]) in Path(ask("rows", run=done["id"])[0]["path"], "recipe.txt").read_text()
    assert ask("rows", run=done["id"])[0]["total"] == len(inside)
    with pytest.raises(UnknownName, match="slice"):
        ask("start", kind="attack", method="FGSM()", slice="../../etc/passwd")
    with pytest.raises(InputError, match="no image lies inside"):
        ask("slice", key=value["key"], corners=[900, 900, 901, 900, 901, 901])
    with pytest.raises(InputError, match="no such map"):
        ask("slice", key="nothing", corners=corners)


def test_a_slice_of_the_grid_is_of_its_cells(ask):
    value, arrays = ask("map", count=FEW, perplexity=6)
    told, _ = ask("slice", key=value["key"], corners=[0, 0, 1, 0, 1, 0.5, 0, 0.5], grid=True)
    assert told["count"] == int(((arrays["cells"][:, 0] + 0.5) / value["rows"] < 0.5).sum())


def test_what_is_stopped_goes_on_where_it_was(stage):
    job = Job(None, "one", lambda job: None, lambda found: None)
    seen = list[str]()

    def told(job: Job) -> None:
        seen.append(job.doing.step)
        job.stopped = job.doing.done >= 64

    job.told, job._spoke = told, -1e9
    words = {"do": "units", "with": {"limit": 150}}
    real = Job.rest

    def rest(job: Job) -> None:
        job._spoke = -1e9
        real(job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "rest", rest)
        with pytest.raises(Stopped):
            stage(job, words, {})
    assert "one look at every image" in seen
    again = Job(None, "one", lambda job: None, lambda found: None)
    value, _ = stage(again, words, {})
    assert value["images"] == 150
    whole = Job(None, "one", lambda job: None, lambda found: None)
    fresh, _ = stage(whole, {"do": "units", "with": {"limit": 151}}, {})
    assert fresh["images"] == 151
    assert again.passes < whole.passes  # the parts that were there were not made again


def test_a_map_of_too_few_images_says_so(ask):
    with pytest.raises(InputError, match="too few"):
        ask("map", count=2)
    with pytest.raises(InputError, match="way must be"):
        ask("map", count=FEW, way="guess")


def test_a_map_that_is_stopped_stops_within_the_map():
    steps = list[int]()

    def step() -> None:
        steps.append(1)
        if len(steps) == 3:
            raise Stopped

    x = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    with pytest.raises(Stopped):
        tsne(x, 5, 0, "pca", step)
    assert len(steps) == 3
    assert torch.equal(tsne(x, 5, 0), tsne(x, 5, 0, "pca", lambda: None))
