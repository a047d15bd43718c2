"""``unfool inspect``: every subject has help without torch, writes its page and prints one document."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from unfool.cli.inspect import SUBJECTS
from unfool.cli.main import run

QUICK = {
    "transfer": ["--models", "unfool:digits8", "unfool:digits8?net=mlp", "--limit", "30"],
    "directions": ["--sample", "10", "--images", "1", "--planes", "1", "--draws", "5"],
    "norms": ["--sample", "10", "--images", "1"],
    "hiding": ["unfool:scenes?net=narrow", "unfool:scenes?net=coarse", "--limit", "8", "--images", "1"],
    "bounds": ["--points", "200"],
    "shortcuts": ["unfool:digits?net=corner", "unfool:digits?tag=corner", "--target", "3"],
    "hotspots": ["--limit", "200", "--method", "Gradient()"],
    "decision": ["unfool:digits8", "--cases", "unfool:digits8", "--limit", "100"],
    "envelope": ["unfool:digits8", "--images", "16"],
    "backdoor": [
        "unfool:digits8",
        "--target",
        "0",
        "1",
        "2",
        "3",
        "--trigger",
        "Trigger(epochs=1)",
        "--controls",
        "0",
    ],
    "certify": [
        "--limit",
        "12",
        "--points",
        "2",
        "--attack",
        "FMN(steps=20)",
        "--certificate",
        "IntervalBounds()",
    ],
    "detect": [
        "--sample",
        "120",
        "--limit",
        "20",
        "--sizes",
        "0.2",
        "--attack",
        "FGSM()",
        "--alarm",
        "SqueezeAlarm()",
    ],
    "groups": [str(Path(__file__).parents[2] / "examples" / "gender_shades.csv")],
    "slices": ["--limit", "400"],
    "dimensions": ["--images", "10", "--seeds", "1"],
    "atlas": ["--limit", "60", "--method", "pca", "--grid", "4", "--draw", "Maximise(steps=2)", "--of", "3"],
    "hierarchy": ["--limit", "40", "--channels", "1", "--moved", "4"],
    "map": ["unfool:digits8", "--limit", "60", "--perplexity", "8", "--seeds", "1"],
    "probe": ["unfool:digits8", "--shots", "1", "--draws", "2", "--moved", "4", "--layer", "features"],
    "neighbours": [
        "unfool:digits8",
        "--training",
        "unfool:digits8?split=train",
        "--limit",
        "60",
        "--images",
        "1",
    ],
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_subject_has_help_without_torch():
    code = (
        "import sys; from unfool.cli.main import run\n"
        "for subject in sys.argv[1:]:\n"
        "    assert run(['inspect', subject, '--help']) == 0, subject\n"
        "    assert 'torch' not in sys.modules, subject"
    )
    done = subprocess.run([sys.executable, "-c", code, *SUBJECTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [s for s in SUBJECTS if f"Usage: unfool inspect {s} " not in done.stdout] == []


@pytest.mark.slow
@pytest.mark.parametrize("subject", QUICK)
def test_every_subject_writes_its_page(capsys, subject):
    assert run(["inspect", subject, "--out", "a", "--json", *QUICK[subject]]) == 0
    told = json.loads(capsys.readouterr().out)
    kept = json.loads(Path("a/inspect.json").read_text())
    assert told["sentence"] == kept["sentence"]
    assert told["sentence"] in Path("a/report.html").read_text().replace("&#39;", "'")
    assert list(Path("a").glob("*.svg")) or list(Path("a").glob("*.png"))


def test_an_unknown_subject_and_no_models_are_one_sentence(capsys):
    assert run(["inspect", "transfr"]) == 2
    assert run(["inspect", "transfer", "unfool:lesions"]) == 2
    err = capsys.readouterr().err
    assert "over which models?" in err
    assert "Traceback" not in err


FEW = ["inspect", "hiding", "unfool:scenes?net=narrow", "unfool:scenes?net=coarse", "--limit", "12", "--json"]


@pytest.mark.slow
def test_hiding_tells_every_rate_beside_its_controls_and_goes_on_where_it_was_stopped(capsys):
    assert run([*FEW, "--out", "a"]) == 0
    told, kept = json.loads(capsys.readouterr().out), Path("a/inspect.json").read_bytes()
    for name in ("narrow", "coarse"):
        for kind in (
            "clean",
            "random",
            "white",
            "adversarial",
            "learned",
            "learned: random",
            "learned: white",
        ):
            assert told["found"][kind][name]["n"] == told["found_in_photos"][kind][name]["n"] == 12
        found = {kind: row[name]["k"] for kind, row in told["found"].items()}
        assert found["adversarial"] < found["random"] - 2
        assert found["clean"] >= 9
    for rows in (told["hidden"], told["hidden_by_learned"]):
        assert list(rows) == ["narrow", "coarse", "random", "white"]
        assert {cell["n"] for row in rows.values() for cell in row.values()} == {told["common"]}
    names = ("scene-1.png", "found.svg", "photos.svg", "matrix.svg", "learned-matrix.svg", "stickers.png")
    assert [name for name in names if not (Path("a") / name).exists()] == []
    next(Path("a/parts/from-1").glob("part-*")).unlink()
    Path("a/learn-0/learned.safetensors").unlink()
    assert run([*FEW, "--out", "a"]) == 0
    assert Path("a/inspect.json").read_bytes() == kept


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["inspect", "hiding", "unfool:digits8"], "it is no detector", "unfool:scenes"),
        (["inspect", "hiding", "unfool:scenes", "--data", "unfool:digits8"], "has no boxes", "COCO"),
        (["inspect", "hiding", "--data", "boxes.json"], "from which detectors?", "name them"),
        (["inspect", "hiding", "unfool:scenes", "--object", "bus"], "finds no bus", "octagon"),
        (["inspect", "hiding", "unfool:scenes", "--only", "labels"], "that tell classes", "leave them out"),
        (["inspect", "hiding", "unfool:scenes?net=smal"], "no embedded detector", "did you mean small?"),
        (["inspect", "hiding", "unfool:scenes?stride=5"], "cannot be", "stride 4 or 8"),
        (["audit", "unfool:scenes"], "is a detector", "unfool inspect hiding"),
        (
            ["attack", "PGD", "unfool:scenes", "--model", "unfool:scenes"],
            "is a detector",
            "unfool inspect hiding",
        ),
        (["maximise", "--method", "Fooling", "--model", "unfool:scenes"], "is a detector", "hiding"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_wrong_kind_of_model_or_data_is_one_sentence(capsys, arguments, said, hint):
    assert run(arguments) == 2
    error, way_out = capsys.readouterr().err.strip().splitlines()[-2:]
    assert said in error
    assert hint in way_out
    assert not Path("runs").exists()
