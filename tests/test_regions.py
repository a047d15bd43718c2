"""Projections are the nearest points; the steepest change of size 1 raises g·δ by the dual norm of g."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracles import images
from unfool.errors import InputError
from unfool.regions import L0, L1, L2, Linf, Mask, Norm, Region
from unfool.rows import Rng
from unfool.spec import parse

BOX = (0.25, 0.0, 0.75, 0.5)
REGIONS = [
    Linf(0.1),
    L2(0.7),
    L1(2.0),
    L0(3),
    Linf((1e-3, 0.05, 0.3)),
    L2((1e-3, 0.5, 2.0)),
    L1((1e-3, 1.0, 4.0)),
    L0((1, 2, 5)),
    Mask(Linf(0.3), BOX),
    Mask(L2(0.5), BOX),
    Mask(L1(1.0), BOX),
    Mask(L0(2), BOX),
]
NORMS = [Linf, L2, L1]
X = images(3, 2, 4, 6, dtype=torch.float64)
each = pytest.mark.parametrize("region", REGIONS, ids=repr)


def normal(seed: int, like: Tensor = X) -> Tensor:
    return Rng.seeded(seed, range(len(like))).normal(like)


def assert_allowed(region: Region, x: Tensor, center: Tensor = X) -> None:
    ball = region.around(center)
    assert x.min() >= 0
    assert x.max() <= 1
    assert (region.size(x - center) <= ball.eps * (1 + 1e-9) + 1e-12).all()
    if ball.mask is not None:
        assert (((x != center) & (ball.mask == 0)).sum()) == 0


@each
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), far=st.sampled_from([1e-3, 0.1, 1.0, 30.0]))
def test_projections_are_allowed_and_change_nothing_that_is(region: Region, seed: int, far: float):
    ball = region.around(X)
    once = region.project(X + far * normal(seed), ball)
    assert_allowed(region, once)
    assert torch.allclose(region.project(once, ball), once, rtol=0, atol=1e-12)
    assert torch.equal(region.project(X, ball), X)


@each
def test_samples_and_edges_are_allowed_and_move(region: Region):
    ball = region.around(X)
    sample = region.sample(ball, Rng.seeded(0, range(3)))
    edge = region.edge(normal(1), ball)
    for moved in (sample, edge):
        assert_allowed(region, moved)
        assert ((moved != X).flatten(1).any(1) == (ball.eps > 0)).all()


@each
def test_rows_do_not_depend_on_their_neighbours(region: Region):
    if isinstance(region.radius, tuple):
        alone = [region.sized(eps) for eps in region.radius]
    else:
        alone = [region] * 3
    ball, far = region.around(X), X + normal(0)
    grad, length = normal(3), torch.ones(3, dtype=X.dtype)
    for k, one in enumerate(alone):
        only, row = one.around(X[k : k + 1]), slice(k, k + 1)
        assert torch.equal(one.project(far[row], only)[0], region.project(far, ball)[k])
        step = one.step(far[row], grad[row], length[row], only)
        assert torch.equal(step[0], region.step(far, grad, length, ball)[k])


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_projections_on_convex_regions_are_the_nearest_points(norm: type[Norm], seed: int):
    """p is nearest to d if and only if (d - p)·(q - p) ≤ 0 for every allowed q."""
    region, d = norm(1.5), 3 * normal(seed)
    eps = torch.full((3,), 1.5, dtype=d.dtype)
    p = region.shrink(d, eps)
    worst = (d - p) * 1.0
    q = {Linf: worst.sign() * 1.5, L2: worst / worst.flatten(1).norm(dim=1).view(-1, 1, 1, 1) * 1.5}.get(norm)
    if q is None:  # the corner of the l1 ball that lies farthest that way
        flat = worst.flatten(1)
        best = flat.abs().argmax(1, keepdim=True)
        q = torch.zeros_like(flat).scatter(1, best, flat.gather(1, best).sign() * 1.5).view_as(d)
    assert (((d - p) * (q - p)).flatten(1).sum(1) <= 1e-9).all()


def test_the_l1_projection_is_the_nearest_of_many_points():
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    edge = (
        torch.cat([torch.stack([a * t, b * (1 - t)], 1) for a, b in itertools.product((-1, 1), repeat=2)])
        * 0.7
    )
    d = torch.tensor([[0.9, 0.2], [-1.0, 0.1], [0.5, -0.5], [2.0, 2.1]], dtype=torch.float64)
    nearest = edge[torch.cdist(d, edge).argmin(1)]
    found = L1().shrink(d.view(4, 1, 1, 2), torch.full((4,), 0.7, dtype=torch.float64)).view(4, 2)
    assert (found - nearest).abs().max() < 1e-3


def test_the_l0_projection_keeps_the_largest_changes_of_whole_positions():
    d = torch.tensor([[[0.1, -0.9, 0.0, 0.3], [0.2, 0.0, 0.0, -0.5]]]).view(1, 2, 2, 2)
    kept = L0().shrink(d, torch.tensor([2.0])).view(2, 4)
    assert kept.tolist() == torch.tensor([[0.0, -0.9, 0.0, 0.3], [0.0, 0.0, 0.0, -0.5]]).tolist()
    assert L0().size(d).item() == 3


@pytest.mark.parametrize(("eps", "count"), [(1.0, 1), (1.9, 1), (2.5, 2), (3.0, 3)])
def test_a_fraction_of_a_position_is_none(eps: float, count: int):
    region = L0(eps)
    moved = region.project(X + normal(0), region.around(X))
    assert region.size(moved - X).tolist() == [count] * 3


@pytest.mark.parametrize("region", [L0(0.5), L0((1, 0.9, 2)), Mask(L0(0.5), BOX)], ids=repr)
def test_a_region_of_less_than_one_position_is_refused(region: Region):
    with pytest.raises(InputError, match=r"L0\.eps is 0\.\d, so that no position may change"):
        region.around(X)


@pytest.mark.parametrize(("norm", "dual"), [(Linf, 1), (L2, 2), (L1, torch.inf)])
def test_the_steepest_unit_change_reaches_the_dual_norm(norm: type[Norm], dual: float):
    g = normal(0)
    region = norm(1.0)
    way = region.steepest(g, region.around(X))
    assert torch.allclose(region.size(way), torch.ones(3, dtype=g.dtype))
    rises = (g * way).flatten(1).sum(1)
    assert torch.allclose(rises, torch.linalg.vector_norm(g.flatten(1), dual, dim=1))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("small", [1.0, 1e-10, 1e-30, 1e-37])
def test_the_steepest_change_has_size_1_however_flat_the_score(norm: type[Norm], small: float):
    region = norm(1.0)
    g = (normal(0) * small).float()
    assert torch.allclose(region.size(region.steepest(g, region.around(X.float()))), torch.ones(3))


@each
def test_where_the_gradient_is_zero_nothing_moves(region: Region):
    ball = region.around(X)
    assert torch.equal(region.step(X, torch.zeros_like(X), ball.eps, ball), X)


@each
def test_a_step_raises_a_linear_score(region: Region):
    ball, g = region.around(X), normal(0)
    before, after = ((g * at).flatten(1).sum(1) for at in (X, region.step(X, g, ball.eps, ball)))
    assert ((after > before) == (ball.eps > 0)).all()


@pytest.mark.parametrize("region", [L1(1.0), L2(1.0), L0(1), Linf(1.0)], ids=repr)
def test_a_step_is_not_spent_on_what_is_at_the_edge_of_the_box(region: Region):
    x, g = torch.tensor([[[1.0, 0.5]]]), torch.tensor([[[9.0, 1.0]]])
    assert region.step(x, g, torch.tensor([0.25]), region.around(x)).flatten().tolist() == [1.0, 0.75]


def test_the_edge_along_signs_is_as_far_as_every_value_may_go():
    x = images(2, 1, 4, 4, low=0.3, high=0.7)
    edge = Linf(0.1).edge(normal(0, x).sign(), Linf(0.1).around(x))
    assert torch.allclose((edge - x).abs(), torch.full_like(x, 0.1))
    for region in (L2(0.2), L1(0.3)):
        assert torch.allclose(
            region.size(region.edge(normal(0, x), region.around(x)) - x), torch.full((2,), region.eps)
        )


@pytest.mark.parametrize("norm", [L2, L1])
def test_samples_are_uniform_in_the_ball(norm: type[Norm]):
    """Of a uniform point in d dimensions, (size / eps)^d is uniform in [0, 1]."""
    x = torch.full((4000, 1, 1, 3), 0.5, dtype=torch.float64)
    region = norm(0.4)
    share = (region.size(region.sample(region.around(x), Rng.seeded(0, range(4000))) - x) / 0.4) ** 3
    assert share.mean().item() == pytest.approx(1 / 2, abs=0.02)
    assert share.var().item() == pytest.approx(1 / 12, abs=0.01)


def test_samples_of_linf_are_uniform_in_every_value():
    x = torch.full((500, 1, 4, 4), 0.5)
    delta = Linf(0.2).sample(Linf(0.2).around(x), Rng.seeded(0, range(500))) - x
    assert delta.std().item() == pytest.approx(0.2 / 3**0.5, rel=0.02)
    assert delta.abs().max() <= 0.2 + 1e-6


@pytest.mark.parametrize("region", [Linf(0.3), L2(0.3), L1(0.5), L0(2)], ids=repr)
def test_a_mask_keeps_all_change_to_where_it_is_true(region: Region):
    mask = torch.zeros(3, 1, 4, 6, dtype=torch.bool)
    mask[0, :, 1, 2:4], mask[1, :, 0, 0] = True, True  # none in row 2
    ball = region.around(X, mask)
    ways = [region.project(X + normal(0), ball), region.sample(ball, Rng.seeded(0, range(3)))]
    ways += [region.edge(normal(1), ball), region.step(X, normal(2), ball.eps, ball)]
    for moved in ways:
        changed = (moved != X).any(1, keepdim=True)
        assert not (changed & ~mask).any()
        assert changed.flatten(1).any(1).tolist() == [True, True, False]


def test_a_mask_for_all_images_may_be_given_once_and_another_shape_is_refused():
    assert Linf(0.1).around(X, torch.ones(1, 1, 4, 6)).mask.shape == (3, 1, 4, 6)  # type: ignore[union-attr]
    for shape in [(3, 4, 6), (4, 6), (3, 2, 4, 6), (2, 1, 4, 6), (3, 1, 6, 4)]:
        with pytest.raises(InputError, match=r"a mask must be \[3, 1, 4, 6\]"):
            Linf(0.1).around(X, torch.ones(shape))


def test_a_box_is_a_share_of_the_image_and_at_least_one_position():
    inside = Mask(Linf(1.0), (0.5, 0, 1, 0.5)).around(X).mask
    assert inside is not None
    assert inside[0, 0].tolist() == [[0] * 6, [0] * 6, [1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]]
    tiny = Mask(Linf(1.0), (0.5, 0.5, 0.5001, 0.5001)).around(X).mask
    assert tiny is not None
    assert tiny[0].sum() == 1
    volume = Mask(Linf(1.0), BOX).around(images(2, 1, 3, 4, 6)).mask
    assert volume is not None
    assert volume.flatten(1).sum(1).tolist() == [3 * 2 * 3] * 2


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0, 0.6, 1, 0.5), (0, 0, 1)])
def test_a_box_without_inside_is_refused(box: tuple[float, ...]):
    with pytest.raises(InputError, match=r"Mask\.box"):
        Mask(Linf(1.0), box).around(X)


def test_a_mask_that_is_nowhere_given_is_asked_for():
    with pytest.raises(InputError, match="where"):
        Mask().around(X)


def test_one_eps_per_row_must_be_one_for_each_image():
    with pytest.raises(InputError, match=r"Linf\.eps must be one number or one for each of 3 images"):
        Linf((0.1, 0.2)).around(X)


def test_another_size_is_the_same_kind():
    assert L2(0.5).sized(2.0) == L2(2.0)
    assert Mask(L2(0.5), BOX).sized(2.0) == Mask(L2(2.0), BOX)
    assert Mask(L2(0.5), BOX).radius == 0.5


@pytest.mark.parametrize(
    ("region", "text"),
    [
        (Linf(), "Linf(8/255)"),
        (Linf(0.2), "Linf(0.2)"),
        (L2(0.5), "L2(0.5)"),
        (L0(5), "L0(5)"),
        (Linf(0.12345), "Linf(0.12345)"),
        (Mask(Linf(0.5), (0, 0, 0.5, 1)), "Mask(Linf(0.5), box=(0, 0, 0.5, 1))"),
        (Mask(L2(1.0)), "Mask(L2(1))"),
        (Mask(L2(1.0), (0.0, 1 / 3, 1.0, 1.0)), "Mask(L2(1), box=(0, 0.3333333333333333, 1, 1))"),
    ],
)
def test_a_region_names_its_size_also_where_it_is_the_default_and_can_be_read_again(region, text):
    assert str(region) == text
    assert parse(text, Region) == region
