"""``unfool explain``: pairs of classes, a picture to be like, a detector's box, a regression's value, hiding."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from unfool.attributions.gradient import Gradient
from unfool.cli.main import run
from unfool.data.address import open_data
from unfool.model import Model
from unfool.objectives import Between
from unfool.runs.table import Table, read_table
from unfool.targets import Like
from unfool.views import to_picture
from unfool.zoo.address import load

FEW = ["--limit", "3", "--quiet", "--out", "e"]
REGRESSION = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 1)).eval()
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def explained(capsys, *arguments: str) -> tuple[str, Table]:
    assert run(["explain", *arguments, *FEW]) == 0, capsys.readouterr().err
    return capsys.readouterr().out, read_table(Path("e"))


def test_a_pair_of_classes(capsys):
    said, table = explained(
        capsys, "Gradient", "unfool:digits", "--objective", "Between()", "--target", "3,8"
    )
    assert "8 against 3" in said
    model, data = load("unfool:digits"), open_data("unfool:digits")
    x = data.batch(list(table.ids), model.view, model.classes).x
    found = Gradient()(model, x, [3, 8], objective=Between())
    assert torch.allclose(found.score, model(x)[:, 8] - model(x)[:, 3], atol=1e-4)
    assert torch.allclose(table["heat"], found.map, atol=1e-5)


def test_without_a_pair_it_is_the_predicted_class_against_the_runner_up(capsys):
    _, table = explained(capsys, "Gradient", "unfool:digits", "--objective", "Between()")
    model, data = load("unfool:digits"), open_data("unfool:digits")
    best = model(data.batch(list(table.ids), model.view, model.classes).x).topk(2, 1)
    assert torch.equal(table["target"], best.indices.flip(1))
    assert torch.allclose(table["score"], best.values[:, 0] - best.values[:, 1], atol=1e-4)


def test_a_picture_to_be_like(capsys):
    model, data = load("unfool:digits"), open_data("unfool:digits")
    to_picture(data.batch(data.ids()[:1], model.view, model.classes).x[0]).save("seven.png")
    said, table = explained(capsys, "Gradient", "unfool:digits", "--reference", "seven.png")
    assert "like seven.png" in said
    x = data.batch(list(table.ids), model.view, model.classes).x
    other = model(data.batch(data.ids()[:1], model.view, model.classes).x)
    found = Gradient()(model, x, objective=Like(), given={"reference": other})
    assert torch.allclose(table["score"], found.score, atol=1e-3)


def test_a_regression_is_one_value(capsys):
    Path("steps.py").write_text(REGRESSION)
    _, table = explained(
        capsys, "Gradient", "unfool:digits8", "--model", "steps.py:net", "--outputs", "values"
    )
    model, data = load("steps.py:net", outputs="values"), open_data("unfool:digits8")
    x = data.batch(list(table.ids), model.view, model.classes).x
    value = model.net(x)[:, 0].detach()
    assert model(x).shape == (3, 1)
    assert torch.allclose(table["score"], value, atol=1e-6)  # no half of it
    assert table["target"].eq(0).all()
    assert torch.allclose(table["heat"][0, 0], model.net[1].weight.view(8, 8), atol=1e-6)


def test_a_detectors_box_is_drawn(capsys):
    said, table = explained(
        capsys, "Gradient", "unfool:scenes", "--model", "unfool:scenes", "--target", "octagon"
    )
    assert said.count("octagon") == len(table)
    assert table["box"].shape == (len(table), 4)
    with Image.open(next(Path("e", "pictures").glob("*.png"))) as picture:
        colours = {shade for _, shade in picture.getcolors(1 << 20)}
    assert (230, 159, 0) in colours  # the octagon's


def test_panels_and_fills(capsys):
    explained(capsys, "OcclusionPanels", "unfool:digits")
    with Image.open(next(Path("e", "pictures").glob("*.png"))) as picture:
        assert picture.width > 6 * 224
    for path in [*Path("e").rglob("*.*")]:
        path.unlink()
    said, table = explained(capsys, "OtherFills(Occlusion(), fills='zero')", "unfool:digits")
    assert f"zero {float(table['alike'][0, 0]):.2f}" in said


def test_a_strip_of_noise_levels(capsys):
    _, table = explained(capsys, "NoiseLevels(SmoothGrad(samples=2), levels=(0, 0.1, 0.5))", "unfool:digits")
    assert table["noisy"].shape == (3, 3, 32, 32)
    with Image.open(next(Path("e", "pictures").glob("*.png"))) as picture:
        assert picture.width > 6 * 224


def test_how_far_off_coarse_to_fine_is(capsys):
    said, table = explained(capsys, "Occlusion(window=(3,), stride=(1,), coarse=3)", "unfool:digits")
    assert "windows off by" in said
    assert f"{int(table['asked'][0])} asked" in " ".join(said.split())


WRONG = [
    (["--target", "3,8"], "3,8 is more than one class"),
    (["--objective", "Between()", "--target", "3"], "a target of Between() is a pair"),
    (["--objective", "Between()", "--target", "3,11"], "there are 10 classes"),
    (["--objective", "Margin()", "--reference", "x.png"], "compares with no other picture"),
    (["--outputs", "value"], "--outputs must be"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda v: str(v)[:40])
def test_what_does_not_fit_is_one_sentence(capsys, arguments: list[str], message: str):
    assert run(["explain", "Gradient", "unfool:digits", *arguments, *FEW]) != 0
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("only", [[], ["--only", "scores"]])
def test_a_network_is_looked_at_once_only_where_that_decides_what_is_explained(only, monkeypatch):
    """Not where the objective is given; and what is known is not asked again."""
    seen: list[int] = []
    ask = Model.trace

    def counted(self, x, *args, **how):
        seen.append(len(x))
        return ask(self, x, *args, **how)

    monkeypatch.setattr(Model, "trace", counted)
    base = ["explain", "RandomMap", "unfool:digits8", "--model", "unfool:digits8", "--pictures", "0", *only]
    for out, given, looks in (("a", [], [1, 3]), ("b", ["--objective", "Margin", "--target", "3"], [3])):
        seen.clear()
        assert run([*base, *given, "--limit", "3", "--quiet", "--out", out]) == 0
        assert seen == [n for n in looks for _ in range(1 + len(only) // 2)]  # a veiled one asks the other


@pytest.mark.parametrize(
    ("method", "more", "said"),
    [
        ("GradCAM", [], "pool, 4x4 interpolated, "),
        ("GuidedGradCAM", [], "% positive weights  ReLU 3"),
        ("Counterfactual", ["--target", "3"], "against 3"),
        ("Bent", [], "ReLU 3"),
        ("LRP", [], "Conv 3, Linear 1"),
        ("Gradient", ["--objective", "Channel('features.4')", "--target", "30"], "features.4[30]"),
        (
            "Gradient",
            ["--objective", "Neuron('features.4', (3, 4))", "--target", "3"],
            "features.4[3] at (3, 4)",
        ),
        ("Gradient", ["--objective", "-1 * Margin()", "--target", "3"], "of 3"),
    ],
)
def test_what_was_explained_is_said_in_words(capsys, monkeypatch, method: str, more: list[str], said: str):
    monkeypatch.setenv("COLUMNS", "200")
    told, _ = explained(capsys, method, "unfool:digits", *more)
    assert said in told
