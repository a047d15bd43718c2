"""Rings are where pixels changed; curves end at the rate that is reported; the command writes both, with a control."""

import json
from pathlib import Path

import torch
from PIL import Image

from unfool.analysis.rates import fooled_by, rate
from unfool.cli.main import run
from unfool.runs.table import read_table
from unfool.show.chart import class_grid, success_against_queries
from unfool.show.grid import FONT
from unfool.show.image import PALETTE
from unfool.show.pixels import ringed


def test_a_ring_goes_round_the_pixel_that_changed_and_no_other():
    before = torch.zeros(1, 8, 8)
    after = before.clone()
    after[0, 2, 5] = 1
    picture = ringed(before, after, side=320)
    assert picture.shape == (3, 320, 320)
    orange = (picture == (torch.tensor(PALETTE[1]) / 255)[:, None, None]).all(0)
    rows, columns = orange.nonzero(as_tuple=True)
    assert abs(float(rows.float().mean()) - (2.5 * 40 - 0.5)) < 1
    assert abs(float(columns.float().mean()) - (5.5 * 40 - 0.5)) < 1
    assert (picture[:, 2 * 40 + 20, 5 * 40 + 20] == 1).all()
    assert not (ringed(before, before, side=320) != 0).any()


def test_a_curve_counts_those_fooled_within_each_number_of_queries():
    fooled = torch.tensor([True, True, False, True])
    points = fooled_by(fooled, torch.tensor([3, 7, 20, 3]))
    assert [(at, r.k) for at, r in points] == [(1, 0), (3, 2), (7, 3), (20, 3)]
    assert points[-1][1] == rate(fooled)
    curves = {"one": [(at, (r.value, r.low, r.high)) for at, r in points]}
    assert "queries per image" in success_against_queries(curves)


def test_a_grid_names_every_class_and_counts():
    text = class_grid(torch.tensor([[0.0, 3.0], [0.0, 0.0]]), torch.tensor([5, 4]), ["cup", "bowl"])
    assert "cup (5)" in text
    assert ">3<" in text


def test_captions_have_arrows():
    assert FONT.exists()


def test_the_command_rings_pixels_and_draws_the_curve_beside_its_control(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = ["--model", "unfool:digits8", "--limit", "12", "--pictures", "2", "--out", "a", "--json"]
    assert run(["attack", "OnePixel(population=20, generations=2)", "unfool:digits8", *told]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["queries"]) == {"OnePixel", "random, as many queries"}
    folder = Path("a")
    assert (folder / "queries.svg").read_text().startswith("<svg")
    assert (folder / "classes.svg").read_text().startswith("<svg")
    pictures = list((folder / "pictures").glob("*.png"))
    assert len(pictures) == 2
    with Image.open(pictures[0]) as picture:
        assert picture.width > 224 + 320
    control = read_table(folder / "control")
    assert int(control["queries"].max()) <= int(read_table(folder)["queries"].max())
    assert (control["l0"] <= 1).all()
