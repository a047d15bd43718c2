"""``unfool inspect atlas``: a page for the layer and one for each class; what is wrong is one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from unfool.cli.main import run

QUICK = ["--limit", "60", "--method", "pca", "--grid", "4", "--draw", "Maximise(steps=2)", "--out", "a"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_class_has_a_page_that_knows_the_atlas(capsys: Any):
    assert run(["inspect", "atlas", "--of", "3", *QUICK, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    cells = {one["name"]: one for one in told["cells"]}
    assert 'href="./class-3/report.html"' in Path("a/report.html").read_text()
    assert 'href="../report.html"' in Path("a/class-3/report.html").read_text()
    own = json.loads(Path("a/class-3/inspect.json").read_text())
    means = [one["mean"] for one in own["cells"]]
    assert means == sorted(means, reverse=True)
    assert all(one["mean"] > own["bar"] for one in own["cells"])
    assert all(one["mean"] < 0 for one in own["against"])
    for one in (*own["cells"], *own["against"]):
        assert (one["n"], one["row"], one["column"]) == tuple(
            cells[one["name"]][k] for k in ("n", "row", "column")
        )
    assert told["argued"]["above"] == sum(one["above_shuffled"] for one in told["cells"])
    assert sum(one["n"] for one in told["cells"]) <= told["activations"] == 240


def test_nothing_is_asked_of_the_classes_where_that_is_not_wanted(capsys: Any):
    assert (
        run(
            [
                "inspect",
                "atlas",
                "unfool:digits?net=mlp",
                "--layer",
                "4",
                "--asked",
                "0",
                "--each",
                "1",
                *QUICK,
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "argue" not in said
    told = json.loads(Path("a/inspect.json").read_text())
    assert told["argued"] is None
    assert told["positions"] == [1]
    assert told["activations"] == told["images"] == 60


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["--of", "12"], "there are 10 classes", ""),
        (["--of", "three"], "no class is called 'three'", ""),
        (["--only", "scores"], "shows no layers", "file.py:net"),
        (["--layer", "featurs"], "no layer is called 'featurs'", "did you mean features"),
        (["--draw", "Invert('pool')"], "has an objective of its own", ""),
        (["--asked", "0", "--of", "3"], "nothing is known of what the cells do", "--asked above 0"),
        (["--method", "umap"], "umap", ""),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_sentence(capsys: Any, arguments: list[str], said: str, hint: str):
    assert run(["inspect", "atlas", *QUICK, *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert hint in error
    assert "Traceback" not in error
