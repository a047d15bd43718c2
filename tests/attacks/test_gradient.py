"""On a plane s(x) = w·(x - 1/2), FGSM lowers s by eps·||w||₁, and no change shorter than |s| / ||w||_q flips it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import SPACES, Gives, Plane, Quadratic, conv, half_frozen, images, residual, same
from unfool.attacks.base import Attack
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.noise import RandomNoise
from unfool.attacks.wrappers import Smallest
from unfool.errors import InputError, SpecError
from unfool.model import Model
from unfool.objectives import CrossEntropy, Logit, Margin, Objective
from unfool.regions import L0, L1, L2, Linf, Mask, Region
from unfool.slopes import NES, Expectation
from unfool.transforms import Noise

NET = Plane(3, 6, 6)
X = images(8, 3, 6, 6, low=0.45, high=0.55)
Y = NET.label(X)
LOSSES = [CrossEntropy(), Margin(), -Logit(), CrossEntropy() - Logit()]
ATTACKS = [FGSM(), PGD(), PGD(random_start=False), FGSM(loss=Margin()), PGD(loss=Margin(), steps=5)]
attacks = pytest.mark.parametrize("attack", ATTACKS, ids=repr)


# The plane.


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("eps", [0.001, 8 / 255, 0.1])
def test_fgsm_moves_a_linear_score_by_eps_times_the_l1_norm_of_its_weights(loss: Objective, eps: float):
    found = FGSM(loss=loss)(Model(NET), X, Y, within=Linf(eps))
    way = torch.where(Y == 1, -1.0, 1.0)
    moved = (NET.side(found.x) - NET.side(X)) * way
    assert torch.allclose(moved, eps * NET.w.abs().sum(), rtol=1e-4)
    assert same(found.success, NET.radius(X, "Linf") < eps)


def test_fgsm_in_l2_moves_it_by_eps_times_the_l2_norm():
    found = FGSM()(Model(NET), X, Y, within=L2(0.1))
    assert torch.allclose((NET.side(found.x) - NET.side(X)).abs(), 0.1 * NET.w.norm(), rtol=1e-4)


EXACT = [
    (Linf(0.1), PGD(random_start=False)),
    (Linf(0.1), PGD(steps=20)),
    (Linf(0.1), FGSM()),
    (L2(0.5), PGD(random_start=False)),
    (L2(0.5), PGD(steps=40)),
    (L2(0.5), FGSM()),
    (L1(0.4), PGD(random_start=False)),
    (L1(0.4), FGSM()),
]


@pytest.mark.parametrize("loss", [CrossEntropy(), Margin()], ids=repr)
@pytest.mark.parametrize(("within", "attack"), EXACT, ids=repr)
def test_the_smallest_change_is_as_small_as_can_be(within: Region, attack: Attack, loss: Objective):
    attack = replace(attack, loss=loss)  # type: ignore[attr-defined]
    found = Smallest(attack, halvings=12)(Model(NET), X, Y, within=within)
    exact = NET.radius(X, type(within).__name__)
    size = getattr(found, type(within).__name__.lower())
    assert found.success.all()
    assert (size >= exact * (1 - 1e-5)).all()
    assert (size <= exact * 1.02).all()


@pytest.mark.parametrize("within", [Linf(0.05), L2(0.1), L1(0.1), L0(2)], ids=repr)
def test_what_is_reported_is_measured_on_what_is_returned(within: Region):
    found = PGD()(Model(NET), X, Y, within=within)
    delta = (found.x - X).flatten(1)
    assert same(found.label, NET.label(found.x))
    assert torch.allclose(found.confidence, NET(found.x).softmax(1).amax(1))
    assert same(found.success, found.label != Y)
    assert torch.allclose(found.l1, delta.abs().sum(1))
    assert torch.allclose(found.l2, delta.norm(dim=1))
    assert same(found.linf, delta.abs().amax(1))
    assert same(found.l0, (found.x != X).any(1).flatten(1).sum(1))


def test_pgd_in_l1_goes_on_with_the_next_value_where_one_is_at_the_edge():
    """One value alone can move s by |w| / 2 at most; a flip further away than that needs several."""
    x = torch.full((1, 3, 6, 6), 0.5) + 0.25 * NET.w.detach().sign()
    found = Smallest(PGD(steps=40, random_start=False), halvings=8)(Model(NET), x, 1, within=L1(40.0))
    assert found.success.all()
    w, room = NET.w.detach().abs().flatten().sort(descending=True).values, 0.75
    values = int((w.cumsum(0) * room < NET.side(x).detach()).sum()) + 1
    assert values > 5
    least = (values - 1) * room + (NET.side(x).detach() - w[: values - 1].sum() * room) / w[values - 1]
    assert float(found.l1) <= 1.1 * float(least)


# What must not matter.


@attacks
@pytest.mark.parametrize("within", [Linf(0.02), L2(0.1)], ids=repr)
@pytest.mark.parametrize("factor", [1 / 8, 8.0, 1e-3])
def test_a_mean_over_the_batch_is_the_same_attack_as_a_sum(attack: Attack, within: Region, factor: float):
    mean = replace(attack, loss=factor * attack.loss)  # type: ignore[attr-defined]
    args = Model(NET), X, Y
    assert torch.allclose(mean(*args, within=within).x, attack(*args, within=within).x, atol=1e-6)


@attacks
def test_a_number_added_to_all_logits_changes_nothing(attack: Attack):
    shifted = Gives(NET, lambda z: z - 50)
    assert torch.allclose(attack(Model(shifted), X, Y).x, attack(Model(NET), X, Y).x, atol=1e-6)


@pytest.mark.parametrize(
    "attack", [PGD(), FGSM(), PGD(slope=NES(samples=4)), PGD(slope=Expectation((Noise(),), 2))], ids=repr
)
def test_a_row_does_not_depend_on_its_neighbours(attack: Attack):
    net = residual().double()
    x = images(5, 3, 8, 8, dtype=torch.float64)
    y = net(x).argmax(1)
    together = attack(Model(net), x, y, ids="abcde").x
    backwards = attack(Model(net), x.flip(0), y.flip(0), ids="edcba").x.flip(0)
    alone = torch.cat([attack(Model(net), x[k : k + 1], y[k : k + 1], ids="abcde"[k]).x for k in range(5)])
    assert torch.allclose(together, backwards, atol=1e-9)
    assert torch.allclose(together, alone, atol=1e-9)


def test_the_random_start_follows_seed_and_id():
    def start(seed: int, ids: str) -> Tensor:
        return PGD(steps=1, step=1e-9)(Model(NET), X[:2], Y[:2], within=Linf(0.001), seed=seed, ids=ids).x

    first = start(0, "ab")
    assert same(start(0, "ab"), first)
    assert not same(start(1, "ab")[0], first[0])
    assert not same(start(0, "cb")[0], first[0])
    assert same(start(0, "cb")[1], first[1])


def test_saturated_logits_hide_nothing_from_the_margin():
    """Logits of 10⁴ times the size, the same classes: cross-entropy is exactly 0, its gradient, too."""
    loud = Model(Plane(3, 6, 6, scale=1e4))
    far = images(8, 3, 6, 6)
    y = NET.label(far)
    within = Linf(1.5 * float(NET.radius(far, "Linf").max()))
    assert not PGD(loss=CrossEntropy())(loud, far, y, within=within).success.any()
    for attack in (FGSM(loss=Margin()), PGD(loss=Margin())):
        assert attack(loud, far, y, within=within).success.all()
        quiet = attack(Model(NET), far, y, within=within)
        assert same(attack(loud, far, y, within=within).x, quiet.x)


def test_a_scale_of_the_logits_changes_the_margin_attack_of_a_trained_network_in_nothing(digits):
    loud = Model(Gives(digits.net, lambda z: z * 2**13))
    attack, how = PGD(loss=Margin()), {"within": Linf(0.15)}
    expected = attack(digits.model, digits.x, digits.y, **how)
    assert same(attack(loud, digits.x, digits.y, **how).x, expected.x)
    blind = PGD(loss=CrossEntropy())(loud, digits.x, digits.y, **how)
    assert blind.success.sum() < expected.success.sum()


# Trained networks.


def test_on_a_trained_network_pgd_is_stronger_than_fgsm_and_fgsm_than_noise(digits):
    for eps in (0.05, 0.1, 0.15):
        rates = [
            attack(digits.model, digits.x, digits.y, within=Linf(eps)).success.float().mean().item()
            for attack in (PGD(steps=20, loss=Margin()), FGSM(), RandomNoise())
        ]
        assert rates == sorted(rates, reverse=True)
        assert rates[1] > rates[2]
    assert rates[0] > 0.7
    assert rates[2] < 0.1


def test_a_larger_region_holds_more_flips(digits):
    found = [
        PGD(steps=20)(digits.model, digits.x, digits.y, within=Linf(eps)).success
        for eps in (0.03, 0.06, 0.12)
    ]
    counts = [int(f.sum()) for f in found]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_a_slope_guessed_from_scores_works_where_there_are_no_gradients(digits):
    black = Model.scores(lambda x: digits.net(torch.from_numpy(x)).detach().numpy())
    x, y = digits.x[:20], digits.y[:20]
    found = PGD(slope=NES(samples=20), loss=Margin())(black, x, y, within=Linf(0.2))
    assert found.success.float().mean() > 0.8
    assert "backward" not in found.cost


# A random start, momentum.


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_random_start_takes_its_share_of_the_radius_and_the_step_the_rest(share: float):
    """x + share eps sign(noise) + (1 - share) eps sign(gradient) (Tramèr et al., 2018)."""
    moved = (FGSM(start=share)(Model(NET), X, Y, within=Linf(0.1)).x - X).flatten(1)
    way = (torch.where(Y == 1, -1.0, 1.0)[:, None] * NET.w.detach().sign().flatten()).expand_as(moved)
    with_it = torch.isclose(moved, 0.1 * way, atol=1e-5)
    against = torch.isclose(moved, (1 - 2 * share) * 0.1 * way, atol=1e-5)
    assert (with_it | against).all()
    assert 0.4 < with_it.float().mean() < 0.6


def test_with_momentum_the_steps_follow_the_paper():
    """g <- mu g + ∇ / ||∇||₁, x <- x + alpha sign(g) (Dong et al., 2018), on a curved score."""
    net, x = Quadratic(3, 6, 6), images(2, 3, 6, 6, low=0.4, high=0.6)
    attack = PGD(4, -Logit(), step=0.01, random_start=False, momentum=0.9)
    found = attack(Model(net), x, target=[0, 1], within=Linf(0.1))
    y, at, g = torch.tensor([0, 1]), x, torch.zeros_like(x)
    for _ in range(4):
        grad = net.gradient(at, y)
        g = 0.9 * g + grad / grad.abs().sum((1, 2, 3), keepdim=True)
        at = at + 0.01 * g.sign()
    left = found.queries > 4
    assert left.any()
    assert torch.allclose(found.x[left], at[left].detach(), atol=1e-6)


def test_momentum_is_normalised_for_each_row_not_across_the_batch():
    """A neighbour whose gradient is a million times as long changes nothing."""

    class Louder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = conv(3, 5).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * (1 + 1e6 * (x[:, 0, 0, 0] > 0.999))[:, None]

    loud = Louder().eval()
    x = images(4, 3, 8, 8, dtype=torch.float64, high=0.9)
    x[1:, 0, 0, 0] = 1.0
    y, attack = loud(x).argmax(1), PGD(6, Margin(), momentum=1.0, random_start=False)
    mask = torch.ones(4, 1, 8, 8)
    mask[:, :, 0, 0] = 0
    together = attack(Model(loud), x, y, within=Linf(0.01), mask=mask).x
    for k in range(4):
        alone = attack(Model(loud), x[k : k + 1], y[k : k + 1], within=Linf(0.01), mask=mask[:1]).x
        assert torch.allclose(together[k], alone[0], atol=1e-9)


def test_momentum_leaves_with_its_row(digits):
    """Rows that flip at different steps: each goes the way it goes alone."""
    x, y = digits.x[:12], digits.y[:12]
    attack, how = PGD(10, momentum=1.0, random_start=False), {"within": Linf(0.12)}
    together = attack(digits.model, x, y, **how)
    assert together.queries.unique().numel() > 2
    alone = torch.cat([attack(digits.model, x[k : k + 1], y[k : k + 1], **how).x for k in range(12)])
    assert torch.allclose(together.x, alone, atol=1e-5)


# Targets.


def test_a_targeted_attack_succeeds_only_where_the_target_is_reached(digits):
    target = (digits.y + 1) % 10
    found = FGSM()(digits.model, digits.x, target=target, within=Linf(0.2))
    assert same(found.success, found.label == target)
    assert 0 < found.success.sum() < (found.label != digits.y).sum()
    more = PGD(steps=20)(digits.model, digits.x, target=target, within=Linf(0.2))
    assert more.success.sum() > found.success.sum()


def test_a_targeted_step_goes_towards_the_target():
    target = 1 - Y
    towards, away = (FGSM()(Model(NET), X, **aim) for aim in ({"target": target}, {"y": Y}))
    assert same(towards.x, away.x)  # with two classes it is the same way
    assert same(FGSM()(Model(NET), X, target=Y).success, torch.ones(8, dtype=torch.bool))


def test_targets_differ_from_row_to_row():
    net, x = conv(), images(3, 3, 8, 8)
    rows = torch.tensor([0, 2, 4])
    together = FGSM()(Model(net), x, target=rows).x
    for k, target in enumerate(rows.tolist()):
        assert torch.allclose(FGSM()(Model(net), x[k : k + 1], target=target).x, together[k : k + 1])


@attacks
def test_labels_or_targets_must_be_given(attack: Attack):
    with pytest.raises(InputError, match="labels to lead away from, or targets") as caught:
        attack(Model(NET), X)
    assert caught.value.hint == "give y=… or target=…"


# One number for each row.


def test_each_row_may_have_its_own_region():
    eps = torch.tensor([0.001, 0.01, 0.1])
    for kind in (Linf, L2, L1):
        found = PGD()(Model(NET), X[:3], Y[:3], within=kind(eps))
        assert (getattr(found, kind.__name__.lower()) <= eps + 1e-6).all()
        for k, one in enumerate(eps.tolist()):
            alone = PGD()(Model(NET), X[k : k + 1], Y[k : k + 1], within=kind(one), ids=[k])
            assert torch.allclose(alone.x, found.x[k : k + 1], atol=1e-6)


def test_each_row_may_have_its_own_step():
    attack = PGD(steps=1, step=(0.001, 0.01, 0.02), random_start=False)
    assert torch.allclose(attack(Model(NET), X[:3], Y[:3]).linf, torch.tensor([0.001, 0.01, 0.02]))
    with pytest.raises(InputError, match=r"PGD\.step must be one number or one for each of 8 images"):
        attack(Model(NET), X, Y)


def test_the_step_follows_from_how_far_all_steps_together_may_go():
    one = PGD(steps=10, reach=1.0, random_start=False)(Model(NET), X, Y, within=Linf(1e-3))
    assert torch.allclose(one.linf, torch.tensor(1e-3), rtol=1e-4)
    half = PGD(steps=10, reach=0.5, random_start=False)(Model(NET), X, Y, within=Linf(1e-3))
    assert torch.allclose(half.linf, torch.tensor(5e-4), rtol=1e-3)


# Edges.


@attacks
def test_an_image_that_is_wrong_to_begin_with_counts_as_found(attack: Attack):
    assert attack(Model(NET), X, 1 - Y).success.all()


def test_without_a_random_start_an_image_that_is_wrong_stays_as_it_is():
    found = PGD(random_start=False)(Model(NET), X, 1 - Y)
    assert same(found.x, X)
    assert "backward" in found.cost  # one pass to see that it is


@pytest.mark.parametrize("eps", [0.0, -0.1, (0.1, 0.0)])
def test_a_region_has_a_positive_size(eps: Any):
    with pytest.raises(SpecError, match=r"Linf\.eps must be > 0"):
        Linf(eps)


@pytest.mark.parametrize(("within", "most"), [(Linf(8.0), "1"), (L2(11.0), "10.39"), (L0(37), "36")])
def test_a_region_larger_than_the_box_is_a_mistake_in_units(within: Region, most: str):
    with pytest.raises(InputError, match=f"images in .0, 1. are at most {most} apart"):
        PGD()(Model(NET), X, Y, within=within)


def test_a_target_that_is_the_label_is_refused():
    with pytest.raises(InputError, match="8 of 8 images have their own label as target"):
        PGD()(Model(NET), X, Y, target=Y)


@attacks
@pytest.mark.parametrize("space", SPACES)
def test_any_number_of_classes_channels_and_dimensions(attack: Attack, space: str):
    net, x = SPACES[space]()
    found = attack(Model(net), x, net(x).argmax(1), within=Linf(0.05))
    assert found.x.shape == x.shape
    assert (found.linf > 0).all()
    assert found.linf.max() <= 0.05 + 1e-6


@attacks
def test_values_of_exactly_0_and_1_can_move(attack: Attack):
    x = images(4, 3, 6, 6).round()
    found = attack(Model(NET), x, NET.label(x), within=Linf(0.1))
    assert ((found.x - x).abs() > 0.09).flatten(1).float().mean() > 0.3


@attacks
def test_a_mask_keeps_the_change_to_where_it_is_true(attack: Attack):
    mask = torch.zeros(8, 1, 6, 6, dtype=torch.bool)
    mask[:, :, 2:4, 1] = True
    found = attack(Model(NET), X, Y, mask=mask)
    assert (found.l0 == 2).all()
    assert not ((found.x != X) & ~mask).any()
    boxed = attack(Model(NET), X, Y, within=Mask(Linf(8 / 255), (2 / 6, 1 / 6, 4 / 6, 2 / 6)))
    assert same(boxed.x, found.x)


@attacks
def test_batch_norms_frozen_in_training_stay_so(attack: Attack):
    net = half_frozen(residual())
    with pytest.warns(UserWarning, match="training mode"):  # of its dropout
        model = Model(net)
    attack(model, images(2, 3, 8, 8), 0)
    assert net.training
    assert net.drop.training
    assert not net.bn.training
    assert not net.stem[1].training


@attacks
def test_gradients_kept_on_weights_and_images_are_left_alone(attack: Attack):
    net, x = conv(), images(2, 3, 8, 8).requires_grad_()
    net(x).sum().backward()
    kept = [p.grad.clone() for p in (x, *net.parameters())]
    attack(Model(net), x, 0)
    assert all(same(p.grad, g) for p, g in zip((x, *net.parameters()), kept, strict=True))


@attacks
def test_an_image_where_the_gradient_is_zero_stays_inside(attack: Attack):
    blind = Gives(NET, lambda z: z * 0)
    found = attack(Model(blind), X, 0, within=L2(0.1))
    assert found.x.isfinite().all()
    assert not found.success.any()
