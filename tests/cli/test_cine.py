"""Series, regions and landmarks by command: pages, films, the appendix and its paragraph, and what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unfool.cli.main import run


def test_a_page_on_series_with_films(tmp_path: Path):
    out = tmp_path / "page"
    flags = [
        "--method",
        "Gradient",
        "--limit",
        "4",
        "--images",
        "1",
        "--draws",
        "2",
        "--frames",
        "2",
        "--frames",
        "8",
    ]
    assert run(["inspect", "cine", "--target", "RV", *flags, "--out", str(out)]) == 0
    found = json.loads((out / "inspect.json").read_text())
    (deletion,) = found["deletion"]
    assert deletion["n"] == 4
    assert deletion["frames"] == [2, 8]
    assert deletion["whole"]["mean"] > 0.9
    assert sum(deletion["profile"]) == pytest.approx(1, abs=1e-5)
    salient, random = (deletion["left"][order][-1] for order in ("salient", "random"))
    assert salient["mean"] < random["mean"]
    assert salient["low"] <= salient["mean"] <= salient["high"]
    (badge,) = found["badges"].values()  # of one series: fewer than two make no badge
    assert badge["verdict"] == "unknown"
    for name in ("report.html", "deletion.svg", "profile-1.svg", "series-1.png"):
        assert (out / name).exists()
    (film,) = (out / "films").iterdir()
    with Image.open(film) as held:
        assert held.n_frames == 32  # type: ignore[attr-defined]
    again = (out / "inspect.json").read_bytes()
    assert run(["inspect", "cine", "--target", "RV", *flags, "--out", str(out)]) == 0
    assert (out / "inspect.json").read_bytes() == again


def test_landmarks_and_their_appendix(tmp_path: Path):
    out = tmp_path / "page"
    flags = ["--method", "SmoothGrad(samples=3)", "--limit", "6", "--images", "2", "--seed", "5"]
    assert run(["inspect", "landmarks", *flags, "--out", str(out)]) == 0
    assert (out / "appendix-figure.pdf").read_bytes().startswith(b"%PDF-")
    with Image.open(out / "appendix-figure.png") as picture:
        assert picture.width == 1440
    text = (out / "methods.txt").read_text()
    for part in (
        "n = 6 of 100 images",
        "seed 5",
        "SmoothGrad(samples=3)",
        "unnormalised score of one landmark's heat map at its peak",
        "standard deviation of 15 %",
        "3 copies",
        "no layer was chosen",
        "above half of that probability",
        "Sanity check: ✗ ignores training",  # it sees 15x15 pixels: random networks there are zero elsewhere, too
        "n = 6)",  # three landmarks of two images
    ):
        assert part in text
    found = json.loads((out / "inspect.json").read_text())
    assert [point["name"] for point in found["landmarks"]] == ["large ring", "small ring", "apex"]
    assert all(point["mass"]["mean"] > 0.9 and point["found"]["n"] == 6 for point in found["landmarks"])
    assert len(found["shown"]) == 2
    assert found["badge"]["verdict"] == "fail"


def test_explaining_a_map_of_scores(tmp_path: Path):
    """By default the region of the class; its four panels stand side by side."""
    flags = ["--model", "unfool:cine", "--target", "LV", "--limit", "2", "--out", str(tmp_path / "a")]
    assert run(["explain", "Gradient", "unfool:cine", *flags]) == 0
    assert "objective=Segment()" in (tmp_path / "a" / "recipe.txt").read_text()
    pictures = list((tmp_path / "a" / "pictures").iterdir())
    assert len(pictures) == 2
    with Image.open(pictures[0]) as picture:
        assert picture.width == 4 * 200 + 5 * 12


@pytest.mark.parametrize(
    "objective",
    ["Segment('mask')", "Segment(at=(2, 2))", "Neuron('output', (20, 22))", "-Segment('everywhere')"],
)
def test_what_may_be_explained_of_a_map_of_scores(objective: str, tmp_path: Path):
    flags = ["--target", "0" if "at=" in objective else "1", f"--objective={objective}", "--limit", "2"]
    assert (
        run(["explain", "Gradient", "unfool:cine", "--model", "unfool:cine", *flags, "--out", str(tmp_path)])
        == 0
    )


def test_one_position_is_named_and_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    flags = ["--model", "unfool:cine", "--objective", "Pixel()", "--target", "1,20,22", "--limit", "1"]
    assert run(["explain", "Gradient", "unfool:cine", *flags, "--out", str(tmp_path)]) == 0
    assert "LV at (20, 22)" in capsys.readouterr().out
    with Image.open(next((tmp_path / "pictures").iterdir())) as picture:
        side, blue = 200 // 40, (0, 114, 178)
        panel = picture.crop((200 + 2 * 12, 28, 2 * 200 + 2 * 12, 228))  # the second, under its caption
        marked = [panel.getpixel((side * x + 2, side * y + 2)) for y, x in ((20, 22), (20, 20), (10, 22))]
    near = [sum(abs(a - b) for a, b in zip(shade[:3], blue, strict=True)) < 40 for shade in marked]
    assert near == [True, False, False]


WRONG = [
    (["inspect", "cine", "unfool:digits"], "have no frames"),
    (["inspect", "cine", "--frames", "40"], "cannot be replaced"),
    (["inspect", "landmarks", "unfool:digits"], "landmarks are read off heat maps"),
    (["inspect", "landmarks", "--images", "0"], "--images must be at least 1"),
]


@pytest.mark.parametrize(("command", "message"), WRONG, ids=lambda v: " ".join(v)[:40])
def test_what_does_not_fit_is_one_sentence(
    command: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run([*command, "--out", str(tmp_path / "x")]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_a_series_of_ones_own(tmp_path: Path):
    """Series in a file, with no masks: the answer is compared with that of the whole series."""
    from unfool.phantoms import cine

    np.savez(tmp_path / "own.npz", x=cine("test").x[:3].numpy())
    flags = [
        "--limit",
        "3",
        "--images",
        "0",
        "--draws",
        "1",
        "--method",
        "Gradient",
        "--target",
        "2",
        "--film",
        "none",
    ]
    assert (
        run(
            [
                "inspect",
                "cine",
                "unfool:cine",
                str(tmp_path / "own.npz"),
                *flags,
                "--out",
                str(tmp_path / "o"),
            ]
        )
        == 0
    )
    assert json.loads((tmp_path / "o" / "inspect.json").read_text())["deletion"][0]["whole"]["mean"] == 1


def test_images_without_the_class_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The second series shows nothing: the others are explained and measured all the same."""
    from unfool.phantoms import cine

    x = cine("test").x[:3].clone()
    x[1] = 0
    np.savez(tmp_path / "own.npz", x=x.numpy())
    flags = ["--model", "unfool:cine", "--target", "LV", "--out", str(tmp_path / "o")]
    assert run(["explain", "Gradient", str(tmp_path / "own.npz"), *flags]) == 0
    assert "not read: 1: no position of LV to explain" in capsys.readouterr().out
    assert len(list((tmp_path / "o" / "pictures").iterdir())) == 2
    few = [
        "--draws",
        "1",
        "--method",
        "Gradient",
        "--target",
        "LV",
        "--film",
        "none",
        "--out",
        str(tmp_path / "p"),
    ]
    assert run(["inspect", "cine", "unfool:cine", str(tmp_path / "own.npz"), *few]) == 0
    assert json.loads((tmp_path / "p" / "inspect.json").read_text())["deletion"][0]["n"] == 2
