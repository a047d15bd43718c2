"""One look at every image: nothing is lost when it is killed, and a patch is all that its unit sees."""

import json

import pyarrow.parquet as pq
import pytest
import torch

from unfool.analysis.drawn import drawn_units
from unfool.analysis.units import Gallery, card, looked, named_unit, selective
from unfool.cli.main import run as command
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.measures.units import Units
from unfool.runs.units import Looking, run_units
from unfool.synthesis.presets import synthesis_of
from unfool.zoo.address import load

PLAN = Looking("unfool:digits", "unfool:digits", limit=60, chunk=16, drawn=20)


def run(folder, plan: Looking = PLAN) -> dict[str, Units]:
    return run_units(plan, load(plan.model), open_data(plan.data), folder)[0]


def same_units(a: dict[str, Units], b: dict[str, Units]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(x, y) for name in a for x, y in zip(a[name], b[name], strict=True)
    )


def test_a_run_that_lost_parts_finds_the_same_bytes(tmp_path):
    whole = run(tmp_path / "whole")
    parts = sorted((tmp_path / "whole" / "parts" / "units").glob("*.safetensors"))
    assert len(parts) == 4
    before = [part.read_bytes() for part in parts]
    parts[1].unlink()
    parts[3].write_bytes(parts[3].read_bytes()[:100])  # torn by a kill
    assert same_units(whole, run(tmp_path / "whole"))
    assert [part.read_bytes() for part in parts] == before


def test_a_patch_is_all_that_its_unit_sees(tmp_path):
    """The stored value comes back where everything outside the box is something else; inside, it does not."""
    model, source = load(PLAN.model), open_data(PLAN.data)
    layers = looked(model, source, PLAN.ids(source), run(tmp_path))
    gallery, checked = Gallery(model, source, PLAN.ids(source)), 0
    for layer in layers:
        for c in selective(layer.units, 3):
            patch, place = gallery.patches(layer, c)[0], layer.units.place[c, 0].tolist()
            other = torch.rand(patch.image.shape, generator=torch.Generator().manual_seed(c))
            box = (slice(None), *patch.box)
            outside, inside = other.clone(), patch.image.clone()
            outside[box], inside[box] = patch.image[box], other[box]
            maps = model.trace(torch.stack([outside, inside]), (layer.name,))[layer.name]
            values = maps[(slice(None), c, *place)]
            assert float(values[0]) == pytest.approx(patch.value, rel=1e-5)
            assert float(values[1]) != pytest.approx(patch.value, rel=1e-3)
            checked += 1
    assert checked >= 6


def test_what_a_unit_page_is_made_of(tmp_path):
    model, source = load(PLAN.model), open_data(PLAN.data)
    layers = looked(model, source, PLAN.ids(source), run(tmp_path))
    layer, c = named_unit(f"{layers[1].name}:1", layers)
    found = card(model, Gallery(model, source, PLAN.ids(source)), layer, c, 0)
    assert [p.value for p in found.patches] == sorted((p.value for p in found.patches), reverse=True)
    assert all(-1 <= r <= 1 + 1e-9 for _, r in found.alike)
    assert [k for k, _ in found.alike] != [c]
    assert found.without is not None
    assert found.without.rival != c
    for projection, patch in zip(found.projections, found.patches, strict=True):
        assert projection.shape == patch.cut.shape


def test_dead_units_are_never_selective(tmp_path):
    for units in run(tmp_path).values():
        assert not units.dead[selective(units, 1000)].any()


def test_wrong_units_and_too_few_images_are_told(tmp_path):
    model, source = load(PLAN.model), open_data(PLAN.data)
    layers = looked(model, source, PLAN.ids(source), run(tmp_path))
    with pytest.raises(InputError, match="'nowhere:3' is no unit of a layer that was watched"):
        named_unit("nowhere:3", layers)
    with pytest.raises(InputError, match="has 32 channels, there is no 32"):
        named_unit("pool:32", layers)
    with pytest.raises(InputError, match="there are 5 images, fewer than the 9 to keep"):
        Looking("unfool:digits", "unfool:digits", limit=5).ids(source)


def test_the_command_writes_pages_that_know_each_other(tmp_path, capsys):
    command(
        [
            "inspect",
            "units",
            "--limit",
            "40",
            "--unit",
            "pool:2",
            "--shown",
            "3",
            "--out",
            str(tmp_path / "u"),
        ]
    )
    assert "units in 3 layers" in capsys.readouterr().out
    overview = (tmp_path / "u" / "report.html").read_text()
    for place in ("pool/report.html", "pool-2/report.html", "features/report.html"):
        assert f'href="./{place}"' in overview
        assert (tmp_path / "u" / place).exists()
    told = json.loads((tmp_path / "u" / "pool-2" / "inspect.json").read_text())
    assert told["channel"] == 2
    assert len(told["strongest"]) == 9
    table = pq.read_table(tmp_path / "u" / "units.parquet").to_pylist()
    assert len(table) == 80
    row = next(r for r in table if (r["layer"], r["channel"]) == ("pool", 2))
    assert row["ids"] == [one["id"] for one in told["strongest"]]


def test_what_layers_see_is_a_page_with_its_check(tmp_path, capsys):
    command(["inspect", "field", "--layer", "all", "--out", str(tmp_path / "f")])
    assert "In the middle of layer" in capsys.readouterr().out
    told = json.loads((tmp_path / "f" / "inspect.json").read_text())
    assert all(one["gradient_outside"] == 0 for one in told["layers"].values())
    assert told["layers"]["pool"]["receptive_field"] == [19, 19]


def test_drawn_units_are_beside_what_they_are_compared_with(tmp_path):
    """The value is what the layer gives for the 8-bit picture in its middle; nothing outside what that sees counts."""
    model, source = load(PLAN.model), open_data(PLAN.data)
    layers = looked(model, source, PLAN.ids(source), run(tmp_path))
    wanted = {one.name: (one, selective(one.units, 2)) for one in layers[:2]}
    method = synthesis_of("Maximise(Pixels(), (), steps=20, rate=0.1)")
    found = drawn_units(PLAN, model, source, wanted, method, tmp_path)
    assert list(found) == [(name, c) for name, (_, some) in wanted.items() for c in some]
    x = source.batch(PLAN.ids(source)).x
    for (name, c), one in found.items():
        layer, channels = wanted[name]
        other = 1 - one.whole
        other[(slice(None), *one.box)] = one.seen
        maps = model.trace(torch.stack([one.whole, other]), (name,))[name][:, c]
        middle = maps[:, maps.shape[1] // 2, maps.shape[2] // 2]
        assert middle.tolist() == pytest.approx([one.value] * 2, rel=1e-5)
        assert one.best == float(layer.units.value[c, 0])
        assert one.times == one.value / one.best
        distance = (x - one.whole).flatten(1).norm(dim=1)
        assert one.distance == pytest.approx(float(distance.min()), rel=1e-4)
        assert one.near == PLAN.ids(source)[int(distance.argmin())]
        alone = drawn_units(PLAN, model, source, {name: (layer, [c])}, method, tmp_path / "alone")
        assert torch.equal(alone[name, c].whole, one.whole) or len(channels) == 1
    assert max(one.times for one in found.values() if one.times) > 1


def test_pages_show_what_units_would_like_best(tmp_path, capsys):
    more = ["--layer", "pool", "--unit", "pool:2", "--shown", "3", "--draw", "Maximise(steps=2)"]
    assert command(["inspect", "units", "--limit", "40", *more, "--out", str(tmp_path / "u")]) == 0
    told = json.loads((tmp_path / "u" / "pool-2" / "inspect.json").read_text())["drawn"]
    assert told["times"] == pytest.approx(told["value"] / told["best"])
    assert (tmp_path / "u" / "pool-2" / "drawn.png").exists()
    layer = json.loads((tmp_path / "u" / "pool" / "inspect.json").read_text())
    assert [*layer["drawn"]] == [*layer["units"]]
    capsys.readouterr()
    assert command(["inspect", "units", "--limit", "40", "--draw", "Invert('pool')", "--out", "never"]) == 2
    assert "objective of its own" in capsys.readouterr().err
