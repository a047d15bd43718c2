"""One look at every image: nothing is lost when it is killed, and a patch is all that its unit sees."""

import json

import pyarrow.parquet as pq
import pytest
import torch

from unfool.analysis.units import Gallery, card, looked, named_unit, selective
from unfool.cli.main import run as command
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.measures.units import Units
from unfool.runs.units import Looking, run_units
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
