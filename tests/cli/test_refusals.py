"""What ``unfool inspect`` cannot do is one sentence and a way out, before anything is written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unfool.cli.main import run
from unfool.samples import digits8

NETWORK = "unfool:digits8"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder with digits of one class, with digits without labels, and with a table without groups."""
    monkeypatch.chdir(tmp_path)
    own = digits8("train")
    ones = own.y == 1
    np.savez("ones.npz", x=own.x[ones].numpy(), y=own.y[ones].numpy())
    np.savez("bare.npz", x=own.x[:130].numpy())
    Path("empty.csv").write_text("system,n,wrong\n")


NO_PATCHES = ("has no positions, so that there are no patches", "unfool inspect neighbours")
ONE_CLASS = ("one class only: nothing is to be told apart", "two classes at least")
REFUSED = {
    f"units {NETWORK} --layer head": NO_PATCHES,
    f"field {NETWORK} --layer head": NO_PATCHES,
    "units unfool:digits8?net=mlp unfool:digits8": ("no layer with positions", "unfool inspect neighbours"),
    "units unfool:digits8?net=tree unfool:digits8": ("no layer with positions", "unfool inspect neighbours"),
    "filters unfool:digits8?net=mlp": ("has no convolution", "unfool inspect templates"),
    f"filters {NETWORK} --layer head": ("layer 'head' is no convolution", "name a convolution"),
    f"units {NETWORK} --limit 5": ("there are 5 images, fewer than the 9 to keep", "keep 5 or fewer"),
    f"neighbours {NETWORK} --limit 5": ("5 images are fewer than the 7", "a smaller --k"),
    f"map {NETWORK} --limit 9": ("9 images are too few to count the 10 nearest", "a smaller --k"),
    f"map {NETWORK} --limit 60": ("perplexity 30 is more than a third of 60", "--perplexity 6"),
    f"map {NETWORK} ones.npz --perplexity 5": ("all images have one label", "--no-labelled"),
    f"probe {NETWORK} ones.npz": ONE_CLASS,
    f"probe {NETWORK} bare.npz": ("have no labels: nothing is to be told apart", "two classes"),
    f"slices {NETWORK} ones.npz --limit 60": ("60 images with labels are too few", "it takes 120"),
    f"slices {NETWORK} bare.npz": ("0 images with labels are too few", "it takes"),
    f"envelope {NETWORK} bare.npz --training ones.npz": ("all images are of class 1", "two classes at least"),
    "templates ones.npz": ("all images are of class 1", "two classes at least"),
    "templates bare.npz": ("none of the images has a label", "labelled images"),
    f"templates {NETWORK} ones.npz": (
        "'ones.npz' is more than the command takes",
        "inspect templates --help",
    ),
    "groups empty.csv": ("", "columns such as"),
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_done_is_one_sentence_and_a_way_out(capsys, command):
    assert run(["inspect", *command.split()]) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()[-2:]
    said, way_out = REFUSED[command]
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert way_out in hint
    assert not list(Path().rglob("inspect.json"))


def test_an_audit_by_groups_that_the_data_lack_is_one_sentence(capsys):
    assert run(["audit", NETWORK, "--groups", "sex", "--limit", "20"]) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()[-2:]
    assert "the data have no groups" in error
    assert ".csv with a column for each" in hint
    assert not list(Path().rglob("audit.json"))


def test_a_network_without_mistakes_has_no_slices(capsys):
    assert run(["inspect", "slices", "unfool:digits8", "ones.npz", "--out", "a"]) == 0
    assert "No slice: none looked worse" in capsys.readouterr().out


def test_copies_are_told_of_data_of_one_class_and_nothing_of_labels(capsys):
    assert run(["inspect", "neighbours", NETWORK, "ones.npz", "--images", "1", "--out", "a"]) == 0
    assert "All labels are of one class" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore."), "2.00 GiB."),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "can't allocate memory"),
        (MemoryError(), "no more is known"),
    ],
)
def test_memory_that_runs_out_anywhere_is_one_sentence(error, said, monkeypatch, capsys):
    def lacking(_):
        raise error

    monkeypatch.setattr("unfool.cli.main._called", lacking)
    assert run(["audit"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("error: out of memory: ")
    assert told[0].endswith(said)
    assert "--device" in told[1]


def test_another_error_keeps_its_traceback(monkeypatch):
    def broken(_):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("unfool.cli.main._called", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        run(["audit"])
