"""A tracker is told every number, setting and picture that a command leaves; one that is absent is one sentence."""

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unfool.cli import running
from unfool.cli.main import run
from unfool.errors import MissingExtra, UnknownName
from unfool.runs.train import read_log
from unfool.track.base import MOST_PICTURES, Tracker, leaves, tell
from unfool.track.wandb import WandB

DOCUMENT = {"recipe": "PGD()", "fooled": {"rate": 0.5, "n": 4}, "errors": {}, "curve": [1, 2], "none": None}


class _Noted(Tracker):
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.steps: dict[str, list[int]] = {}

    def number(self, name: str, value: float, step: int = 0) -> None:
        self.told.append((name, value))
        self.steps.setdefault(name, []).append(step)

    def picture(self, name: str, path: Path) -> None:
        self.told.append((name, path.name))

    def text(self, name: str, value: str) -> None:
        self.told.append((name, value))

    def close(self) -> None:
        self.told.append("closed")


def pictures(folder: Path, n: int = 1) -> Path:
    (folder / "pictures").mkdir(parents=True)
    for k in range(n):
        Image.new("L", (4, 4)).save(folder / "pictures" / f"{k:02d}.png")
    return folder


def test_numbers_are_called_by_their_path():
    assert list(leaves(DOCUMENT)) == [("recipe", "PGD()"), ("fooled/rate", 0.5), ("fooled/n", 4)]


def test_numbers_settings_and_some_pictures_are_told_and_then_it_is_closed(tmp_path: Path):
    noted = _Noted()
    tell(noted, DOCUMENT, pictures(tmp_path / "a", 30))
    assert noted.told[:3] == list(leaves(DOCUMENT))
    assert noted.told[3] == ("pictures/00", "00.png")
    assert len(noted.told) == 3 + MOST_PICTURES + 1
    assert noted.told[-1] == "closed"


def test_tensorboard_files_hold_what_was_told(tmp_path: Path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell(running.tracker(f"tensorboard:{tmp_path / 'tb'}", "mine"), DOCUMENT, pictures(tmp_path / "a"))
    held = EventAccumulator(str(tmp_path / "tb" / "mine")).Reload()
    assert held.Scalars("fooled/rate")[0].value == 0.5
    assert held.Tags()["images"] == ["pictures/00"]
    assert held.Tags()["tensors"] == ["recipe/text_summary"]


def test_a_tracker_nobody_has_and_one_that_is_not_installed_are_one_sentence(monkeypatch: Any):
    with pytest.raises(UnknownName, match="no tracker is called 'tensorbord'") as unknown:
        running.check_tracker("tensorbord:x")
    assert "tensorboard" in unknown.value.hint
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="mlflow-skinny") as missing:
        running.check_tracker("mlflow:x")
    assert "unfool[mlflow]" in missing.value.hint


def test_an_attack_is_tracked(tmp_path: Path, monkeypatch: Any):
    noted = _Noted()
    monkeypatch.setattr(running, "check_tracker", lambda text: "noted")
    monkeypatch.setattr(running, "tracker", lambda text, name: noted)
    place, how = str(tmp_path / "a"), ["--limit", "4", "--pictures", "1", "--quiet", "--track", "noted:x"]
    assert run(["attack", "FGSM", "unfool:digits8", "--model", "unfool:digits8", "--out", place, *how]) == 0
    names = [told[0] for told in noted.told]
    assert "fooled/n" in names
    assert any(name.startswith("pictures/") for name in names)
    assert noted.told[-1] == "closed"


def test_a_training_is_followed_epoch_by_epoch_class_by_class(tmp_path: Path, monkeypatch: Any):
    noted, opened = _Noted(), list[str]()
    monkeypatch.setattr(running, "check_tracker", lambda text: "noted")
    monkeypatch.setattr(running, "tracker", lambda text, name: opened.append(name) or noted)
    how = [
        "--epochs",
        "2",
        "--limit",
        "60",
        "--sample",
        "20",
        "--judge",
        "PGD(steps=1)",
        "--method",
        "Natural",
    ]
    words = [
        "train",
        "unfool:digits8",
        *how,
        "--out",
        str(tmp_path / "mine"),
        "--quiet",
        "--track",
        "noted:x",
    ]
    assert run(words) == 0
    log = read_log(tmp_path / "mine")
    assert noted.steps["epochs/clean"] == noted.steps["epochs/by_class/3/robust"] == [0, 1, 2]
    assert noted.steps["epochs/loss"] == [1, 2]
    assert ("epochs/robust", log.epochs[2].right(3) / log.epochs[2].n) in noted.told
    counts = log.epochs[1].counts[3]
    assert ("epochs/by_class/3/fgsm", counts[2] / counts[0]) in noted.told
    assert "robust/rate" in noted.steps
    assert opened == ["mine"]
    assert noted.told[-1] == "closed"
    first, noted.told = noted.told, []
    assert run(words) == 0  # a finished run is told whole, wherever it is told
    assert noted.told == first


def test_weights_and_biases_throws_nothing_away(tmp_path: Path, monkeypatch: Any):
    """It takes steps in order only: what a run tells at its end comes with the last one."""
    logged = list[tuple[Any, int]]()

    class Run:
        def log(self, what: Any, step: int) -> None:
            logged.append((what, step))

    class Wandb:
        Settings = Image = staticmethod(lambda *_, **__: None)
        init = staticmethod(lambda **_: Run())

    monkeypatch.setitem(sys.modules, "wandb", Wandb)
    told = WandB("p", "n")
    for step in (0, 2, 0):
        told.number("a", 1.0, step)
    told.picture("b", tmp_path)
    assert [step for _, step in logged] == [0, 2, 2, 2]
