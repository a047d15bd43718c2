"""A flip found is kept: what is made of attacks flips what any of them flips, and rows done cost nothing more."""

import pytest
import torch
from torch import Tensor

from oracles import Plane, images, same
from unfool.attacks.base import Attack
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.noise import RandomNoise
from unfool.attacks.wrappers import Best, Repeated, Smallest
from unfool.method import Question
from unfool.model import Model
from unfool.objectives import Margin
from unfool.query import Query
from unfool.regions import L0, L2, Ball, Linf, Mask, Region
from unfool.rows import Batch

NET = Plane(3, 6, 6)
X = images(12, 3, 6, 6, low=0.4, high=0.6)
Y = NET.label(X)
EXACT = NET.radius(X, "Linf")
MIDDLE = float(EXACT.median()) * 1.01


class _Nothing(Attack):
    """Finds nothing."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        return ball.center


class _Outside(Attack):
    """Leaves the region and [0, 1]."""

    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        return ball.center - 3 * NET.w.sign() * torch.where(query.y == 1, 1.0, -1.0).view(-1, 1, 1, 1)


@pytest.mark.parametrize("wrap", [lambda a: a, lambda a: Repeated(a, 2), lambda a: Best((a,)), Smallest])
def test_whatever_an_attack_does_the_result_is_allowed(wrap):
    found = wrap(_Outside())(Model(NET), X, Y, within=Linf(0.1))
    assert found.linf.max() <= 0.1 + 1e-6
    assert found.x.min() >= 0
    assert found.x.max() <= 1
    assert found.success.all()


# Smallest.


@pytest.mark.parametrize("halvings", [1, 4, 10])
def test_each_halving_halves_what_is_left_to_know(halvings: int):
    found = Smallest(FGSM(), halvings)(Model(NET), X, Y, within=Linf(0.1))
    assert (found.linf >= EXACT * (1 - 1e-5)).all()
    assert (found.linf - EXACT <= 0.1 / 2**halvings + 1e-6).all()


def test_an_image_that_cannot_be_flipped_is_returned_as_the_attack_left_it():
    found = Smallest(FGSM())(Model(NET), X, Y, within=Linf(MIDDLE))
    plain = FGSM()(Model(NET), X, Y, within=Linf(MIDDLE))
    assert same(found.success, plain.success)
    assert 0 < found.success.sum() < 12
    assert same(found.x[~found.success], plain.x[~found.success])


def test_an_image_that_is_wrong_to_begin_with_is_returned_unchanged():
    y = Y.clone()
    y[::2] = 1 - y[::2]
    found = Smallest(PGD())(Model(NET), X, y, within=Linf(0.1))
    assert found.success.all()
    assert same(found.x[::2], X[::2])
    assert (found.linf[1::2] > 0).all()


def test_each_row_is_bisected_from_its_own_eps():
    eps = EXACT * torch.linspace(0.5, 4, 12)
    found = Smallest(FGSM(), 14)(Model(NET), X, Y, within=Linf(eps))
    assert same(found.success, eps > EXACT)
    assert torch.allclose(found.linf[found.success], EXACT[found.success], rtol=1e-2)


def test_smallest_works_in_other_regions():
    box = Smallest(FGSM())(Model(NET), X, Y, within=Mask(Linf(0.4), (0, 0, 1, 0.5)))
    assert box.success.all()
    assert not (box.x != X)[..., 3:].any()
    few = Smallest(PGD(steps=20, random_start=False, loss=Margin()))(Model(NET), X, Y, within=L0(36))
    assert few.success.all()
    assert few.l0.max() < 20
    targeted = Smallest(PGD(random_start=False))(Model(NET), X, target=1 - Y, within=L2(1.0))
    assert torch.allclose(targeted.l2, NET.radius(X, "L2"), rtol=0.02)


# Repeated.


def test_another_start_never_loses_a_flip(digits):
    attack, within = PGD(steps=3), Linf(0.07)
    counts, before = [], None
    for times in (1, 2, 4):
        found = Repeated(attack, times)(digits.model, digits.x, digits.y, within=within)
        if before is not None:
            assert same(found.x[before.success], before.x[before.success])
        before = found
        counts.append(int(found.success.sum()))
    assert counts == sorted(counts)
    once = attack(digits.model, digits.x, digits.y, within=within)
    assert same(Repeated(attack, 1)(digits.model, digits.x, digits.y, within=within).x, once.x)


def test_each_time_starts_elsewhere():
    starts: list[Tensor] = []

    class _Start(Attack):
        def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
            starts.append(within.sample(ball, query.rng))
            return ball.center

    Repeated(_Start(), 3)(Model(NET), X, Y)
    assert not same(starts[0], starts[1])
    assert not same(starts[1], starts[2])


def test_rows_that_have_flipped_are_not_attacked_again():
    within = Linf(MIDDLE)
    flipped = int(FGSM()(Model(NET), X, Y, within=within).success.sum())
    found = Repeated(FGSM(), 2)(Model(NET), X, Y, within=within)
    assert found.cost["backward"] == 12 + (12 - flipped)


# Best.


def test_the_first_attack_that_flips_an_image_counts():
    within = Linf(MIDDLE)
    found = Best((_Nothing(), FGSM(), RandomNoise()))(Model(NET), X, Y, within=within)
    plain = FGSM()(Model(NET), X, Y, within=within)
    assert same(found.success, plain.success)
    assert same(found.x[plain.success], plain.x[plain.success])


def test_where_all_are_flipped_the_rest_is_not_run():
    class _Never(Attack):
        def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
            raise AssertionError

    assert Best((FGSM(), _Never()))(Model(NET), X, Y, within=Linf(0.2)).success.all()


def test_best_flips_all_that_any_of_its_attacks_flips(digits):
    parts, within = (FGSM(), PGD(steps=5), PGD(steps=5, loss=Margin())), Linf(0.1)
    found = Best(parts)(digits.model, digits.x, digits.y, within=within).success
    first = parts[0](digits.model, digits.x, digits.y, within=within).success
    assert (found | ~first).all()
    assert (
        found.sum()
        >= max(int(p(digits.model, digits.x, digits.y, within=within).success.sum()) for p in parts) - 1
    )


# What a run stores.


def test_success_is_judged_again_on_what_an_8_bit_file_holds():
    """An attack of less than half a grey level is rounded away."""
    x = images(6, 3, 6, 6, low=0.45, high=0.55)
    x -= (NET.side(x) / NET.w.square().sum()).detach().view(-1, 1, 1, 1) * NET.w.detach()  # onto the plane
    x = (x * 255).round() / 255  # as near to it as a file holds
    y = NET.label(x)
    batch = Batch(tuple("abcdef"), x, y)
    found = FGSM().columns(Question(Model(NET), Linf(0.4 / 255)), batch)
    assert found["success"].any()
    assert not found["success_saved"].any()
    assert same(found["label_saved"], y)
    wide = FGSM().columns(Question(Model(NET), Linf(8 / 255)), batch)
    assert wide["success_saved"].all()
    assert wide["adversarial"].dtype == torch.uint8


def test_a_run_without_labels_leads_away_from_what_the_network_says():
    batch = Batch(tuple(map(str, range(12))), X, torch.full((12,), -1))
    found = FGSM().columns(Question(Model(NET), Linf(0.2)), batch)
    assert same(found["label"], 1 - Y)
    assert found["success"].all()
    towards = FGSM().columns(Question(Model(NET), Linf(0.2), target=1), batch)
    assert (towards["label"] == 1).all()
    assert same(towards["success_saved"], towards["label_saved"] == 1)


def test_the_stream_of_a_row_follows_the_seed_of_the_question():
    batch = Batch(tuple("ab"), X[:2], Y[:2])
    columns = [
        PGD(steps=1).columns(Question(Model(NET), seed=seed), batch)["adversarial"] for seed in (0, 0, 1)
    ]
    assert same(columns[0], columns[1])
    assert not same(columns[0], columns[2])
