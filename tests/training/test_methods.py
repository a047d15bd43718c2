"""Each way of training against its paper's equation, worked out by hand or by a loop written out here."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles import conv, images, random_state, residual, state_of
from unfool.attacks.auto import TargetedAPGD
from unfool.attacks.boundary import DeepFool
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.square import Square
from unfool.attacks.standard import Standard
from unfool.errors import InputError
from unfool.method import Question
from unfool.model import Model
from unfool.objectives import CrossEntropy
from unfool.regions import L2, Linf, Mask
from unfool.rows import Batch, Rng
from unfool.samples import digits8
from unfool.spec import catalogue, parse
from unfool.training.awp import AWP, shifted
from unfool.training.base import Regenerated, Training
from unfool.training.fit import Train, cut
from unfool.training.free import Free
from unfool.training.optimisers import SGD, Constant
from unfool.training.plain import NFGSM, Both, Fast, Madry, Natural
from unfool.training.pupil import Part, Pupil
from unfool.training.trades import Mart, Trades, divergence, log_rest
from unfool.views import from_uint8
from unfool.zoo.address import load

N = 6
X, Y = images(N, 3, 8, 8), torch.arange(N) % 5
STILL = SGD(0.05, momentum=0.0, decay=0.0)
WITHIN = Linf(0.1)


class Pixels(nn.Module):
    """Logits that are the pixels themselves, times a weight of one."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x.flatten(1)


def batch(x: Tensor = X, y: Tensor = Y) -> Batch:
    return Batch(tuple(map(str, range(len(x)))), x, y)


def begun(
    method: Training, net: nn.Module | None = None, x: Tensor = X, y: Tensor = Y, **how: Any
) -> tuple[Train, Question, Pupil, Part]:
    """A pupil, and all images as one part."""
    how = {"optimiser": STILL, "schedule": Constant(), "rows": len(x), "epochs": 1} | how
    fit, question = Train(method, **how), Question(Model(conv() if net is None else net), WITHIN)
    pupil = fit.start(question, batch(x, y))
    return fit, question, pupil, fit._prepared(question, pupil, batch(x, y))


def weights_after(method: Training, updates: int = 1, **how: Any) -> dict[str, Tensor]:
    fit, question, pupil, _ = begun(method, **how)
    for _ in range(updates):
        fit.update(question, pupil, batch())
    return pupil.weights()


def soft(*logits: float) -> list[float]:
    total = sum(map(math.exp, logits))
    return [math.exp(z) / total for z in logits]


def test_trades_is_the_equation_of_the_paper():
    x, moved = torch.tensor([[[[0.2, 0.7]]], [[[0.9, 0.1]]]]), torch.tensor([[[[0.4, 0.5]]], [[[0.6, 0.3]]]])
    _, _, pupil, part = begun(Trades(beta=6.0), Pixels(), x, torch.tensor([0, 0]))
    found = Trades(beta=6.0).losses(pupil, part, moved)
    for k in range(2):
        p, q = soft(*x[k].flatten().tolist()), soft(*moved[k].flatten().tolist())
        apart = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        assert math.isclose(float(found[k]), -math.log(p[0]) + 6.0 * apart, rel_tol=1e-5)


def test_mart_is_the_equation_of_the_paper():
    x, moved = torch.tensor([[[[0.2, 0.7, 0.3]]]]), torch.tensor([[[[0.4, 0.5, 0.3]]]])
    _, _, pupil, part = begun(Mart(beta=5.0), Pixels(), x, torch.tensor([1]))
    p, q = soft(0.2, 0.7, 0.3), soft(0.4, 0.5, 0.3)
    apart = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    boosted = -math.log(q[1]) - math.log(1 - max(q[0], q[2]))
    wanted = boosted + 5.0 * apart * (1 - p[1])
    assert math.isclose(float(Mart(beta=5.0).losses(pupil, part, moved)), wanted, rel_tol=1e-5)


def test_the_rest_of_a_certain_prediction_is_exact_where_a_difference_from_one_is_not():
    logits = torch.tensor([[40.0, 0.0, -3.0]])
    found = float(log_rest(logits.log_softmax(1), torch.tensor([1])))
    assert math.isclose(found, math.log((1 + math.exp(-3)) / (math.exp(40) + 1 + math.exp(-3))), rel_tol=1e-6)


def test_both_is_the_mean_of_the_two():
    moved = (X + 0.05).clamp(0, 1)
    _, _, pupil, part = begun(Both(share=0.5))
    each = [F.cross_entropy(pupil.net(x), Y, reduction="none") for x in (X, moved)]
    assert torch.allclose(Both().losses(pupil, part, moved), (each[0] + each[1]) / 2)


def test_fast_is_one_step_of_five_quarters_from_a_random_start():
    _, question, pupil, part = begun(Fast())
    start = WITHIN.sample(part.ball, Rng.seeded(question.seed, part.ids))
    leaf = start.clone().requires_grad_()
    grad = torch.autograd.grad(F.cross_entropy(pupil.net(leaf), Y, reduction="sum"), leaf)[0]
    wanted = (start + 0.125 * grad.sign()).clamp(X - 0.1, X + 0.1).clamp(0, 1)
    assert torch.allclose(Fast().seen(pupil, part), wanted, atol=1e-6)


def test_n_fgsm_is_a_whole_radius_beyond_noise_of_two_and_is_not_brought_back():
    _, question, pupil, part = begun(NFGSM())
    wide = part.ball._replace(eps=2 * part.ball.eps)
    start = WITHIN.sample(wide, Rng.seeded(question.seed, part.ids))
    leaf = start.clone().requires_grad_()
    grad = torch.autograd.grad(F.cross_entropy(pupil.net(leaf), Y, reduction="sum"), leaf)[0]
    found = NFGSM().seen(pupil, part)
    assert torch.allclose(found, (start + 0.1 * grad.sign()).clamp(0, 1), atol=1e-6)
    assert float((found - X).abs().max()) > 0.25


def test_an_image_that_has_flipped_is_changed_further():
    _, _, pupil, part = begun(Madry())
    with torch.no_grad():
        wrong = pupil.net(X).argmax(1) != Y
    assert wrong.any()
    size = (Madry(PGD(steps=20)).seen(pupil, part) - X).abs().amax((1, 2, 3))
    assert torch.allclose(size[wrong], torch.tensor(0.1), atol=1e-4)


@pytest.mark.parametrize(
    "attack", [TargetedAPGD(5), Standard(), DeepFool(steps=3), Square(queries=200)], ids=repr
)
def test_any_attack_of_the_catalogue_can_be_inside(attack: Any):
    method, data = Madry(attack), digits8("test")
    x, y = from_uint8(data.x[:8]), data.y[:8]
    _, _, pupil, part = begun(method, load("unfool:digits8").net, x, y)
    assert (pupil.model(method.seen(pupil, part)).argmax(1) != y).any()


def test_trades_climbs_the_divergence_whatever_its_attack_would_climb():
    method = Trades(PGD(steps=5, loss=CrossEntropy()))
    _, _, pupil, part = begun(method)
    assert torch.equal(method.seen(pupil, part), Trades(PGD(steps=5)).seen(pupil, part))
    with torch.no_grad():
        before = pupil.net(X).log_softmax(1)
        trades, madry = (
            divergence(before, pupil.net(m.seen(pupil, part)).log_softmax(1)).mean()
            for m in (method, Madry(PGD(steps=5)))
        )
    assert trades > madry


@pytest.mark.parametrize("attack", [PGD(steps=3, random_start=False), FGSM()], ids=repr)
def test_trades_says_that_it_has_to_begin_away_from_the_image(attack: Any):
    _, _, pupil, part = begun(Trades(attack))
    with pytest.raises(InputError, match="has no slope"):
        Trades(attack).seen(pupil, part)


def free_by_hand(net: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], replays: int) -> nn.Module:
    """The paper's algorithm 1."""
    delta = torch.zeros_like(batches[0][0])
    for x, y in batches:
        for _ in range(replays):
            leaf = (x + delta[: len(x)]).clamp(0, 1).detach().requires_grad_()
            net.zero_grad()
            F.cross_entropy(net(leaf), y).backward()
            assert leaf.grad is not None
            with torch.no_grad():
                moved = (leaf + 0.1 * leaf.grad.sign()).clamp(x - 0.1, x + 0.1).clamp(0, 1)
                delta[: len(x)] = moved - x
                for p in net.parameters():
                    p -= 0.05 * p.grad
    return net


def test_free_is_the_algorithm_of_the_paper():
    fit, question, pupil, _ = begun(Free(replays=3))
    other = images(4, 3, 8, 8, seed=3)
    for x, y in ((X, Y), (other, Y[:4])):
        fit.update(question, pupil, batch(x, y))
    wanted = free_by_hand(conv(), [(X, Y), (other, Y[:4])], 3).state_dict()
    assert all(torch.allclose(pupil.net.state_dict()[k], v, atol=1e-6) for k, v in wanted.items())
    assert pupil.updates == 6
    assert dict(pupil.spent) == {"forward": 3 * (N + 4), "backward": 3 * (N + 4)}


def test_awp_goes_up_by_gamma_of_each_layer_and_comes_back_to_the_bit():
    _, _, pupil, part = begun(Madry())
    pupil.backward(Madry().graded(pupil, [part]))
    before = {name: p.detach().clone() for name, p in pupil.net.named_parameters()}
    grads = {name: p.grad.clone() for name, p in pupil.net.named_parameters() if p.grad is not None}
    with shifted(pupil.net, 0.02):
        for name, p in pupil.net.named_parameters():
            way = p.detach() - before[name]
            wanted = 0.02 * before[name].norm() if p.ndim > 1 else torch.tensor(0.0)
            assert torch.allclose(way.norm(), wanted, rtol=1e-4)
            if p.ndim > 1:
                assert F.cosine_similarity(way.flatten(), grads[name].flatten(), 0) > 0.9999
    assert all(torch.equal(p, before[name]) for name, p in pupil.net.named_parameters())


def test_awp_steps_along_the_gradient_of_the_worst_weights():
    method = AWP(Natural(), gamma=0.05)
    net = conv()
    F.cross_entropy(net(X), Y).backward()
    before = [p.detach().clone() for p in net.parameters()]
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim > 1:
                p += 0.05 * p.norm() * p.grad / p.grad.norm()
    net.zero_grad()
    F.cross_entropy(net(X), Y).backward()
    wanted = [b - 0.05 * p.grad for b, p in zip(before, net.parameters(), strict=True)]
    found = weights_after(method).values()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, wanted, strict=True))


def test_awp_can_begin_later():
    late = AWP(Natural(), gamma=0.05, after=0.5)
    fit, question, pupil, _ = begun(late)
    fit.update(question._replace(span=(0.0, 0.1)), pupil, batch())
    plain = weights_after(Natural())
    assert all(torch.equal(v, plain[k]) for k, v in pupil.weights().items())


METHODS: list[Training] = [
    Natural(),
    Madry(PGD(steps=3)),
    Both(),
    Fast(),
    NFGSM(),
    Trades(PGD(steps=3)),
    Mart(PGD(steps=3)),
    Free(replays=2),
    AWP(Trades(PGD(steps=2))),
    Madry(FGSM(start=0.5), mode="evaluation"),
]
each = pytest.mark.parametrize("method", METHODS, ids=repr)


def test_every_method_is_tried_here():
    ours = {name for name, cls in catalogue(Training).items() if cls.__module__.startswith("unfool.")}
    assert ours == {type(method).__name__ for method in METHODS}


@each
def test_in_parts_it_is_the_same_as_at_once(method: Training):
    """Without batch norm, whose means are of each part."""
    whole, parts = (weights_after(method, 2, accumulate=n) for n in (1, 4))
    assert all(torch.allclose(v, parts[k], atol=1e-6) for k, v in whole.items())
    assert any(not torch.equal(v, conv().state_dict()[k]) for k, v in whole.items())


@each
def test_the_text_rebuilds_it_and_something_stronger_is_a_training_too(method: Training):
    assert parse(repr(method), Training) == method
    assert isinstance(method.stronger(), Training)
    assert isinstance(method, (Regenerated, Free, AWP))


@each
def test_the_users_network_is_as_it_was(method: Training):
    for net in (residual(), conv()):
        before, random = state_of(net), random_state()
        learned = Train(method, epochs=1, rows=4)(Model(net), X, Y, within=WITHIN)
        assert state_of(net) == before
        assert random_state() == random
        assert learned.net is not net
        assert not learned.net.training


@each
def test_the_same_seed_is_the_same_weights_and_another_one_is_not(method: Training):
    found = [
        Train(method, epochs=1, rows=4)(Model(conv()), X, Y, within=WITHIN, seed=s).net.state_dict()
        for s in (0, 0, 1)
    ]
    assert all(torch.equal(v, found[1][k]) for k, v in found[0].items())
    assert any(not torch.equal(v, found[2][k]) for k, v in found[0].items())


class Counting(torch.autograd.Function):
    """A linear layer that counts the derivatives it is asked for."""

    asked: dict[str, int] = {}  # noqa: RUF012  a test's own

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, w = ctx.saved_tensors
        images, weights = ctx.needs_input_grad
        Counting.asked["images"] += images
        Counting.asked["weights"] += weights
        return grad @ w if images else None, grad.T @ x if weights else None


class Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(images(5, 192) / 10)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return Counting.apply(x.flatten(1), self.w)  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("method", "images_", "weights", "forward", "backward"),
    [
        (Natural(), 0, 1, 1, 1),
        (Fast(), 1, 1, 2, 2),
        (NFGSM(), 1, 1, 2, 2),
        (Madry(PGD(steps=7)), 7, 1, 8, 8),
        (Both(PGD(steps=3)), 3, 2, 5, 5),
        (Trades(PGD(steps=10)), 10, 2, 13, 12),
        (Mart(PGD(steps=10)), 10, 2, 12, 12),
        (Free(replays=4), 4, 4, 4, 4),
        (AWP(Madry(PGD(steps=7))), 7, 2, 9, 9),
    ],
    ids=repr,
)
def test_the_attack_differentiates_no_weight_and_passes_are_as_few_as_can_be(
    method: Training, images_: int, weights: int, forward: int, backward: int
):
    fit, question, pupil, _ = begun(method, Counted())
    Counting.asked = {"images": 0, "weights": 0}
    fit.update(question, pupil, batch())
    assert Counting.asked == {"images": images_, "weights": weights}
    assert dict(pupil.spent) == {"forward": forward * N, "backward": backward * N}


@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_the_attack_sees_the_network_in_its_mode_and_leaves_the_running_means_alone(mode: Any):
    method = Madry(PGD(steps=2), mode=mode)
    _, _, pupil, part = begun(method, residual())
    modes: list[bool] = []
    forward = pupil.net.stem[1].forward  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]

    def watched(x: Tensor) -> Tensor:
        modes.append(pupil.net.stem[1].training)  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
        return forward(x)

    pupil.net.stem[1].forward = watched  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
    before = {name: b.clone() for name, b in pupil.net.named_buffers()}
    method.seen(pupil, part)
    assert modes == [mode == "training"] * 2
    assert all(torch.equal(b, before[name]) for name, b in pupil.net.named_buffers())
    assert all(p.requires_grad for p in pupil.net.parameters())


@pytest.mark.parametrize("within", [L2(0.5), Mask(Linf(0.2), (0.0, 0.0, 0.5, 0.5))], ids=repr)
@pytest.mark.parametrize("method", [Madry(PGD(steps=2)), Free(replays=2)], ids=repr)
def test_images_stay_inside_any_region(method: Training, within: Any):
    fit, question, pupil, _ = begun(method)
    question = question._replace(within=within)
    part = fit._prepared(question, pupil, batch())
    fit.update(question, pupil, batch())
    change = pupil.carried if isinstance(method, Free) else Madry(PGD(steps=2)).seen(pupil, part) - X
    assert change is not None
    assert (within.size(change) <= within.radius + 1e-5).all()
    if isinstance(within, Mask):
        assert not change[:, :, 4:].any()


def test_parts_hold_every_row_once():
    _, _, _, part = begun(Natural())
    parts = cut(part, 4)
    assert torch.equal(torch.cat([p.x for p in parts]), X)
    assert [i for p in parts for i in p.ids] == list(part.ids)
    assert [p.place for p in parts] == [0, 2, 4]
    assert len(cut(part, 99)) == N


def test_a_network_of_frozen_weights_cannot_learn():
    with pytest.raises(InputError, match="no weights that may change"):
        begun(Natural(), conv().requires_grad_(False))


def test_a_network_that_answers_with_maps_cannot_be_taught_classes():
    net = nn.Conv2d(3, 5, 1)
    with pytest.raises(InputError, match="maps"):
        begun(Natural(), net.eval())


def test_two_steps_are_those_of_torchs_own_optimiser():
    net = conv()
    own = torch.optim.SGD(net.parameters(), 0.01, 0.9, 0.0, 0.1, True)
    for _ in range(2):
        net.zero_grad()
        F.cross_entropy(net(X), Y).backward()
        own.step()
    found = weights_after(Natural(), 2, optimiser=SGD(0.01, 0.9, 0.1, True))
    assert all(torch.allclose(found[k], v, atol=1e-6) for k, v in net.state_dict().items())
