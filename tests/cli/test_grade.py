"""``unfool explain --grade``: the table, the charts, one JSON, a badge in every picture; the same bytes each time."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unfool.cli.main import run

QUICK = ["--measures", "Deletion(steps=4)", "Pointing", "Overlap", "--quiet"]
MADE = ("grade.json", "grades.svg", "grades.png", "sanity.svg", "sanity.png")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def graded(capsys, *arguments: str, out: str = "e") -> tuple[str, dict]:
    assert run(["explain", *arguments, "--grade", "--out", out]) == 0, capsys.readouterr().err
    return capsys.readouterr().out, json.loads(Path(out, "grade.json").read_text())


def test_masks_are_used_where_there_are_some_and_everything_is_written(capsys):
    lesions = [
        "GradCAM",
        "unfool:lesions",
        "--model",
        "unfool:lesions",
        "--limit",
        "6",
        "--pictures",
        "2",
        *QUICK,
    ]
    said, found = graded(capsys, *lesions)
    assert [one["measure"] for one in found["measures"]] == ["Deletion(steps=4)", "Pointing()", "Overlap()"]
    assert [one["better"] for one in found["measures"]] == ["lower", "higher", "higher"]
    for name in ("CentrePrior", "RandomMap", "Edges", "Brightness"):
        assert name in said
        assert all(any(g["method"] == f"{name}()" for g in one["grades"]) for one in found["measures"])
    assert "↓" in said
    assert "badge:" in said
    assert found["sanity"]["badge"]["pass_up_to"] == 0.3
    files = [Path("e", name).read_bytes() for name in MADE]
    graded(capsys, *lesions, out="f")
    assert [Path("f", name).read_bytes() for name in MADE] == files
    graded(capsys, *lesions)  # done already
    assert [Path("e", name).read_bytes() for name in MADE] == files


def test_every_picture_of_a_map_carries_its_badge(capsys):
    digits = ["unfool:digits", "--limit", "24", "--pictures", "1", "--measures", "Deletion(steps=2)"]
    shades = {}
    for method in ("GradientTimesInput", "GradCAM"):
        said, found = graded(capsys, method, *digits, out=method)
        with Image.open(next(Path(method, "pictures").glob("*.png"))) as picture:
            pixels = {tuple(p) for p in np.asarray(picture).reshape(-1, 3).tolist()}
        shades[found["sanity"]["badge"]["badge"]] = ((176, 42, 0) in pixels, (0, 110, 80) in pixels)
        assert found["sanity"]["random_labels"]["n"] >= 2
        assert ("> 0.5" if method == "GradientTimesInput" else "≤ 0.3") in said
    assert shades == {"red": (True, False), "green": (False, True)}


def test_data_without_masks_and_a_table_with_a_mask_column(capsys):
    _, found = graded(
        capsys, "Gradient", "unfool:digits8", "--model", "unfool:digits8", "--limit", "4", *QUICK
    )
    assert found["silent"] == ["Pointing", "Overlap"]
    os.mkdir("p")
    for k in range(3):
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (8, 8), np.uint8)).save(f"p/{k}.png")
        mask = np.zeros((8, 8), np.uint8)
        mask[2:5, 2:5] = 1
        Image.fromarray(mask).save(f"p/m{k}.png")
    Path("p/index.csv").write_text("path,mask\n" + "".join(f"{k}.png,m{k}.png\n" for k in range(3)))
    _, found = graded(capsys, "Gradient", "p/index.csv", "--model", "unfool:digits8", *QUICK, out="t")
    assert found["silent"] == []
    assert found["measures"][1]["grades"][0]["n"] == 3


def test_json_is_one_document_with_the_grades_in_it(capsys):
    digits = ["Gradient", "unfool:digits8", "--model", "unfool:digits8", "--limit", "3", "--json", *QUICK]
    said, found = graded(capsys, *digits)
    assert json.loads(said)["grade"] == found


def test_a_measure_that_does_not_exist_is_one_sentence(capsys):
    command = [
        "explain",
        "Gradient",
        "unfool:digits8",
        "--model",
        "unfool:digits8",
        "--limit",
        "2",
        "--grade",
    ]
    assert run([*command, "--measures", "Delition"]) == 2
    assert "Deletion" in capsys.readouterr().err


def test_long_names_are_whole_in_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    command = ["SmoothGrad(GradientTimesInput(), samples=2)", "unfool:digits8", "--model", "unfool:digits8"]
    long = ["ConfidenceIncrease", "Insertion(steps=4, fill='mean')"]
    said, _ = graded(capsys, *command, "--limit", "3", "--quiet", "--measures", *long)
    table = said[: said.index("images;")]
    assert "…" not in table
    assert all(len(line) <= 80 for line in table.splitlines())
    for word in ("SmoothGrad(", "samples=2)", "Increase", "steps=4", "fill='mean')", "Brightness"):
        assert word in table
