"""NES: E[(s(x + σu) - s(x - σu)) u] / 2σ is the gradient of a linear score; ``reached`` is asked of the image."""

import pytest
import torch
import torch.nn.functional as F

from oracles import Plane, images, same
from unfool.model import Model
from unfool.objectives import Logit, Margin, Untargeted
from unfool.query import Query
from unfool.rows import Rng
from unfool.slopes import NES, Exact, Expectation, Slope
from unfool.spec import catalogue
from unfool.transforms import Brightness, Jitter, Noise

NET = Plane(3, 6, 6)
X = images(8, 3, 6, 6)
W = NET.w.detach()


def query(capacity: int = 64, ids: range = range(8)) -> Query:
    y = torch.tensor([0, 1] * 4)[list(ids)]  # right for some, wrong for others
    return Query(Model(NET, capacity=capacity), Untargeted(Margin()), y, Rng.seeded(0, ids))


SLOPES = [
    Exact(),
    NES(samples=4),
    Expectation((Jitter(0),), samples=2),
    Expectation((Brightness(1e-6),), samples=2),
    Expectation((Noise(1e-6), Jitter(0)), samples=1),
]


def test_every_slope_is_tested_here():
    assert {type(slope).__name__ for slope in SLOPES} >= set(catalogue(Slope))


@pytest.mark.parametrize("slope", SLOPES, ids=repr)
def test_what_is_reached_is_what_the_image_itself_says(slope: Slope):
    answer, asked = slope(query(), X), query().ask(X)
    assert same(answer.reached, asked.reached)
    assert 0 < answer.reached.sum() < 8
    assert torch.allclose(answer.score, asked.score, atol=1e-4)


@pytest.mark.parametrize(
    "slope", [Expectation((Jitter(3),), samples=2), Expectation((Noise(1.0),), samples=2)], ids=repr
)
def test_what_is_reached_is_asked_of_the_image_not_of_its_transforms(slope: Slope):
    assert same(slope(query(), X).reached, query().ask(X).reached)


@pytest.mark.parametrize("slope", [s for s in SLOPES if not isinstance(s, NES)], ids=repr)
def test_without_a_change_the_slope_is_the_gradient(slope: Slope):
    assert torch.allclose(slope(query(), X).slope, query().gradient(X).slope, atol=1e-5)


def test_nes_comes_to_the_gradient_of_a_linear_model():
    few, many = (NES(samples=n)(query(), X).slope.flatten(1) for n in (20, 2000))
    exact = query().gradient(X).slope.flatten(1)
    assert F.cosine_similarity(many, exact).min() > 0.97
    assert (F.cosine_similarity(few, exact) < F.cosine_similarity(many, exact)).all()
    assert ((many * exact).sum(1) / exact.square().sum(1) - 1).abs().max() < 0.1  # its length, too


@pytest.mark.parametrize("slope", [NES(samples=3), Expectation((Noise(0.2),), samples=3)], ids=repr)
def test_a_row_is_the_same_alone_and_however_it_is_packed(slope: Slope):
    together = slope(query(), X).slope
    packed = slope(query(capacity=1), X).slope
    alone = torch.cat([slope(query(ids=range(k, k + 1)), X[k : k + 1]).slope for k in range(8)])
    assert torch.allclose(together, packed, atol=1e-4)
    assert torch.allclose(together, alone, atol=1e-4)


def test_nes_asks_for_scores_only():
    asked = query()
    NES(samples=5)(asked, X)
    assert asked.cost == {"forward": 8 * (2 * 5 + 1)}


def test_the_mean_over_a_shift_is_the_mean_of_shifted_gradients():
    """For a linear score seen through a roll by k, the gradient is w rolled by -k."""
    one = Query(Model(NET), Logit(), torch.ones(1, dtype=torch.long), Rng.seeded(0, [0]))
    grad = one.gradient(X[:1], (Jitter(1),)).slope[0]
    rolls = [W.roll((i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert any(torch.allclose(grad, roll, atol=1e-6) for roll in rolls)


def test_a_slope_that_looks_through_transforms_may_stop_later_or_never():
    through = (Noise(1.0),)
    by_image, by_copies, never = (
        Expectation(through, samples=6, stop=stop)(query(), X)
        for stop in ("image", "copies", "never")  # type: ignore[arg-type]
    )
    assert not (by_copies.reached & ~by_image.reached).any()
    assert by_copies.reached.sum() < by_image.reached.sum()
    assert not never.reached.any()
    assert same(never.slope, by_image.slope)
    still = Expectation((Jitter(0),), samples=2, stop="copies")
    assert same(still(query(), X).reached, query().ask(X).reached)
