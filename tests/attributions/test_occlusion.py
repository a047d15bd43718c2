"""Of a linear score w·x the fall under a window is Σ w (x - fill) over it, whatever the window and the fill."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import images, one_square, residual, same
from unfool.attributions.occlusion import Occlusion
from unfool.attributions.windows import Windows
from unfool.errors import InputError
from unfool.fills import blurred, filling, without
from unfool.maps import spearman
from unfool.model import Model
from unfool.objectives import Logit
from unfool.query import Query
from unfool.rows import Rng

FILLS = ["mean", "blur", "zero", "inpaint"]


def linear(*shape: int) -> tuple[Model, Tensor]:
    net = nn.Sequential(nn.Flatten(), nn.Linear(int(torch.tensor(shape).prod()), 2, bias=False)).eval()
    w = images(*shape, low=-1)
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([-w, w]).flatten(1))
    return Model(net), w


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("window", "stride"), [((3, 2), (3, 2)), ((2, 2), (1, 2)), ((5, 6), ())])
def test_of_a_linear_score_it_is_exact(fill: Any, window: tuple[int, ...], stride: tuple[int, ...]):
    model, w = linear(2, 5, 6)
    x = images(3, 2, 5, 6, seed=1)
    found = Occlusion(window, stride, fill)(model, x, 1).heat[:, 0]
    total, seen = torch.zeros(3, 5, 6), torch.zeros(5, 6)
    put = filling(x, fill, Rng.seeded(0, range(3)))
    grid = Windows.over((5, 6), window, stride)
    for corner, place in zip(grid.corners, grid.places(grid.corners), strict=True):
        crop = put(torch.arange(3), corner.expand(3, -1), grid.sides)
        here = (slice(None), slice(None), *place)
        fall = ((x[here] - crop) * w[here[1:]]).flatten(1).sum(1)
        total[(slice(None), *place)] += fall.view(3, 1, 1)
        seen[place] += 1
    assert seen.min() >= 1
    assert torch.allclose(found, total / seen, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 20), (1, 6, 5, 4), (3, 9, 7)])
def test_any_number_of_dimensions(shape: tuple[int, ...]):
    model, w = linear(*shape)
    x = images(2, *shape, seed=1)
    one = Occlusion(window=(1,), stride=(1,), fill="zero")(model, x, 1).heat
    assert torch.allclose(one, (x * w).sum(1, keepdim=True), atol=1e-5)


def test_it_finds_the_only_square_that_matters():
    heat = Occlusion(window=(2,), stride=(1,), fill="zero")(
        Model(one_square()), images(4, 3, 8, 8, low=0.5), 1
    ).map
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[1:4, 4:7] = True
    assert (heat[:, 0, inside].amin(1) > 0).all()
    near = torch.zeros(8, 8, dtype=torch.bool)
    near[0:5, 3:8] = True
    assert (heat[:, 0, ~near].abs() < 1e-6).all()


def test_by_parts_is_the_same_as_whole(monkeypatch: pytest.MonkeyPatch):
    x, net = images(2, 3, 16, 12), residual()
    parts = Occlusion(window=(3,), stride=(2,))(Model(net), x).heat
    monkeypatch.setattr("unfool.partial.images.is_eager", lambda module: False)
    assert same(parts, Occlusion(window=(3,), stride=(2,))(Model(net), x).heat)


def test_what_only_answers_can_be_asked():
    model, _ = linear(3, 6, 6)
    box = Model.scores(lambda x: model(torch.from_numpy(x)).numpy())
    x = images(2, 3, 6, 6, seed=1)
    assert same(Occlusion()(box, x, 1).heat, Occlusion()(model, x, 1).heat)


def test_scripted_networks_are_given_plain_images():
    x, net = images(1, 3, 8, 8), residual()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        scripted = torch.jit.trace(net, x)
    assert same(
        Occlusion(window=(3,))(Model(scripted), x, 1).heat, Occlusion(window=(3,))(Model(net), x, 1).heat
    )


def test_inpainting_a_slope_changes_nothing():
    """The straight line from one side to the other is the slope itself."""
    rows, columns = torch.meshgrid(torch.linspace(0, 0.6, 7), torch.linspace(0, 0.3, 8), indexing="ij")
    x = (rows + columns)[None, None]
    put = filling(x, "inpaint", Rng.seeded(0, [0]))
    crop = put(torch.zeros(1, dtype=torch.long), torch.tensor([[2, 3]]), (3, 2))
    assert torch.allclose(crop[0, 0], x[0, 0, 2:5, 3:5], atol=1e-6)
    corner = put(torch.zeros(1, dtype=torch.long), torch.tensor([[0, 0]]), (2, 2))
    assert torch.isfinite(corner).all()
    whole = put(torch.zeros(1, dtype=torch.long), torch.tensor([[0, 0]]), (7, 8))
    assert torch.isfinite(whole).all()


def test_blurring_keeps_a_constant_and_the_order_of_dimensions():
    assert torch.allclose(blurred(torch.full((1, 2, 9, 7), 0.3), (2.0, 2.0)), torch.tensor(0.3))
    x = images(1, 1, 9, 7)
    assert torch.allclose(blurred(x, (1.5, 2)).mT, blurred(x.mT, (2, 1.5)), atol=1e-6)
    assert without(x, "mean", Rng.seeded(0, [0])).unique().numel() == 1


def test_noise_is_each_images_own():
    x = images(3, 3, 8, 8)
    model = Model(residual())
    together = Occlusion(fill="noise")(model, x, 1).heat
    alone = Occlusion(fill="noise")(model, x[2:], 1, ids=[2]).heat
    assert same(together[2:], alone)


WRONG = [
    (Occlusion(window=(9,)), "a window of \\[9, 9\\] does not fit"),
    (Occlusion(window=(2,), stride=(3,)), "leave gaps"),
    (Occlusion(window=(2, 2, 2)), "window is one number of at least 1"),
    (Occlusion(window=(0,)), "window is one number of at least 1"),
]


@pytest.mark.parametrize(("method", "message"), WRONG, ids=repr)
def test_what_does_not_fit_is_one_sentence(method: Occlusion, message: str):
    with pytest.raises(InputError, match=message):
        method(Model(residual()), images(1, 3, 8, 8))


def smooth_weights() -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(20.0), indexing="ij")
    return (-((rows - 7).square() + (columns - 12).square()) / 18).exp()[None]


COARSE: dict[str, Any] = {"window": (3,), "stride": (1,), "fill": "zero"}


def bumpy(n: int) -> tuple[Model, Tensor]:
    """A linear model whose weights are a bump in the middle of noise."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(480, 2, bias=False)).eval()
    w = smooth_weights() + 0.2 * images(1, 24, 20, low=-1, seed=5)
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([-w, w]).flatten(1))
    return Model(net.double()), images(n, 1, 24, 20, seed=1).double()


def window_falls(heat: Occlusion, model: Model, x: Tensor) -> Tensor:
    hider = heat.hider(
        query := Query(model, Logit(), torch.ones(len(x), dtype=torch.long), Rng.seeded(0, range(len(x)))), x
    )
    return query.ask(x).score[:, None] - hider.scores(hider.all())


def test_coarse_to_fine_says_how_far_off_it_is():
    """The mean error of the windows not asked, known of a linear model, lies in nearly all 95 % intervals."""
    model, x = bumpy(60)
    method = Occlusion(coarse=3, **COARSE)
    found = method(model, x, 1)
    hider = method.hider(query := Query(model, Logit(), found.target, Rng.seeded(0, range(60)), images=x), x)
    falls, told = method._by_and_by(hider, query.ask(x).score[:, None], query.rng)
    truth = window_falls(method, model, x)
    off = (falls - truth).abs()
    left = off > 1e-9
    assert torch.equal(told["asked"] + left.sum(1), torch.full((60,), truth.shape[1]))
    real = off.sum(1) / left.sum(1)
    inside = (real >= told["error_low"]) & (real <= told["error_high"])
    assert inside.float().mean() >= 0.87
    assert ((told["error"] - real).mean() / real.mean()).abs() < 0.1
    assert same(found.notes["error"], told["error"])
    assert found.cost["forward"] == 60 + int(told["asked"].sum())
    assert found.notes["asked"].float().mean() < 0.5 * truth.shape[1]


def test_coarse_to_fine_keeps_what_matters():
    model, x = bumpy(8)
    exact, quick = (Occlusion(coarse=c, **COARSE)(model, x, 1).map for c in (1, 3))
    assert spearman(exact, quick).min() > 0.8
    assert (exact.flatten(1).argmax(1) == quick.flatten(1).argmax(1)).float().mean() > 0.8


def test_coarse_to_fine_that_asks_all_is_exact():
    model, x = bumpy(3)
    exact = Occlusion(**COARSE)(model, x, 1)
    for method in (Occlusion(coarse=3, refined=1, **COARSE), Occlusion(coarse=4, sample=1000, **COARSE)):
        found = method(model, x, 1)
        assert same(found.heat, exact.heat)
        assert found.notes["error"].eq(0).all()
        assert found.notes["error_high"].eq(0).all()
    alone = Occlusion(coarse=3, **COARSE)(model, x[1:2], 1, ids=[1])
    together = Occlusion(coarse=3, **COARSE)(model, x, 1)
    assert same(alone.heat, together.heat[1:2])


def test_where_falls_are_linear_coarse_is_exact():
    """A constant image and weights that are a slope: the windows' falls are linear in their place."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(480, 2, bias=False)).eval()
    with torch.no_grad():
        slope = torch.linspace(0, 1, 24)[:, None] + torch.linspace(0, 2, 20)
        net[1].weight.copy_(torch.stack([0 * slope, slope]).flatten(1))
    x = torch.full((1, 1, 24, 20), 0.5)
    found = Occlusion(coarse=5, refined=0.0, sample=5, **COARSE)(Model(net), x, 1)
    assert same(found.heat, Occlusion(**COARSE)(Model(net), x, 1).heat)
    assert found.notes["error_high"].item() < 1e-4
