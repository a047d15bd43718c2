"""``unfool inspect map``: a lasso becomes a slice that other commands take, and what is exported opens elsewhere."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unfool.cli.main import run
from unfool.report.exports import WIDEST, sprite_side

FEW = ["inspect", "map", "unfool:digits8", "--limit", "60", "--seeds", "1", "--out", "a"]
MAP = [*FEW, "--perplexity", "8"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    pytest.importorskip("openTSNE")
    pytest.importorskip("pacmap")
    monkeypatch.chdir(tmp_path)


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


@pytest.mark.slow
def test_a_lasso_is_a_slice_and_exports_hold_every_image(capsys):
    assert run([*MAP, "--json", "--export"]) == 0
    capsys.readouterr()
    table = pq.read_table("a/map.parquet")
    assert table.column_names == ["id", "path", "label", "prediction", "confidence", "x", "y", "embedding"]
    assert table.schema.field("embedding").type == pa.list_(pa.float32())
    rows = table.to_pylist()
    assert len(rows) == 60
    assert size_of(rows[0]["path"]) == (8, 8)
    tensors = [line.split("\t") for line in Path("a/projector/tensors.tsv").read_text().splitlines()]
    assert [len(tensors), len(tensors[0])] == [60, len(rows[0]["embedding"])]
    assert float(tensors[5][3]) == pytest.approx(rows[5]["embedding"][3], rel=1e-4, abs=1e-5)
    lines = Path("a/projector/metadata.tsv").read_text().splitlines()
    meta = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["id"] for row in meta] == [row["id"] for row in rows]
    assert size_of("a/projector/sprite.png") == (8 * 64, 8 * 64)

    middle = sorted(row["x"] for row in rows)[30]
    lasso = f"--lasso={middle},-999,999,-999,999,999,{middle},999"
    assert run([*MAP, "--json", lasso]) == 0
    told = json.loads(capsys.readouterr().out)
    inside = [row["id"] for row in rows if row["x"] > middle]
    assert Path("a/slice.txt").read_text().split() == told["slice"]
    assert set(inside) <= set(told["slice"]) <= {row["id"] for row in rows if row["x"] >= middle}
    assert (
        run(
            [
                "explain",
                "Gradient",
                "unfool:digits8?only=a/slice.txt",
                "--model",
                "unfool:digits8",
                "--limit",
                "3",
            ]
        )
        == 0
    )


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["--lasso", "1,2,3,4"], "a lasso of 4 numbers has no inside", "three corners"),
        (["--lasso", "a,b"], "'a' is not a number", "0.03"),
        (["--perplexity", "40"], "perplexity 40 is more than a third of 60 images", "--perplexity 6"),
        (["--layer", "featurs"], "no layer is called 'featurs'", "did you mean features"),
        (["--only", "scores"], "shows no layers", "file.py:net"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_sentence(capsys, arguments, said, hint):
    assert run([*(MAP if arguments[0] != "--perplexity" else FEW), *arguments]) == 2
    error, way_out = capsys.readouterr().err.strip().splitlines()[-2:]
    assert said in error
    assert hint in way_out


def test_no_sprite_is_wider_than_the_projector_takes():
    for n in (1, 500, 20_000, 100_000):
        columns = 1
        while columns**2 < n:
            columns += 1
        assert columns * sprite_side(n) <= WIDEST
