"""NES, SPSA: E[(s(x + σu) - s(x - σu)) u] / 2σ is the gradient of a linear score; ``reached`` is asked of the image.

SI: the mean of ∇ s(x / 2^i), by the chain rule; TI: the gradient blurred by a Gaussian; DI: seen through ``Shrink``.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles import Plane, Quadratic, conv, images, same
from unfool.attacks.gradient import PGD
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import Logit, Margin, Untargeted
from unfool.query import Query
from unfool.regions import Linf
from unfool.rows import Rng
from unfool.samples import digits8
from unfool.slopes import (
    NES,
    SPSA,
    Exact,
    Expectation,
    Redrawn,
    ScaleInvariant,
    Slope,
    StraightThrough,
    TranslationInvariant,
)
from unfool.spec import catalogue
from unfool.transforms import Brightness, Jitter, Noise, Shrink
from unfool.views import from_uint8
from unfool.zoo.embedded import build

NET = Plane(3, 6, 6)
NET.add_module("steps", nn.Identity())
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
    Expectation((Shrink(chance=0.0),), samples=1, inner=Redrawn(2)),
    Redrawn(3),
    Redrawn(2, Expectation((Jitter(0),), 2)),
    ScaleInvariant(1),
    TranslationInvariant(0),
    TranslationInvariant(2, 1e-3, ScaleInvariant(1, Redrawn(2))),
    SPSA(samples=4),
    StraightThrough(("steps",)),
]


def test_every_slope_is_tested_here():
    ours = {name for name, cls in catalogue(Slope).items() if cls.__module__ == "unfool.slopes"}
    assert {type(slope).__name__ for slope in SLOPES} >= ours


@pytest.mark.parametrize("slope", SLOPES, ids=repr)
def test_what_is_reached_is_what_the_image_itself_says(slope: Slope):
    answer, asked = slope(query(), X), query().ask(X)
    assert same(answer.reached, asked.reached)
    assert 0 < answer.reached.sum() < 8
    assert torch.allclose(answer.score, asked.score, atol=1e-4)


@pytest.mark.parametrize(
    "slope",
    [
        Expectation((Jitter(3),), samples=2),
        Expectation((Noise(1.0),), samples=2),
        ScaleInvariant(4),
        TranslationInvariant(3, 3.0, Expectation((Shrink(0.5, 1.0),), 1, ScaleInvariant(3))),
        Expectation((Noise(1.0),), 2, NES(samples=2)),
        Redrawn(2, ScaleInvariant(2)),
    ],
    ids=repr,
)
def test_what_is_reached_is_asked_of_the_image_not_of_its_transforms(slope: Slope):
    assert same(slope(query(), X).reached, query().ask(X).reached)


@pytest.mark.parametrize("slope", [s for s in SLOPES if not isinstance(s, (NES, SPSA))], ids=repr)
def test_without_a_change_the_slope_is_the_gradient(slope: Slope):
    assert torch.allclose(slope(query(), X).slope, query().gradient(X).slope, atol=1e-5)


@pytest.mark.parametrize("kind", [NES, SPSA])
def test_a_guess_comes_to_the_gradient_of_a_linear_model(kind: type[NES | SPSA]):
    few, many = (kind(samples=n)(query(), X).slope.flatten(1) for n in (20, 2000))
    exact = query().gradient(X).slope.flatten(1)
    assert F.cosine_similarity(many, exact).min() > 0.97
    assert (F.cosine_similarity(few, exact) < F.cosine_similarity(many, exact)).all()
    assert ((many * exact).sum(1) / exact.square().sum(1) - 1).abs().max() < 0.1  # its length, too


@pytest.mark.parametrize(
    "slope",
    [
        NES(samples=3),
        SPSA(samples=3),
        Expectation((Noise(0.2),), samples=3),
        Expectation((Shrink(0.5),), 2, SPSA(2)),
    ],
    ids=repr,
)
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


def about(net: nn.Module, y: Tensor, draws: int = 1) -> Query:
    return Query(Model(net, draws=draws), Untargeted(Margin()), y, Rng.seeded(0, range(len(y))))


def test_the_scale_invariant_slope_is_the_mean_by_the_chain_rule():
    net, y = Quadratic(3, 6, 6), torch.zeros(8, dtype=torch.long)
    asked = Query(Model(net), Logit(), y, Rng.seeded(0, range(8)))
    mean = sum(net.gradient(X / 2**i, y) / 2**i for i in range(3)) / 3
    assert torch.allclose(ScaleInvariant(3)(asked, X).slope, mean, atol=1e-5)
    assert asked.cost == {"forward": 8 * 3, "backward": 8 * 3}


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_translation_invariant_slope_is_blurred_along_every_dimension(dims: int):
    """A gradient of one value becomes a Gaussian about it."""
    net = Plane(1, *[5] * dims)
    with torch.no_grad():
        net.w.zero_()[(0, *[2] * dims)] = 1.0
    asked = Query(Model(net), Logit(), torch.ones(1, dtype=torch.long), Rng.seeded(0, [0]))
    found = TranslationInvariant(1, 1.0)(asked, images(1, 1, *[5] * dims)).slope[0, 0]
    side = torch.tensor([0.0, *torch.tensor([-0.5, 0.0, -0.5]).softmax(0), 0.0])
    expected = torch.ones(())
    for _ in range(dims):
        expected = expected[..., None] * side
    assert torch.allclose(found, expected, atol=1e-6)


def test_slopes_combine_without_asking_twice():
    asked = query()
    TranslationInvariant(1, 1.0, Expectation((Shrink(),), 1, ScaleInvariant(3)))(asked, X)
    assert asked.cost == {"forward": 8 * (3 + 1), "backward": 8 * 3}


class Quarters(nn.Module):
    """The toy defence: an image in five levels of grey."""

    def __init__(self, net: nn.Module, how: str = "function"):
        super().__init__()
        self.net, self.how = net, how
        self.defence = nn.Identity() if how != "module" else _Rounds()

    def forward(self, x: Tensor) -> Tensor:
        match self.how:
            case "function":
                x = torch.round(x * 4) / 4
            case "method":
                x = x.mul(4).round_().div(4)
            case "bytes":
                x = (x * 4 + 0.5).to(torch.uint8).float() / 4
            case _:
                x = self.defence(x)
        return self.net(x)


class _Rounds(nn.Module):
    """Outside of torch."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy((x.detach().numpy() * 4).round() / 4)


@pytest.mark.parametrize("how", ["function", "method", "bytes", "module"])
def test_rounding_to_quarters_stops_pgd_and_not_a_slope_that_goes_straight_through(how: str, digits_and_net):
    net, x, y = digits_and_net
    model, within = Model(Quarters(net, how).eval()), Linf(0.2)
    kept = model(x).argmax(1) == y
    x, y = x[kept], y[kept]
    slope = StraightThrough(("defence",) if how == "module" else ())
    if how in ("function", "method"):
        assert PGD(20, Margin(), slope=Exact())(model, x, y, within=within).success.float().mean() < 0.35
    found = PGD(20, Margin(), slope=slope)(model, x, y, within=within)
    assert found.success.float().mean() > 0.95


@pytest.fixture(scope="module")
def digits_and_net() -> tuple[nn.Module, Tensor, Tensor]:
    data = digits8("test")
    return build("digits8_conv"), from_uint8(data.x[:100]), data.y[:100]


def test_where_there_is_nothing_to_straighten_the_error_says_what_it_looked_for():
    with pytest.raises(
        InputError, match=r"met nothing to straighten in Plane: it looked for round, floor, .* casts"
    ):
        StraightThrough()(query(), X)


class Fickle(nn.Module):
    """Right with chance 0.7, whatever the image."""

    def forward(self, x: Tensor) -> Tensor:
        right = torch.rand(len(x)) < 0.7
        s = torch.where(right, 1.0, -1.0) + 0 * x.flatten(1).sum(1)
        return torch.stack([s, -s], 1)


def test_a_network_that_draws_at_random_is_judged_over_several_draws():
    x, y = images(200, 1, 2, 2), torch.zeros(200, dtype=torch.long)
    once, often = about(Fickle(), y), about(Fickle(), y, draws=64)
    with once.model.settled(), often.model.settled():
        assert 0.15 < once.reached(x).float().mean() < 0.45
        assert not often.reached(x).any()
        assert not Redrawn(64)(once, x).reached.any()
        p = often.logits(x).softmax(1)[:, 0]
    best = torch.tensor([2.0, 0.0]).softmax(0)[0]
    assert torch.allclose(p.mean(), 0.7 * best + 0.3 * (1 - best), atol=0.02)
    assert often.cost["forward"] == 200 * 64 * 2
    assert torch.allclose(Model(Fickle(), draws=64)(x).exp().sum(1), torch.ones(200))


class Noisy(nn.Module):
    """A plane seen through noise of its own, the same for no two passes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = conv(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + 0.3 * torch.randn_like(x))


def test_the_slope_over_several_draws_is_steadier_than_over_one():
    net, y = Noisy().eval(), torch.zeros(8, dtype=torch.long)

    def spread(samples: int) -> float:
        asked = about(net, y)
        with asked.model.settled():
            slopes = torch.stack([Redrawn(samples)(asked, X).slope for _ in range(6)])
        return float(slopes.std(0).mean())

    assert spread(16) < 0.5 * spread(1)
    assert about(net, y).model.draws == 1


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
