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
    "bounds": ["--points", "200"],
    "dimensions": ["--images", "10", "--seeds", "1"],
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_has_help_without_torch(subject):
    code = (
        "import sys; from unfool.cli.main import run; sys.exit(run(sys.argv[1:]) or 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", subject, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


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
