"""The command line as a user meets it: 0 for success, 1 for a gate, 2 and one sentence for what they can put right."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from unfool.analysis.rates import rate
from unfool.cli.audit import read_gate
from unfool.cli.main import VERBS, run
from unfool.cli.pictures import Shown, panels
from unfool.cli.shared import folder_for
from unfool.data.address import open_data
from unfool.errors import SpecError
from unfool.rows import Batch
from unfool.runs.table import Table, read_table
from unfool.views import from_uint8, to_uint8
from unfool.zoo.address import load

QUICK = ["--steps", "3", "--restarts", "1", "--limit", "12", "--level", "quick", "--quiet"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def said(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    return code, *capsys.readouterr()


def refused(capsys, *arguments: str) -> str:
    """What stderr says of a call that must fail with 2, one error line and no traceback."""
    code, _, err = said(capsys, *arguments)
    assert code == 2, err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 2
    return err


def test_an_audit_writes_everything_prints_the_numbers_and_as_json_one_document(capsys):
    command = ["audit", "unfool:digits8", "--out", "a", "--fail-under", "clean>=0.1", *QUICK]
    code, out, _ = said(capsys, *command)
    assert code == 0
    assert "FGSM" in out
    for name in ("report.html", "audit.json", "table.parquet", "recipe.txt", "manifest.json"):
        assert (os.path.getsize(f"a/{name}")) > 0
    found = json.loads(Path("a/audit.json").read_text())
    assert found["n"] == 12
    code, out, _ = said(capsys, *command, "--json")
    assert code == 0
    assert json.loads(out)["clean"]["n"] == 12


def test_a_gate_that_fails_is_exit_code_1_and_one_line(capsys):
    code, _, err = said(
        capsys, "audit", "unfool:digits8", "--out", "a", "--fail-under", "pgd@0.2>=0.99", *QUICK
    )
    assert code == 1
    assert err.startswith("failed: pgd@0.2>=0.99: it is ")

    same = said(capsys, "audit", "unfool:digits8", "--out", "a", "--fail-under", "clean>=0.1", *QUICK)
    assert same[0] == 0  # a gate at a radius that is measured anyway makes no other audit


@pytest.mark.parametrize(
    "text", ["pgd>=0.3", "clean@0.1>=0.3", "pgd@x>=0.3", "square@0.1>=0.2", "pgd@0.1=0.3", ""]
)
def test_a_gate_that_cannot_be_read_is_refused(text):
    with pytest.raises(SpecError):
        read_gate(text)


def test_attack_and_explain_write_pictures(capsys):
    assert said(capsys, "attack", "FGSM", "unfool:digits8", "--limit", "3", "--out", "a")[0] == 0
    assert said(capsys, "explain", "Gradient", "unfool:digits8", "--limit", "3", "--out", "e")[0] == 0
    for folder in ("a", "e"):
        pictures = sorted(os.listdir(f"{folder}/pictures"))
        assert len(pictures) == 3
        with Image.open(f"{folder}/pictures/{pictures[0]}") as picture:
            assert picture.width > 100


def test_panels_show_the_file_and_say_what_the_model_makes_of_it(tmp_path):
    model, x = load("unfool:digits8"), open_data("unfool:digits8").batch(["test/0", "test/1"]).x
    saved = to_uint8((x + 0.2 * torch.tensor([1.0, -1.0]).repeat(32).view(8, 8)).clamp(0, 1))
    columns = {
        "adversarial": saved,
        "success": torch.tensor([True, True]),
        "success_saved": torch.tensor([True, False]),
    }
    table = Table(("a", "b"), columns, {}, {})
    shown = Shown(None, model, table, Batch(("a", "b"), x, torch.zeros(2)), [0, 1], tmp_path)  # type: ignore[arg-type]
    for k in range(2):
        (before, image), (_, signs), (size, change), (after, found) = panels(shown, k)
        here = from_uint8(saved[k])
        sure = model(torch.stack([x[k], here])).softmax(1).max(1)
        assert before == f"{100 * sure.values[0]:.1f} % {sure.indices[0]}"
        assert after == f"→ {100 * sure.values[1]:.1f} % {sure.indices[1]}" + " (float only)" * k
        assert torch.equal(image, x[k])
        assert torch.equal(found, here)
        assert torch.equal(signs * 2 - 1, (here - x[k]).sign())
        assert torch.allclose(change - 0.5, here - x[k])
        assert size.endswith(f"at most {float((here - x[k]).abs().max()):.3g}")


def test_one_picture_can_be_attacked_and_explained(capsys):
    Image.fromarray(np.full((32, 32), 90, np.uint8)).save("p.png")
    assert (
        said(capsys, "attack", "PGD", "p.png", "--target", "3", "--within", "Linf(0.3)", "--out", "a")[0] == 0
    )
    assert said(capsys, "explain", "GradCAM", "p.png", "--out", "e")[0] == 0


def test_images_of_the_target_class_are_left_out_of_a_rate(capsys):
    y = open_data("unfool:digits8").batch(open_data("unfool:digits8").ids()[:40]).y.numpy()
    np.savez("d.npz", x=np.random.default_rng(0).random((40, 1, 8, 8), np.float32), y=y)
    code, out, _ = said(
        capsys, "attack", "PGD", "d.npz", "--model", "unfool:digits8", "--target", "3", "--out", "a"
    )
    threes = int((y == 3).sum())
    assert code == 0
    assert 0 < threes < 40
    fair = int(read_table(Path("a")).fair.sum())
    assert 0 < fair < 40 - threes  # some are taken for a three that are none
    assert f" of {fair}; as 8-bit" in out
    assert f"not taken for the target to begin with: {rate(torch.arange(40 - threes) < fair)};" in out
    assert f"left out: {threes} of the target class already" in out
    assert len(os.listdir("a/pictures")) == min(24, 40 - threes)


def test_a_picture_taken_for_the_target_already_is_refused(capsys):
    Image.fromarray(np.full((32, 32), 90, np.uint8)).save("p.png")
    label = int(load("unfool:digits")(torch.full((1, 1, 32, 32), 90 / 255)).argmax())
    message = refused(capsys, "attack", "PGD", "p.png", "--target", str(label), "--out", "a")
    assert "it is of the target class already" in message


def test_a_recipe_runs_again_to_the_same_numbers(capsys):
    said(capsys, "attack", "PGD(steps=3)", "unfool:digits8", "--limit", "4", "--out", "a")
    assert said(capsys, "run", "a/recipe.txt", "--out", "b")[0] == 0
    assert Path("a/part-00000.safetensors").read_bytes() == Path("b/part-00000.safetensors").read_bytes()


def test_a_recipe_that_is_not_text_is_refused(capsys):
    Path("r.txt").write_bytes(bytes(range(256)))
    assert "cannot read r.txt: it is not text" in refused(capsys, "run", "r.txt")


def test_a_target_that_is_no_class_is_refused_by_every_kind_of_attack(capsys):
    for method in ("FGSM", "Patch(epochs=1)"):
        how = ("unfool:digits8", "--model", "unfool:digits8", "--target", "33", "--out", method[:4])
        assert "targets must be 0 to 9, this is 33" in refused(capsys, "attack", method, *how)


def test_methods_lists_and_explains(capsys):
    code, out, _ = said(capsys, "methods")
    assert code == 0
    assert "FGSM" in out
    assert "GradCAM" in out
    code, out, _ = said(capsys, "methods", "PGD")
    assert "Madry" in out
    assert "steps: int ≥ 1, default 10" in out


def test_unknown_names_say_what_was_meant(capsys):
    assert "did you mean audit?" in refused(capsys, "adit")
    assert "did you mean PGD" in refused(capsys, "attack", "PGDD", "unfool:digits8")
    assert "did you mean unfool:digits" in refused(capsys, "audit", "unfool:digts").replace("'", "")
    assert "did you mean" in refused(capsys, "attack", "PGD(stepz=3)", "unfool:digits8")
    assert "no layer is called 'layr'" in refused(
        capsys, "explain", "GradCAM('layr')", "unfool:digits8", "--limit", "2"
    )
    assert "no class is called" in refused(capsys, "attack", "PGD", "unfool:digits8", "--target", "cat")
    assert "no method is called" in refused(capsys, "methods", "FGMS")


def test_bad_settings_are_one_sentence(capsys):
    assert "PGD.steps must be ≥ 1, not 0" in refused(capsys, "attack", "PGD(steps=0)", "unfool:digits8")
    assert "is not a region" in refused(capsys, "audit", "unfool:digits8", "--within", "PGD()")
    assert "must be" in refused(capsys, "audit", "unfool:digits8", "--within", "Linf(-1)", *QUICK)
    assert "is not allowed in a spec" in refused(
        capsys, "attack", "__import__('os').system('x')", "unfool:digits8"
    )
    assert "is not an attack" in refused(capsys, "attack", "Gradient", "unfool:digits8")
    assert "over which data" in refused(capsys, "audit", "torchvision:resnet18")
    assert "--steps" in refused(capsys, "audit", "unfool:digits8", "--steps", "many")


def test_bad_input_is_one_sentence(capsys):
    assert "nowhere" in refused(capsys, "explain", "Gradient", "nowhere/", "--model", "unfool:digits8")
    os.mkdir("empty")
    assert "empty" in refused(capsys, "explain", "Gradient", "empty", "--model", "unfool:digits8")
    with open("broken.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\nnothing")
    assert "broken.png" in refused(capsys, "explain", "Gradient", "broken.png", "--out", "x")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("small.png")
    assert "shape" in refused(
        capsys, "explain", "Gradient", "small.png", "--model", "unfool:digits?net=mlp", "--out", "y"
    )


def test_a_bad_file_among_good_ones_is_a_row_with_its_error(capsys):
    os.mkdir("mixed")
    for k in range(3):
        Image.fromarray(np.full((32, 32), 40 * k, np.uint8)).save(f"mixed/{k}.png")
    with open("mixed/bad.png", "wb") as file:
        file.write(b"not a picture")
    code, out, _ = said(capsys, "explain", "Gradient", "mixed", "--json", "--out", "e")
    assert code == 0
    assert list(json.loads(out)["errors"]) == ["bad.png"]


def test_weights_that_do_not_fit_and_pickles_are_refused(capsys):
    torch.save(nn.Linear(3, 3).state_dict(), "wrong.pt")
    assert "1.weight" in refused(capsys, "audit", "unfool:digits?net=linear&weights=wrong.pt")
    torch.save(nn.Linear(3, 3), "whole.pt")
    assert "--trust" in refused(capsys, "audit", "unfool:digits?weights=whole.pt")


def test_another_run_in_the_same_folder_is_refused(capsys):
    said(capsys, "attack", "FGSM", "unfool:digits8", "--limit", "2", "--out", "a")
    assert "holds another run" in refused(
        capsys, "attack", "PGD", "unfool:digits8", "--limit", "2", "--out", "a"
    )


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_every_verb_has_help_without_torch(verb):
    code = (
        "import sys; from unfool.cli.main import run; sys.exit(run(sys.argv[1:]) or 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *([verb] if verb else []), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.slow
def test_control_c_is_130_and_what_was_done_stays():
    command = [sys.executable, "-m", "unfool", "audit", "unfool:digits", "--out", "a", "--restarts", "9"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a background job ignores it
    )
    begun = time.monotonic()
    while not os.path.isdir("a/parts/pgd") and time.monotonic() - begun < 120:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "what was done is kept" in err
    assert "Traceback" not in err
    assert os.path.exists("a/parts/predict/part-00000.safetensors")


def test_a_patch_is_learned_on_one_split_judged_on_the_other_and_can_be_printed(capsys):
    learn = [
        "attack",
        "Patch(epochs=1, side=0.5)",
        "unfool:digits8",
        "--limit",
        "30",
        "--pictures",
        "4",
        "--out",
        "p",
        "--quiet",
    ]
    code, out, err = said(capsys, *learn, "--size-cm", "4", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert set(found["rates"]) == {"learned", "random control", "plain control"}
    assert found["rates"]["learned"]["success"]["n"] <= 30
    assert all(c["n"] == found["poses"]["cells"][0][0]["n"] for row in found["poses"]["cells"] for c in row)
    for name in ("print.png", "print.pdf", "poses.svg", "contact-sheet.png", "learned/learned.safetensors"):
        assert os.path.getsize(f"p/{name}") > 0
    assert "split=train" in Path("p/learned/recipe.txt").read_text()
    assert len(os.listdir("p/pictures")) == 4
    with Image.open(next(Path("p/pictures").iterdir())) as picture:
        assert picture.width == 5 * (224 + 12) + 12  # image, change, image with it, and both controls
    assert "--film shows" in refused(capsys, *learn, "--film", "1")
    assert said(capsys, *learn)[0] == 0
    assert (
        said(capsys, "attack", "Universal(epochs=1)", "unfool:digits8", "--limit", "9", "--out", "u")[0] == 0
    )


def test_data_of_ones_own_are_halved_into_what_is_learned_from_and_what_is_judged_on(capsys):
    x, y = np.random.default_rng(0).integers(0, 255, (12, 32, 32), np.uint8), np.arange(12) % 10
    np.savez("d.npz", x=x, y=y)
    assert said(capsys, "attack", "Universal(epochs=1)", "d.npz", "--out", "u", "--quiet")[0] == 0
    assert "after=6" in Path("u/learned/recipe.txt").read_text()
    assert "limit=6" in Path("u/applied/recipe.txt").read_text()
    np.savez("one.npz", x=x[:1], y=y[:1])
    assert "learned from and judged on" in refused(capsys, "attack", "Patch", "one.npz", "--out", "o")


def test_maximise_writes_images_that_are_as_sure_as_it_says(capsys):
    code, out, _ = said(
        capsys, "maximise", "3", "5", "--method", "MapElites(generations=5)", "--model", "unfool:digits8",
        "--out", "m", "--json", "--noise", "50",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert found["classes"] == [3, 5]
    assert found == json.loads(Path("m/maximise.json").read_text()) | {"folder": "m"}
    assert sorted(p.name for p in Path("m/pictures").iterdir()) == ["3.png", "5.png"]
    image = torch.from_numpy(np.asarray(Image.open("m/pictures/3.png")).copy()).float()[None, None] / 255
    assert abs(float(load("unfool:digits8")(image).softmax(1)[0, 3]) - found["confidence"][0]) < 1e-6
    assert min(os.path.getsize(f"m/{name}") for name in ("grid.png", "curve.svg", "images.npz")) > 0
    assert found["noise"][0]["n"] == 50
    assert found["median_by_step"] == sorted(found["median_by_step"])


def test_a_film_of_an_attack_is_a_strip_and_a_chart(capsys):
    code, _, err = said(
        capsys, "attack", "TargetedAscent", "unfool:digits8", "--limit", "3", "--target", "3", "--film", "2",
        "--out", "f",
    )  # fmt: skip
    assert code == 0, err
    assert len(list(Path("f/pictures").glob("*-film.png"))) == 2
    assert all("<svg" in p.read_text() for p in Path("f/pictures").glob("*-film.svg"))


def test_a_run_without_a_folder_has_one_of_its_own_and_goes_on_in_it(capsys):
    def folder(*arguments: str) -> str:
        code, out, err = said(capsys, *arguments, "--json", "--limit", "3")
        assert code == 0, err
        return json.loads(out)["folder"]

    attack = ("attack", "FGSM", "unfool:digits8", "--model", "unfool:digits8")
    explain = ("explain", "Gradient", "unfool:digits8", "--model", "unfool:digits8")
    runs = [
        attack,
        (*attack, "--seed", "1"),
        (*attack, "--target", "3"),
        (*attack, "--within", "Linf(0.2)"),
        ("attack", "Square(queries=9)", *attack[2:]),
        ("attack", "Square(queries=9)", *attack[2:], "--only", "scores"),
        ("attack", "Universal(epochs=1)", *attack[2:]),
        ("attack", "Universal(epochs=1)", *attack[2:], "--learn", "unfool:digits8?split=train"),
        explain,
        (*explain, "--seed", "1"),
    ]
    folders = [folder(*run) for run in runs]
    assert len(set(folders)) == len(runs)
    assert all(place.startswith(f"runs/{run[0]}/") for place, run in zip(folders, runs, strict=True))
    part = Path(folders[0]) / "part-00000.safetensors"
    written = part.stat().st_mtime_ns
    assert folder(*attack, "--within", "Linf(0.1)", "--pictures", "1") == folders[0]  # what is so by default
    assert part.stat().st_mtime_ns == written
    again = said(capsys, "run", f"{folders[0]}/recipe.txt", "--json")[1]
    assert json.loads(again)["folder"].startswith("runs/run/FGSM-")
    for place in (None, Path("mine")):
        one = folder_for(place, "audit", "torchvision:resnet50?weights=a b.pt", 1, "x")
        assert str(one) == (
            "mine" if place else f"runs/audit/torchvision-resnet50-weights-a-b.pt-{one.name[-8:]}"
        )


def test_images_that_were_wrong_to_begin_with_count_in_no_rate(capsys):
    held = open_data("unfool:digits8").batch(open_data("unfool:digits8").ids()[:20])
    model = load("unfool:digits8")
    y = model(held.x).argmax(1)
    y[:6] = (y[:6] + 1) % 10
    np.savez("d.npz", x=held.x.numpy(), y=y.numpy())
    told = ("d.npz", "--model", "unfool:digits8", "--within", "Linf(0.05)")
    for method in ("FGSM", "Square(queries=20)"):
        found = json.loads(said(capsys, "attack", method, *told, "--json", "--out", method[:4])[1])
        table = read_table(Path(method[:4]))
        assert table["started"].bool().tolist() == [True] * 6 + [False] * 14
        assert found["right"] == rate(torch.arange(20) < 14).as_dict()
        assert found["fooled"] == rate(table["success"][6:].bool()).as_dict()
        assert found["fooled_as_8_bit"]["n"] == 14
        assert (
            pq.read_table(f"{method[:4]}/table.parquet")["started"].to_pylist()
            == table["started"].bool().tolist()
        )
    assert {curve["n"] for curve in found["queries"].values()} == {14}
    lines = said(capsys, "attack", "FGSM", *told, "--out", "FGSM")[1].splitlines()
    assert sum(line.rstrip().endswith("already") for line in lines) == 6
    assert f"right to begin with: {rate(torch.arange(20) < 14)}; the others count in no rate" in lines
    fit = ("Universal(epochs=1)", *told, "--learn", "unfool:digits8?split=train", "--json", "--out", "u")
    rates = json.loads(said(capsys, "attack", *fit)[1])["rates"]["learned"]
    assert (rates["right"]["k"], rates["right"]["n"], rates["success"]["n"]) == (14, 20, 14)


FIVE = """
import torch, unfool
from unfool.zoo.address import load

def make():
    inner = load("unfool:digits8")
    def label(x):  # random images are never a five
        x = torch.from_numpy(x)
        y = inner(x).argmax(1)
        return y.where((y != 5) | ((x == 0).flatten(1).sum(1) > 20), (y + 1) % 10).numpy()
    return unfool.Model.labels(label, tuple("0123456789"))
"""


def test_towards_a_class_a_search_by_labels_begins_at_images_of_it_in_the_data(capsys):
    Path("five.py").write_text(FIVE)
    held = open_data("unfool:digits8").batch(open_data("unfool:digits8").ids()[:60])
    np.savez("with.npz", x=held.x.numpy(), y=held.y.numpy())
    np.savez("without.npz", x=held.x[held.y != 5].numpy(), y=held.y[held.y != 5].numpy())
    how = ("--model", "five.py:make", "--target", "5", "--limit", "12", "--json")
    found = {
        data: json.loads(
            said(capsys, "attack", "SurFree(queries=60, tries=10)", f"{data}.npz", *how, "--out", data)[1]
        )
        for data in ("with", "without")
    }
    assert found["with"]["no_start"] == 0
    assert found["with"]["fooled"]["k"] == found["with"]["fooled"]["n"] > 5
    assert found["without"]["no_start"] == found["without"]["fooled"]["n"] > 5
    assert found["without"]["fooled"]["k"] == 0
    command = ("attack", "SurFree(queries=60, tries=10)", "without.npz", *how[:-1], "--out", "without")
    lines = said(capsys, *command)[1].splitlines()
    assert sum(line.rstrip().endswith("no start") for line in lines) == found["without"]["no_start"]
    assert any(line.startswith(f"no start: {found['without']['no_start']} of ") for line in lines)
