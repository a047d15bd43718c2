"""The chosen layer is the one whose maps the network obeys, chosen on one half of the images and told by the other."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unfool.analysis.scan import scan_of
from unfool.attributions.cam import GradCAM
from unfool.cli.main import run
from unfool.data.arrays import Arrays
from unfool.measures.deletion import Deletion
from unfool.model import Model
from unfool.runs.grade import Grading, Scanned, run_grading
from unfool.runs.table import Table

BY = Deletion(steps=4)


def table(values: Tensor) -> Table:
    return Table(tuple(map(str, range(len(values)))), {repr(BY): values}, {}, {})


def test_the_layer_is_chosen_on_every_second_image_and_told_by_the_others():
    lucky = torch.tensor([0.0, 0.9, 0.0, 0.9, 0.0, 0.9, 0.0, 0.9])  # best where it is chosen, worst elsewhere
    even = torch.full((8,), 0.5) + torch.arange(8) / 1000
    scan = scan_of(Scanned((BY,), {"a": table(even), "b": table(lucky), "c": table(even + 0.4)}))
    assert scan is not None
    assert (scan.best, scan.chosen_on, scan.by) == ("b", 4, BY)
    assert [round(float(one.means[0].mean), 2) for one in scan.places] == [0.5, 0.9, 0.9]
    assert scan.places[0].ahead.high < 0  # and the others say so
    assert scan.rivals == ["a"]
    clear = scan_of(Scanned((BY,), {"a": table(even), "c": table(even + 0.4)}))
    assert clear is not None
    assert clear.best == "a"
    assert [one.beaten for one in clear.places] == [False, True]
    assert clear.as_dict()["best"] == "a"


def test_too_few_images_or_none_with_an_answer_choose_nothing():
    few = torch.rand(3)
    assert scan_of(Scanned((BY,), {"a": table(few), "b": table(few)})) is None
    none = torch.full((8,), torch.nan)
    assert scan_of(Scanned((BY,), {"a": table(none), "b": table(none)})) is None
    half = scan_of(Scanned((BY,), {"a": table(none), "b": table(torch.rand(8))}))
    assert half is not None
    assert half.best == "b"


class Shuffled(nn.Module):
    """Sees one corner; its last layer has the right maps in the wrong places, its first in the right ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.first.weight)
        nn.init.ones_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.last(self.first(x).flip(2, 3))
        return torch.stack([torch.zeros(len(x)), 20 * seen[:, 0, -3:, -3:].mean((1, 2)) - 8], 1)


def test_a_layer_whose_maps_lie_in_the_wrong_places_is_behind(tmp_path):
    x = torch.rand(12, 1, 9, 9, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=np.ones(12, np.uint8))
    plan = Grading(GradCAM(("first", "last")), "net", "data", (BY,), target=1, sanity=2)
    found = run_grading(
        plan, Model(Shuffled().eval()), None, Arrays(str(tmp_path / "data.npz")), Path(tmp_path, "g")
    )
    assert found.scanned is not None
    scan = scan_of(found.scanned)
    assert scan is not None
    assert [one.layer for one in scan.places] == ["first", "last"]
    assert scan.best == "first"
    assert scan.places[1].beaten
    again = run_grading(
        plan, Model(Shuffled().eval()), None, Arrays(str(tmp_path / "data.npz")), Path(tmp_path, "g")
    )
    assert again.scanned is not None
    assert scan_of(again.scanned) == scan


def test_the_command_prints_and_keeps_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    command = [
        "explain",
        "GradCAM('stages')",
        "unfool:lesions",
        "--model",
        "unfool:lesions",
        "--grade",
        "--quiet",
    ]
    quick = ["--measures", "Deletion(steps=2)", "Pointing", "--limit", "6", "--pictures", "1", "--out", "e"]
    assert run([*command, *quick]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "best layer by Deletion(steps=2): " in said
    assert "chosen on 3 images" in said
    layers = json.loads(Path("e/grade.json").read_text())["layers"]
    assert f"{layers['best']} (best)" in said
    assert layers["by"] == "Deletion(steps=2)"
    assert len(layers["layers"]) > 1
