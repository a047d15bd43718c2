"""A substitute costs ``seeds * 2**rounds`` labels and no more; new images lie one step along the sign of its slope."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oracles import Plane, images
from unfool.analysis.substitute import disjoint, study
from unfool.attacks.substitute import Substitute
from unfool.cli.main import run
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.model import Model
from unfool.rows import Batch, Rng
from unfool.spec import parse
from unfool.views import from_uint8
from unfool.zoo.address import load
from unfool.zoo.remember import only

NET = Plane(1, 6, 6)
X = images(12, 1, 6, 6)


def counted(most: int | None = None) -> tuple[Model, list[Any]]:
    seen: list[Any] = []

    def told(x: Any) -> Any:
        seen.append(x)
        return NET.label(torch.from_numpy(x)).numpy()

    return Model.labels(told, 2), seen


@pytest.mark.parametrize(
    ("how", "asked"),
    [
        (Substitute(rounds=0), [12]),
        (Substitute(rounds=3), [12, 24, 48, 96]),
        (Substitute(rounds=3, full=1, reservoir=5), [12, 24, 29, 34]),
    ],
    ids=repr,
)
def test_labels_are_counted_exactly(how: Any, asked: list[int]):
    how = parse(repr(how).replace("Substitute(", "Substitute(seeds=12, epochs=1, net='dense', "), Substitute)
    oracle, seen = counted()
    rounds = list(how.learned(oracle, X))
    assert [r.asked for r in rounds] == asked == [how.asks(k) for k in range(how.rounds + 1)]
    assert sum(map(len, seen)) == asked[-1]


def test_papernots_defaults_cost_6400_labels():
    assert Substitute().asks() == 6400


def test_new_images_are_one_step_along_the_sign_of_the_slope_of_their_class():
    """The oracle itself as its substitute: the slope of logit 1 is w, of logit 0 is -w; after ``turn`` rounds, back."""
    how, y, x = Substitute(turn=2), NET.label(X), X * 0.5 + 0.25
    way = NET.w.detach().sign() * torch.where(y == 1, 1.0, -1.0).view(-1, 1, 1, 1)
    for number, sign in enumerate((1, 1, -1, -1, 1)):
        new = how._further(Model(NET), x, y, number, Rng.seeded(0, [0]))
        assert torch.allclose(new, x + sign * 0.1 * way, atol=1e-6)


def test_the_same_seed_gives_the_same_substitute():
    how, batch = Substitute(rounds=1, epochs=2, net="dense"), images(3, 1, 6, 6, seed=4)
    one, two, other = (list(how.learned(counted()[0], X, seed))[-1].substitute(batch) for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("shape", [(1, 30), (2, 8, 8), (3, 32, 24), (1, 6, 8, 8)], ids=str)
def test_any_shape_has_its_network(shape: tuple[int, ...]):
    oracle = Model.labels(lambda x: (x.reshape(len(x), -1).mean(1) > 0.5).astype(int), 2)
    last = list(Substitute(rounds=1, epochs=1).learned(oracle, images(6, *shape)))[-1]
    assert last.substitute(images(2, *shape)).shape == (2, 2)


def test_a_linear_oracle_is_learned_and_what_fools_the_substitute_fools_it():
    ids = tuple(map(str, range(300)))
    x = images(300, 1, 6, 6, seed=2)
    whole = Batch(ids, x, NET.label(x))
    first = torch.arange(300) < 40
    found = study(
        Substitute(rounds=4, net="dense", eps=(0.1,)), counted()[0], whole[first], whole[~first], 0.1
    )
    assert found.asked == 640
    assert found.scored == 260
    assert found.rounds[-1].agreement.low > 0.65
    line = found.sizes[-1]
    assert line.fgsm.low > 0.65
    assert line.control.high < 0.25
    again = NET.label(from_uint8(found.evasions.x))
    assert torch.equal(again, found.evasions.label)
    assert (again != found.evasions.y).all()
    assert set(found.evasions.ids) <= set(ids[40:])


def test_seeds_are_of_every_class_and_none_of_them_is_scored():
    seeds, scored = disjoint(open_data("unfool:digits8"), load("unfool:digits8"), 50, 100, 3)
    assert seeds.y.bincount().tolist() == [5] * 10
    assert len(scored) == 100
    assert not set(seeds.ids) & set(scored.ids)
    with pytest.raises(InputError, match="leave none"):
        disjoint(open_data("unfool:digits8"), load("unfool:digits8"), 500, None, 0)


def test_the_command_leaves_curves_numbers_and_evasions_that_can_be_shown_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    how = "Substitute(rounds=2, seeds=50, epochs=3, eps=(0.2,), steps=5)"
    line = ["attack", how, "unfool:digits8", "--model", "unfool:digits8", "--only", "labels", "--limit", "60"]
    assert run([*line, "--within", "Linf(0.3)", "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["labels_asked"] == 200
    assert [s["eps"] for s in told["sizes"]] == [0.2, 0.3]
    for name in ("curves.svg", "loop.svg"):
        assert (tmp_path / "out" / name).read_text().startswith("<svg")
    evasions = np.load(tmp_path / "out" / "evasions.npz")
    assert len(evasions["x"]) == told["evasions"] > 0
    assert run(["run", str(tmp_path / "out" / "replay.txt"), "--out", str(tmp_path / "again"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["means"]["correct"] == 0


def test_only_a_labels_worth_is_used():
    """Scores or labels of the same network teach the same substitute."""
    batch = images(3, 1, 6, 6, seed=4)
    how = Substitute(rounds=1, epochs=1, net="dense")
    one, two = (
        list(how.learned(m, X))[-1].substitute(batch) for m in (Model(NET), only(Model(NET), "labels"))
    )
    assert torch.equal(one, two)
