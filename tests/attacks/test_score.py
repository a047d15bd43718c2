"""Scores alone: DE finds what trying everything finds, each row draws its own squares, and no row asks too often.

Square's bumps are eq. 2 of the paper: ring ``M`` about the middle of a square of side ``2n + 1`` is
``1/(n + 1)² + ... + 1/(n + 1 - M)²`` high.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles import SPACES, Gives, Plane, conv, images, same, segmenter
from unfool.attacks.base import Attack
from unfool.attacks.pixels import Exhaustive, OnePixel, WorkingPixels, _others, positions
from unfool.attacks.search import HALVINGS, Boxes, drawn, scheduled
from unfool.attacks.sparse import SimBA, SparseRS, _lines
from unfool.attacks.square import Square, bump
from unfool.errors import AccessError, InputError
from unfool.method import Question
from unfool.model import Model
from unfool.regions import L0, L2, Linf, Mask, Region
from unfool.rows import Batch, Rng

CASES: list[tuple[Attack, Region]] = [
    (Square(queries=40), Linf(0.1)),
    (Square(queries=40), L2(0.5)),
    (OnePixel(20, 2), L0(2)),
    (SparseRS(queries=40), L0(4)),
    (SparseRS("patch", queries=40), L0(9)),
    (SimBA(queries=40), L2(1.0)),
    (SimBA("dct", queries=40), L2(1.0)),
    (Exhaustive(), L0(1)),
]
each = pytest.mark.parametrize(("attack", "within"), CASES, ids=repr)
BUDGETS = {"OnePixel": 60, "Exhaustive": 36 * 8}
NET = Plane(3, 6, 6)
X = images(6, 3, 6, 6, low=0.4, high=0.6)
Y = NET.label(X)


class Top:
    """A stream whose every number is as large as it gets."""

    def uniform(self, like: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
        return torch.full_like(like, high - 2**-24)


# The oracle.


@pytest.fixture(scope="module")
def small(digits: Any) -> tuple[Model, Tensor, Tensor]:
    return digits.model, digits.x[:40], digits.y[:40]


def test_differential_evolution_finds_what_trying_every_pixel_finds(small):
    model, x, y = small
    truth = Exhaustive(levels=17)(model, x, y, within=L0(1))
    found = OnePixel(50, 30, levels=17)(model, x, y, within=L0(1))
    assert truth.success.any()
    assert not truth.success.all()
    assert same(found.success, truth.success)
    held = ~truth.success  # there both return the best of all candidates, reached or not
    assert (found.x[held] == truth.x[held]).flatten(1).all(1).float().mean() > 0.9
    assert (truth.queries == 64 * 17 + 1).all()


def test_so_it_does_towards_a_target(small):
    model, x, y = small
    target = (y + 3) % 10
    truth = Exhaustive(levels=17)(model, x, target=target, within=L0(1))
    found = OnePixel(50, 30, levels=17)(model, x, target=target, within=L0(1))
    assert same(found.success, truth.success)
    assert same(found.success, found.label == target)


def test_success_towards_a_target_is_the_target_not_any_other_label(small):
    model, x, y = small
    found = OnePixel(40, 3)(model, x, target=(y + 3) % 10, within=L0(3))
    left = found.label != y
    assert (left & (found.label != (y + 3) % 10)).any()
    assert same(found.success, found.label == (y + 3) % 10)


def test_the_best_pixel_of_a_plane_is_the_one_with_the_largest_possible_gain():
    found = Exhaustive(levels=2)(Model(NET), X, Y, within=L0(1))
    way = torch.where(Y == 1, -1.0, 1.0)[:, None, None, None]
    w = NET.w.detach() * way
    gain = torch.where(w > 0, w * (1 - X), -w * X).sum(1).flatten(1)
    moved = (NET.side(found.x) - NET.side(X)).detach() * way.flatten()
    assert torch.allclose(moved, gain.amax(1), rtol=1e-4)


def test_which_pixels_work_agrees_with_the_oracle(small):
    model, x, y = small
    batch = Batch(tuple(map(str, range(len(x)))), x, y)
    columns = WorkingPixels(levels=17).columns(Question(model), batch)
    truth = Exhaustive(levels=17)(model, x, y, within=L0(1))
    assert columns["works"].shape == (40, 1, 8, 8)
    assert same(columns["works"].flatten(1).any(1), truth.success)
    k = int(truth.success.nonzero()[0])
    one = x[k : k + 1].repeat(17, 1, 1, 1)
    where = int((truth.x[k] != x[k]).flatten().nonzero()[0])
    one.flatten(1)[:, where] = torch.arange(17) / 16
    assert float(columns["works"][k].flatten()[where]) == pytest.approx(
        float((model(one).argmax(1) != y[k]).float().mean())
    )


def test_a_position_is_never_equal_to_the_height():
    ball = L0(1).around(torch.zeros(2, 3, 5, 7))
    places = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1 - 2**-24, 1 - 2**-24], [0.5, 1.0]])
    at = positions(places.expand(2, 1, 4, 2), ball)
    assert at[0, 0].tolist() == [0, 4 * 7 + 6, 4 * 7 + 6, 2 * 7 + 6]
    assert drawn(Top(), torch.tensor([[1, 5, 224, 4096]])).tolist() == [[0, 4, 223, 4095]]  # type: ignore[arg-type]


def test_the_three_parents_of_a_child_and_the_member_itself_are_four():
    members = torch.zeros(3, 5, 1, 3)
    own = torch.arange(5).expand(3, 5)
    for _ in range(20):
        stacked = torch.stack([own, *(k[..., 0, 0] for k in _others(members, Rng.seeded(_, range(3))))])
        assert (stacked.sort(0).values.diff(dim=0) > 0).all()


def test_several_pixels_are_no_more_than_each_row_may_have(small):
    model, x, y = small
    found = OnePixel(20, 2)(model, x[:3], y[:3], within=L0((1.0, 2.0, 3.0)))
    assert (found.l0 <= torch.tensor([1, 2, 3])).all()


def test_a_sure_flip_leaves_the_label_less_than_five_percent(small):
    model, x, y = small
    found = OnePixel(50, 20, sure=True)(model, x, y, within=L0(5))
    chance = model(found.x).softmax(1).gather(1, y[:, None])[:, 0]
    early = found.queries < 50 * 21 + 1
    assert early.any()
    assert (chance[early] < 0.05).all()


def test_what_is_found_is_what_an_eight_bit_file_holds(small):
    model, x, y = small
    found = OnePixel(50, 5)(model, x, y, within=L0(1)).x
    moved = found[found != x] * 255
    assert torch.allclose(moved, moved.round(), atol=1e-4)


# Square.


def test_a_bump_is_as_the_paper_says():
    sides, split = torch.tensor([[5, 5]]), torch.tensor([[0]])
    like = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    height = bump(
        Boxes(torch.zeros(1, 2, dtype=torch.long), sides).offsets(like.shape[2:]), sides, split, like
    )
    n = 2
    for r in range(5):
        for s in range(5):
            m = n - max(abs(r - n), abs(s - n))
            value = sum(1 / (n + 1 - k) ** 2 for k in range(m + 1))
            assert float(height[0, 0, r, s]) == pytest.approx(value if r < 3 else -value)


def test_the_schedule_is_the_published_one_stretched_to_the_budget():
    assert [scheduled(t, 10_000) for t in (0, 10, 11, 50, 51, 201, 8001, 9999)] == [0, 0, 1, 1, 2, 3, 9, 9]
    assert [scheduled(t, 100) for t in (0, 1, 50, 99)] == [0, 2, 7, 9]
    assert len(HALVINGS) == 9


def test_squares_lie_inside_the_mask_and_shrink_to_one_pixel():
    mask = torch.zeros(2, 1, 8, 12)
    mask[0, :, 2:6, 3:9] = 1
    mask[1, :, 7:, 11:] = 1
    ball = Linf(0.1).around(torch.zeros(2, 1, 8, 12), mask)
    around = Boxes.around(ball)
    assert around.corner.tolist() == [[2, 3], [7, 11]]
    assert around.sides.tolist() == [[4, 6], [1, 1]]
    rng = Rng.seeded(0, range(2))
    for share in (1.0, 0.3, 0.001):
        here = around.inside(share, rng).mask(torch.Size((8, 12)))
        assert not (here & (mask == 0)).any()
        assert here.flatten(1).any(1).all()
    assert here.sum().item() == 2


def test_every_row_draws_its_own_square():
    """AutoAttack's share one place and one colour; here the same image in ten rows goes ten ways."""
    x = X[:1].repeat(10, 1, 1, 1)
    found = Square(queries=3)(Model(NET), x, Y[:1].repeat(10), within=Linf(1e-3)).x
    assert len({row.numpy().tobytes() for row in found}) > 5


def test_every_value_is_at_the_end_of_the_region_or_of_the_box():
    found = Square(queries=30)(Model(conv()), X, Y, within=Linf(0.05)).x
    ends = torch.stack([(X - 0.05).clamp(0, 1), (X + 0.05).clamp(0, 1)])
    assert (found - ends).abs().amin(0).max() < 1e-6


def test_in_l2_it_spends_the_whole_radius():
    found = Square(queries=30)(Model(conv()), X, (Model(conv())(X).argmax(1)), within=L2(0.3))
    assert torch.allclose(found.l2, torch.full_like(found.l2, 0.3), rtol=1e-4)


def test_square_finds_the_flip_of_a_plane_where_sign_noise_does_not():
    radius = NET.radius(X, "Linf")
    within = Linf(tuple((2 * radius).tolist()))
    assert Square(queries=400)(Model(NET), X, Y, within=within).success.all()


# SparseRS and SimBA.


def test_pixels_and_patches_have_the_size_they_may_have():
    model, y = Model(conv()), Model(conv())(X).argmax(1)
    pixels = SparseRS(queries=20)(model, X, y, within=L0(5)).x
    assert ((pixels != X).any(1).flatten(1).sum(1) <= 5).all()
    assert set(pixels[pixels != X].tolist()) <= {0.0, 1.0}
    patch = (SparseRS("patch", queries=20)(model, X, y, within=L0(11)).x != X).any(1)
    for row in patch:
        r, c = row.nonzero(as_tuple=True)
        assert r.max() - r.min() <= 2
        assert c.max() - c.min() <= 2
    masked = SparseRS("patch", queries=20)(model, X, y, within=Mask(L0(4), (0, 0, 0.5, 0.5))).x
    assert not (masked != X)[..., 3:, :].any()


def test_the_waves_are_an_orthonormal_basis():
    waves = _lines(7, "dct", torch.zeros(1, dtype=torch.float64))
    assert torch.allclose(waves @ waves.T, torch.eye(7, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("basis", ["pixel", "dct"])
def test_simba_is_the_square_root_of_its_steps_long(basis: Any):
    x = torch.full((2, 1, 6, 6), 0.5)
    net = Plane(1, 6, 6)
    net.w.data += 1  # every direction helps one way
    y = torch.ones(2, dtype=torch.long)
    x = x + 0.3
    found = SimBA(basis, queries=21, step=0.01)(Model(net), x, y, within=L2(5.0))
    steps = (found.l2 / 0.01).square()
    assert torch.allclose(steps, steps.round(), atol=0.05)
    assert (steps >= 10 - 0.1).all()


# Black boxes, budgets, and what must not matter.


@each
def test_a_counting_black_box_sees_exactly_the_queries_and_no_row_more_than_its_budget(attack, within):
    seen = [0]

    def box(x: np.ndarray) -> np.ndarray:
        seen[0] += len(x)
        return NET(torch.from_numpy(x)).detach().numpy()

    found = attack(Model.scores(box), X, Y, within=within)
    assert seen[0] == int(found.queries.sum())
    assert (found.queries <= BUDGETS.get(type(attack).__name__, 40) + 1).all()
    assert found.cost.get("backward", 0) == 0


@each
def test_labels_alone_are_not_enough(attack, within):
    model = Model.labels(lambda x: NET.label(torch.from_numpy(x)).numpy(), 2)
    with pytest.raises(AccessError, match="needs scores"):
        attack(model, X, Y, within=within)


@each
def test_shifting_or_scaling_the_logits_changes_nothing(attack, within):
    net, exact = Plane(3, 6, 6).double(), X.double()
    plain = attack(Model(net), exact, Y, within=within).x
    for dress in (lambda z: z - 50, lambda z: z * 1e4):
        assert torch.allclose(attack(Model(Gives(net, dress)), exact, Y, within=within).x, plain, atol=1e-9)


@each
@pytest.mark.parametrize("space", SPACES)
def test_any_channels_and_dimensions(attack, within, space):
    net, x = SPACES[space]()
    model = Model(net)
    y = model(x).argmax(1)
    found = attack(model, x, y, within=within)
    assert found.x.isfinite().all()
    assert (within.size(found.x - x) <= within.around(x).eps * (1 + 1e-6)).all()
    towards = attack(model, x, target=(y + 1) % model(x).shape[1], within=within)
    assert same(towards.success, towards.label == (y + 1) % model(x).shape[1])


@each
def test_non_square_images_of_zeros_and_ones_and_maps_of_scores(attack, within):
    x = (images(2, 3, 5, 9) > 0.5).float()
    found = attack(Model(segmenter()), x, [0, 1], within=within)
    assert found.x.isfinite().all()
    assert found.x.dtype == torch.float32


@each
def test_flipped_rows_leave(attack, within):
    wrong = attack(
        Model(NET), X, 1 - Y, within=replace(within, eps=1e-6) if within.norm is not L0 else within
    )
    if not isinstance(attack, Exhaustive):
        assert int(wrong.queries.sum()) < len(X) * BUDGETS.get(type(attack).__name__, 40)


def test_too_many_candidates_are_one_sentence():
    with pytest.raises(InputError, match="ways to change one pixel"):
        Exhaustive(levels=256)(Model(NET), X, Y, within=L0(1))
