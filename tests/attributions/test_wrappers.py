"""SmoothGrad is (1/n) Σ g(x + ε), ε ~ N(0, σ²), σ a share of the image's range; for a linear score it is w."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from oracles import SPACES, Plane, Quadratic, conv, images, residual, same, smooth
from unfool.attributions.base import Attribution
from unfool.attributions.cam import GradCAM
from unfool.attributions.gradient import Gradient, IntegratedGradients
from unfool.attributions.wrappers import SmoothGrad, SmoothGradSquared, VarGrad
from unfool.model import Model
from unfool.query import Query

NET = Plane(3, 6, 6)
W = NET.w.detach()
X = images(3, 3, 6, 6)
NOISY = [SmoothGrad, SmoothGradSquared, VarGrad]
each = pytest.mark.parametrize("cls", NOISY)


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("samples", [2, 7])
def test_of_a_linear_score_smoothgrad_is_the_weights_for_any_noise(sigma: float, samples: int):
    how = {"sigma": sigma, "samples": samples}
    assert torch.allclose(SmoothGrad(**how)(Model(NET), X, 1).heat, W.expand_as(X), atol=1e-6)
    assert torch.allclose(SmoothGradSquared(**how)(Model(NET), X, 1).heat, W.square().expand_as(X), atol=1e-6)
    assert VarGrad(**how)(Model(NET), X, 1).heat.abs().max() < 1e-12


def test_without_noise_it_is_the_plain_gradient():
    assert torch.allclose(
        SmoothGrad(samples=2, sigma=0.0)(Model(conv()), X).heat, Gradient()(Model(conv()), X).heat, atol=1e-7
    )


def test_the_variance_is_the_mean_square_less_the_squared_mean():
    smoothed, squared, variance = (
        cls(samples=9)(Model(smooth()), X[:, :2].double(), 1).heat for cls in NOISY
    )
    assert torch.allclose(variance, squared - smoothed.square(), atol=1e-12)
    assert (variance >= 0).all()
    assert variance.max() > 0


def test_more_samples_come_nearer_to_the_smooth_map():
    net, x = residual(), images(4, 3, 8, 8)

    def heat(n: int, seed: int = 0) -> Tensor:
        return SmoothGrad(samples=n, sigma=0.3)(Model(net), x, 1, seed=seed).heat.flatten(1)

    reference = heat(400, seed=9)
    near = [F.cosine_similarity(heat(n), reference).mean().item() for n in (2, 10, 100)]
    assert near == sorted(near)
    assert near[2] > 0.99


class _Seen(Attribution):
    """What it is given."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return x


def test_the_noise_is_a_share_of_each_images_own_range_and_not_clipped():
    low = images(1, 3, 40, 40, low=0.4, high=0.6)
    x = torch.cat([low, images(1, 3, 40, 40), torch.full_like(low, 0.7)])
    spread = VarGrad(_Seen(), samples=60, sigma=0.2)(Model(conv()), x, 0).heat.flatten(1).mean(1).sqrt()
    span = x.flatten(1).amax(1) - x.flatten(1).amin(1)
    assert torch.allclose(spread, 0.2 * span, rtol=0.02)
    mean = SmoothGrad(_Seen(), samples=60, sigma=0.2)(Model(conv()), x, 0).heat
    assert (mean - x).mean().abs() < 1e-3  # it does not brighten
    assert mean.max() > 1  # copies leave [0, 1]


def test_noise_from_rand_instead_of_randn_explains_a_brighter_image():
    """A slide adds ``sigma * rand``, whose mean is σ/2 and whose spread is σ/√12.

    Where the gradient is linear in the image, the mean of gradients is the gradient at the mean image.
    """
    net, x, sigma, y = Quadratic(3, 6, 6), images(1, 3, 6, 6), 0.4, torch.tensor([1])
    stream = torch.Generator().manual_seed(0)
    slide = torch.stack(
        [net.gradient(x + sigma * torch.rand(x.shape, generator=stream), y) for _ in range(3000)]
    ).mean(0)
    right = SmoothGrad(samples=3000, sigma=sigma)(Model(net), x, y).heat
    slack = 4 * 2 * sigma / 3000**0.5
    assert (slide - net.gradient(x + sigma / 2, y)).abs().max() < slack
    assert (right - net.gradient(x, y)).abs().max() < slack
    assert (slide - right).mean().item() == pytest.approx(-2 * sigma / 2, abs=0.02)


def test_signed_maps_are_averaged_before_their_size_is_taken():
    """The mean of |g| is another and never smaller number than |the mean of g|."""
    x = images(2, 3, 8, 8)
    ours = SmoothGrad(samples=20, sigma=0.5)(Model(residual()), x, 1)
    sizes = SmoothGradSquared(samples=20, sigma=0.5)(Model(residual()), x, 1).heat.sqrt()
    assert ours.heat.min() < 0 < ours.heat.max()
    assert (sizes >= ours.heat.abs() - 1e-6).all()
    assert same(ours.map, ours.heat.abs().amax(1, keepdim=True))


@each
@pytest.mark.parametrize("inner", [Gradient(), GradCAM("2"), IntegratedGradients(2)], ids=repr)
def test_noise_can_be_put_around_any_attribution(cls, inner: Attribution):
    x = images(2, 3, 8, 8)
    found = cls(inner, samples=3)(Model(conv()), x)
    assert found.heat.shape == inner(Model(conv()), x).heat.shape
    assert found.map.shape == (2, 1, 8, 8)
    assert found.map.isfinite().all()


@pytest.mark.parametrize("space", SPACES)
@each
def test_any_number_of_channels_and_dimensions(cls, space: str):
    net, x = SPACES[space]()
    assert cls(samples=2)(Model(net), x).map.shape == (3, 1, *x.shape[2:])


@each
@pytest.mark.parametrize("inner", [Gradient(), SmoothGrad(samples=3, sigma=0.4)], ids=repr)
def test_packing_and_neighbours_change_nothing(cls, inner: Attribution):
    method, net = cls(inner, samples=5, sigma=0.4), residual().double()
    x = images(3, 3, 8, 8, dtype=torch.float64)
    whole = method(Model(net), x, 1, ids="abc").heat
    for capacity in (1, 4, 7):
        assert torch.allclose(method(Model(net, capacity=capacity), x, 1, ids="abc").heat, whole, atol=1e-12)
    alone = torch.cat([method(Model(net), x[k : k + 1], 1, ids="abc"[k]).heat for k in range(3)])
    assert torch.allclose(alone, whole, atol=1e-12)


@each
def test_the_noise_follows_seed_and_id(cls):
    def heat(seed: int, ids: str) -> Tensor:
        return cls(samples=2)(Model(conv()), X, 1, seed=seed, ids=ids).heat

    assert same(heat(0, "abc"), heat(0, "abc"))
    assert not same(heat(0, "abc"), heat(1, "abc"))
    assert same(heat(0, "abc")[:2], heat(0, "abd")[:2])
    assert not same(heat(0, "abc")[2], heat(0, "abd")[2])


@each
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_have_no_range_and_so_no_noise(cls, level: float):
    found = cls(samples=2)(Model(conv()), torch.full((2, 3, 8, 8), level))
    assert found.map.isfinite().all()


def test_copies_are_asked_about_until_the_map_is_sure():
    """A linear score needs one look; a crooked one goes on, and its error is then what was asked for."""
    assert SmoothGrad(samples=50, error=0.1)(Model(NET), X, 1).cost["backward"] == 3 * 5
    net, x = residual(), images(4, 3, 8, 8)
    sure = SmoothGrad(samples=400, sigma=0.1, error=0.1)(Model(net), x, 1)
    assert 4 * 5 < sure.cost["backward"] < 4 * 400
    reference = SmoothGrad(samples=600, sigma=0.1)(Model(net), x, 1, seed=5).heat
    off = (sure.heat - reference).flatten(1).norm(dim=1) / reference.flatten(1).norm(dim=1)
    assert (off < 3 * 0.1).all()
    alone = SmoothGrad(samples=400, sigma=0.1, error=0.1)(Model(net), x[1:2], 1, ids=[1])
    assert same(alone.heat, sure.heat[1:2])
