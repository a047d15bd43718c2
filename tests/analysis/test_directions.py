"""Of a plane every logit along a line is straight (R² = 1) and the first of n random draws is counted exactly;
in a plane through an image the middle row is the line along the gradient.
"""

from pathlib import Path

import pytest
import torch
from tests.oracles import Plane, images

from unfool.analysis.directions import straightness, study
from unfool.analysis.norms import compare, telling
from unfool.data.address import open_data
from unfool.measures.draws import FirstDraw
from unfool.method import Question
from unfool.model import Model
from unfool.regions import L0, L2, Linf
from unfool.rows import Batch, Rng
from unfool.runs.inspect import Directions, Norms, run_directions, run_norms
from unfool.zoo.address import load

PLAN = Directions(points=21, plane=11, planes=2, draws=10, images=2, sample=20)


@pytest.fixture(scope="module")
def digits():
    return load("unfool:digits8"), open_data("unfool:digits8")


@pytest.fixture(scope="module")
def studied(digits, tmp_path_factory):
    tables = run_directions(PLAN, *digits, tmp_path_factory.mktemp("run"))
    return tables, study(PLAN, tables, digits[0].classes, 64)


def test_a_straight_line_is_straight_and_a_parabola_is_not():
    x = torch.linspace(-1, 1, 41, dtype=torch.float64)
    fit = straightness(x, torch.stack([3 * x + 1, x**2, 0 * x + 5]))
    torch.testing.assert_close(fit, torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))


def test_the_gradients_side_is_wrong_and_the_other_right(studied):
    _, found = studied
    assert float(found.lines.fit.median()) > 0.9
    assert found.lines.right_down.mean > 0.97
    assert found.lines.right_up.mean < 0.5 < found.random.right_up.mean
    assert found.planes.up.mean > 0.4
    assert max(found.planes.down.mean, found.planes.across.mean, found.planes.control.mean) < 0.1


def test_random_directions_need_more_and_never_more_than_the_root_of_d_allows(studied):
    _, found = studied
    assert 2 < found.ratio < 1.5 * found.d**0.5
    assert [a.name for a in found.along] == ["sign of the gradient", "random signs", "Gaussian noise"]


def test_the_worst_of_more_draws_is_never_better(studied):
    _, found = studied
    values = [rate.value for rate in found.draws]
    assert values == sorted(values, reverse=True)
    assert len(values) == PLAN.draws + 1
    assert found.draws[0].k == int(found.right.sum())


def test_the_middle_of_each_plane_is_what_the_model_says_of_the_image(studied):
    _, found = studied
    for labels in found.windows.values():
        assert (labels[:, 5, 5] == found.y[[found.row(i) for i in found.window_ids]]).all()


def test_the_loss_on_the_line_is_that_of_its_logits(studied):
    tables, found = studied
    logits = tables["logits"]["free"].double()
    expected = torch.nn.functional.cross_entropy(logits[:, 3], found.y, reduction="none")
    torch.testing.assert_close(found.lines.loss[:, 3], expected)


def test_the_first_draw_that_flips_is_counted_exactly():
    plane = Plane(1, 4, 4)
    x = images(6, 1, 4, 4, low=0.45, high=0.55)
    y, eps = plane.label(x), 0.2
    batch = Batch(tuple(map(str, range(6))), x, y)
    found = FirstDraw(30).columns(Question(Model(plane), Linf(eps), seed=5), batch)["draw"]
    rng = Rng.seeded(5, batch.ids)
    flipped = torch.stack([plane.label((x + eps * rng.sign(x)).clamp(0, 1)) != y for _ in range(30)])
    first = [int(column.nonzero()[0]) + 1 if column.any() else 31 for column in flipped.T]
    assert found.tolist() == first
    wrong = FirstDraw(3).columns(Question(Model(plane), Linf(eps)), Batch(batch.ids, x, 1 - y))["draw"]
    assert (wrong == 0).all()


def test_norms_stay_within_their_budgets_and_beat_random(digits, tmp_path: Path):
    plan = Norms(regions=(L2(1.0), Linf(0.2), L0(5)), images=2, sample=20)
    tables = run_norms(plan, *digits, tmp_path)
    shown = digits[1].batch(telling(tables, 2, 3))
    found = compare(plan, tables, digits[0].classes, shown)
    for budget, name in zip(found.budgets, ("l2", "linf", "l0"), strict=True):
        assert (budget.attack[name] <= budget.region.radius + 1e-5).all()
        assert (budget.noise[name] <= budget.region.radius + 1e-5).all()
        assert budget.success.value > budget.random.value
        assert budget.success.n == budget.random.n == found.n
    assert all(len(case.attacked) == len(case.random) == 3 for case in found.cases)
    for case in found.cases:
        for panel in case.attacked:
            torch.testing.assert_close(case.image + panel.change, panel.image)
