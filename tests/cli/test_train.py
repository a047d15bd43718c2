"""``unfool train``: what it leaves is a model for every other command; killed it goes on; two processes are one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import unfool
from unfool.cli.main import run
from unfool.errors import DataError

SMALL = {
    "model": "unfool:digits8?weights=none",
    "method": "Madry(PGD(steps=2))",
    "within": "Linf(0.1)",
    "limit": "120",
    "sample": "40",
    "epochs": "2",
    "rows": "40",
    "optimiser": "SGD(0.05)",
    "judge": "PGD(steps=3)",
}


def flags(out: Path, **changed: str) -> list[str]:
    """A small training as a command."""
    told = SMALL | changed | {"out": str(out)}
    return [
        "train",
        "unfool:digits8",
        *(word for name, value in told.items() for word in (f"--{name}", value)),
    ]


FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))

def wide():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
"""


@pytest.fixture(scope="module")
def taught(tmp_path_factory: Any) -> Path:
    out = tmp_path_factory.mktemp("taught") / "run"
    assert run(flags(out)) == 0
    return out


def test_it_leaves_weights_a_card_a_page_and_numbers(taught: Path):
    told = json.loads((taught / "train.json").read_text())
    assert len(told["epochs"]) == 3
    assert told["cost"]["forward"] == told["cost"]["backward"] == 3
    assert set(told["curves"]) == {"before", "after"}
    assert all({"k", "n", "low", "high"} <= set(rate) for rate in told["curves"]["after"]["attack"])
    card = (taught / "README.md").read_text()
    assert "unfool.load(" in card
    assert repr(unfool.Madry(unfool.PGD(steps=2))) in card
    assert "Epoch by epoch" in (taught / "report.html").read_text()


def test_every_other_command_takes_it_by_its_folder_or_its_file(taught: Path, tmp_path: Path):
    x = unfool.open_data("unfool:digits8").batch(["test/0", "test/1"]).x
    weights = load_file(taught / "model.safetensors")
    address = f"unfool:digits8?weights={taught / 'model.safetensors'}"
    found = [unfool.load(a) for a in (str(taught), str(taught / "model.safetensors"), address)]
    assert all(torch.equal(model(x), found[0](x)) for model in found)
    assert all(torch.equal(v, weights[k]) for k, v in found[0].net.state_dict().items())
    assert found[0].classes == tuple("0123456789")
    assert (
        run(
            [
                "attack",
                "FGSM",
                "unfool:digits8",
                "--model",
                str(taught),
                "--limit",
                "2",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )


def test_the_same_command_again_does_no_work(taught: Path, monkeypatch: Any):
    before = {p.name: p.read_bytes() for p in taught.iterdir() if p.suffix == ".safetensors"}
    monkeypatch.setattr("unfool.training.fit.Train.update", None)
    assert run(flags(taught)) == 0
    assert {p.name: p.read_bytes() for p in taught.iterdir() if p.suffix == ".safetensors"} == before


def test_a_factory_of_random_weights_begins_with_the_same_ones_again(tmp_path: Path):
    (tmp_path / "net.py").write_text(FACTORY)
    out, net = tmp_path / "out", f"{tmp_path / 'net.py'}:make"
    for _ in range(2):
        assert run(flags(out, model=net, method="Natural")) == 0
    state = unfool.load(str(out)).net.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in load_file(out / "model.safetensors").items())
    (tmp_path / "net.py").write_text(FACTORY.replace("def make", "def other"))
    with pytest.raises(unfool.UnknownName):
        unfool.load(str(out))


def test_weights_that_do_not_say_whose_they_are_need_the_networks_address(tmp_path: Path):
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="does not say whose"):
        unfool.load(str(tmp_path / "w.safetensors"))


def test_what_is_wrong_is_one_sentence_and_a_way_out(tmp_path: Path, capsys: Any):
    np.savez(tmp_path / "bare.npz", x=np.zeros((20, 8, 8), np.uint8))
    cases = {
        (str(tmp_path / "bare.npz"), "--model", "unfool:digits8"): "no labels to learn from",
        ("unfool:digits8", "--method", "PGD"): "not a training",
        ("unfool:digits8", "--method", "Madri"): "Madry",
        ("unfool:digits8", "--model", "unfool:digits8?net=svm"): "needs gradients",
        ("unfool:digits8", "--model", "unfool:digits8", "--limit", "1"): "of one class",
        ("unfool:digits8", "--model", "unfool:digits8", "--schedule", "Cosine(2)"): "Cosine.warmup must be",
    }
    for k, (words, text) in enumerate(cases.items()):
        assert run(["train", *words, "--out", str(tmp_path / f"out{k}")]) == 2
        said = capsys.readouterr().err
        assert text in said, said
        assert "Traceback" not in said


def test_another_training_in_the_same_folder_is_refused(taught: Path, capsys: Any):
    assert run(flags(taught, epochs="3")) == 2
    assert "holds another run" in capsys.readouterr().err


def started(words: list[str], torchrun: int = 0) -> "subprocess.Popen[bytes]":
    launch = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(torchrun)] if torchrun else []
    )
    return subprocess.Popen(
        [sys.executable, *launch, "-m", "unfool", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def as_started(monkeypatch: Any) -> Iterator[None]:
    """As many threads as the processes that are started have, for kernels round by it; and no page."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr("unfool.cli.train.conclude", lambda *_: None)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_killed_in_its_course_it_ends_in_the_same_bytes(tmp_path: Path, as_started: None):
    """By kill -9, which nothing can catch; after which update makes no difference (tests/runs/test_train.py)."""
    how = {"epochs": "12", "optimiser": "Adam(0.01)", "average": "0.9", "augment": "Slide(1)"}
    cut = tmp_path / "cut"
    process = started(flags(cut, **how))
    wait_for(cut / "state.safetensors", process)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (cut / "model.safetensors").exists()
    for out in (cut, tmp_path / "whole"):
        assert run(flags(out, **how)) == 0
    for name in ("model.safetensors", "last.safetensors"):
        assert (cut / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list(cut.glob("*.tmp"))


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_one_goes_on_where_two_were_killed(
    tmp_path: Path, as_started: None
):
    """The network has no batch norm; sums are made in another order, so weights agree to rounding."""
    for k, method in enumerate(("AWP(Trades(PGD(steps=2)))", "Free(replays=2)")):
        one, two = tmp_path / f"one{k}", tmp_path / f"two{k}"
        how = {"method": method, "limit": "121"}  # the last update has one image: one process has none
        process = started(flags(two, **how), torchrun=2)
        assert run(flags(one, **how)) == 0  # while the two come up
        if k:
            wait_for(two / "state.safetensors", process)
            for pid in (process.pid, *children(process.pid)):
                os.kill(pid, signal.SIGKILL)
            assert run(flags(two, **how)) == 0
        assert process.wait() == (-signal.SIGKILL if k else 0)
        found, wanted = (load_file(place / "last.safetensors") for place in (two, one))
        assert all(torch.allclose(v, found[name], atol=1e-5) for name, v in wanted.items())
        logs = [json.loads((place / "history.json").read_text()) for place in (one, two)]
        assert [e["passes"] for e in logs[0]["epochs"]] == [e["passes"] for e in logs[1]["epochs"]]
        assert ("on 1 processes instead of 2" in str(logs[1]["notes"])) == bool(k)


def wait_for(path: Path, process: Any) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
