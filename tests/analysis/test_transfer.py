"""Cell = share of the images all models have right that the victim gets wrong; attacks on a plane fool its copy as
often as itself and a plane at right angles never, nor more often than chance.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from unfool.analysis.transfer import matrix, short_names
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.model import Model
from unfool.regions import Linf
from unfool.runs.transfer import RANDOM, Transfer, run_transfer
from unfool.samples import digits8
from unfool.views import View
from unfool.zoo.address import load
from unfool.zoo.classic import half_of
from unfool.zoo.ensemble import ensemble

DATA = "data.npz"


class _Half(nn.Module):
    """Two classes by whether the mean of the left (or top) half of an 8x8 image is above that of the other."""

    def __init__(self, down: bool):
        super().__init__()
        w = torch.ones(8, 8)
        (w if not down else w.T)[:, 4:] = -1
        self.w = nn.Parameter(w / 32)

    def forward(self, x: Tensor) -> Tensor:
        score = (x[:, 0] * self.w).sum((1, 2))
        return torch.stack([score, -score], 1)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Images whose left and upper halves differ little from the others, and alike; label 0 where they are brighter."""
    import numpy as np

    monkeypatch.chdir(tmp_path)
    stream = torch.Generator().manual_seed(0)
    x = 0.5 + 0.1 * torch.rand(60, 1, 8, 8, generator=stream)
    x[:, :, :4, :4] += 0.1
    x[::2, :, :4, :4] -= 0.2
    x = (x * 255).round() / 255
    y = (torch.arange(60) % 2 == 0).long()
    np.savez(DATA, x=x.numpy(), y=y.numpy())
    seen = Model(_Half(False), classes=("a", "b"), view=View(channels=1), name="left")
    copy = Model(_Half(False), classes=("a", "b"), name="copy")
    other = Model(_Half(True), classes=("a", "b"), name="top")
    blind = Model.labels(
        lambda images: (images[:, 0, :, :4].sum((1, 2)) < images[:, 0, :, 4:].sum((1, 2))).astype(int), 2
    )
    return {"left": seen, "copy": copy, "top": other, "blind": blind}


def run(models, folder="run", **how):
    plan = Transfer(tuple(models), **({"data": DATA, "within": Linf(0.1), "sources": ("left",)} | how))
    found = run_transfer(plan, models, open_data(DATA), Path(folder))
    return found, matrix(found, open_data(DATA).batch(found.ids).x)


def test_a_copy_is_fooled_as_often_and_a_plane_at_right_angles_never(made):
    _, table = run(made)
    cells = dict(zip(table.victims, table.cells["left"], strict=True))
    assert cells["left"].value > 0.9
    assert cells["copy"] == cells["left"]
    assert cells["blind"] == cells["left"]
    assert cells["top"].k == 0
    assert table.own("left", "left")
    assert len(table.others) == 3


def test_the_random_row_is_there_and_weaker(made):
    _, table = run(made)
    assert list(table.cells)[-1] == RANDOM
    noise = dict(zip(table.victims, table.cells[RANDOM], strict=True))
    assert noise["copy"].value < 0.5 < table.cells["left"][1].value
    assert noise["left"] == noise["copy"] == noise["blind"]
    assert all(cell.n == table.common for cells in table.cells.values() for cell in cells)


def test_only_images_that_all_have_right_are_counted(made):
    found, table = run(made)
    for i in found.ids:
        assert all(bool(t["correct"][t.ids.index(i)]) for t in found.clean.values())
    assert table.common <= min(rate.k for rate in table.clean.values())


def test_changes_stay_inside_the_region_but_for_rounding(made):
    found, _ = run(made)
    for table in found.found.values():
        assert (table["size"] <= 0.1 + 1e-6).all()


def test_a_stopped_run_goes_on_and_gives_the_same(made):
    first, _ = run(made)
    gone = Path("run/parts/from-0/part-00000.safetensors")
    before = gone.read_bytes()
    gone.unlink()
    kept = Path("run/parts/from-random/part-00000.safetensors").stat().st_mtime_ns
    again, _ = run(made)
    assert gone.read_bytes() == before
    assert Path("run/parts/from-random/part-00000.safetensors").stat().st_mtime_ns == kept
    assert again.ids == first.ids


@pytest.mark.slow
def test_going_on_after_the_flip_carries_further():
    names = ("unfool:digits8", "unfool:digits8?net=mlp", "unfool:digits8?net=linear")
    models = {name: load(name) for name in names}

    def others(onwards: bool, folder: Path) -> float:
        plan = Transfer(names, names[:1], onwards=onwards, limit=60)
        found = run_transfer(plan, models, open_data("unfool:digits8"), folder)
        return float(
            (found.found[names[0]]["labels"] != found.found[names[0]]["y"][:, None])[:, 1:].double().mean()
        )

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert others(True, Path(folder) / "a") > others(False, Path(folder) / "b") + 0.2


def test_what_cannot_be_is_refused(made):
    with pytest.raises(InputError, match="at least two"):
        run({"left": made["left"]}, "a")
    with pytest.raises(InputError, match="no model gives gradients"):
        run({"blind": made["blind"], "again": made["blind"]}, "b", sources=())


def test_an_ensemble_answers_with_the_mean_logits_and_gives_gradients(made):
    both = ensemble([made["left"], made["top"]])
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(both(x), (made["left"](x) + made["top"](x)) / 2)
    assert both.access == "gradients"
    assert ensemble([made["left"], made["blind"]]).access == "labels"
    _, table = run({**made, "left + top": both}, sources=("left + top",))
    assert table.own("left + top", "top")
    assert not any(p.grad is not None for m in (made["left"], made["top"]) for p in m.net.parameters())
    with pytest.raises(InputError, match="at least two"):
        ensemble([made["left"]])


@pytest.mark.slow
def test_halves_share_nothing_and_models_trained_now_are_the_same_each_time():
    data = digits8("train")
    one, two = half_of(data, 1), half_of(data, 2)
    assert len(one.y) + len(two.y) == len(data.y)
    stacked = torch.stack([data.x[0::2].sum(), data.x[1::2].sum()])
    assert torch.equal(stacked, torch.stack([one.x.sum(), two.x.sum()]))
    from unfool.zoo.classic import trained

    x = digits8("test").x[:20].float() / 255
    first = trained.__wrapped__("digits8", "linear", 1, 3)(x)
    assert torch.equal(first, trained.__wrapped__("digits8", "linear", 1, 3)(x))
    assert not torch.equal(first, trained.__wrapped__("digits8", "linear", 2, 3)(x))


@pytest.mark.parametrize(
    ("kind", "access", "least"),
    [("svm", "scores", 0.97), ("knn", "labels", 0.97), ("forest", "scores", 0.94), ("tree", "labels", 0.8)],
)
def test_black_boxes_learn_the_digits_and_give_no_gradients(kind, access, least):
    model, data = load(f"unfool:digits8?net={kind}"), digits8("test")
    assert model.access == access
    assert float((model(data.x.float() / 255).argmax(1) == data.y).float().mean()) > least


def test_names_are_short_where_they_tell_models_apart():
    names = short_names(
        ["unfool:digits8?net=mlp&half=1", "unfool:digits8?net=mlp", "file.py:own", "unfool:digits8"]
    )
    assert list(names.values()) == ["mlp, half 1", "mlp", "own", "conv"]
    assert short_names(["a.py:own", "b.py:own"]) == {"a.py:own": "a.py:own", "b.py:own": "b.py:own"}
