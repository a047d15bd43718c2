"""Alarms: maps have the slopes that finite differences give, distances are those of the papers, and nobody is trusted.

An alarm and a network that are both planes say exactly which images can fool both.
"""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oracles import conv, images, smooth, state_of
from unfool.attacks.gradient import PGD
from unfool.attributions.cam import GradCAM
from unfool.attributions.gradient import Gradient, GradientTimesInput
from unfool.attributions.occlusion import Occlusion
from unfool.defences.alarm import Alarm, Ear, guarded, suspicion
from unfool.defences.baselines import MahalanobisAlarm, NeighbourAlarm, SqueezeAlarm, median
from unfool.defences.evasion import Orthogonal, Quiet, Unnoticed
from unfool.defences.saliency import Maps, SaliencyAlarm
from unfool.derivatives import recorded
from unfool.measures.embed import features_of
from unfool.method import Columns, Question
from unfool.model import Model
from unfool.objectives import Logit, LogOdds
from unfool.query import Query
from unfool.regions import L2, Linf
from unfool.rows import Batch, Rng
from unfool.spec import catalogue, parse
from unfool.straight import rounded


def explained(model: Model, attribution, x: Tensor, y: Tensor) -> Tensor:
    with model.settled():
        return attribution.explain(Query(model, Logit(), y, Rng([0] * len(x)), images=x), x)


@pytest.mark.parametrize("attribution", [Gradient(), GradientTimesInput(), GradCAM(layer="0")])
def test_a_recorded_map_has_the_slope_that_finite_differences_give(attribution):
    model, x, y = Model(smooth()), images(2, 2, 6, 6, dtype=torch.float64), torch.tensor([0, 3])
    leaf = x.clone().requires_grad_()
    with recorded():
        heat = explained(model, attribution, leaf, y)
    weights, way, h = torch.randn_like(heat), torch.randn_like(x), 1e-5
    (slope,) = torch.autograd.grad((weights * heat).sum(), leaf)
    up, down = (explained(model, attribution, x + sign * h * way, y) for sign in (1, -1))
    assert float((slope * way).sum()) == pytest.approx(
        float((weights * (up - down)).sum() / (2 * h)), rel=1e-4
    )


def test_outside_recording_a_map_has_no_past():
    leaf = images(2, 3, 8, 8).requires_grad_()
    assert not explained(Model(conv()), Gradient(), leaf, torch.tensor([0, 1])).requires_grad


def test_rounded_rectifiers_give_the_same_and_slopes_of_slopes():
    for net in (conv(), nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU(), nn.Linear(5, 2))):
        x = images(3, 3, 8, 8).requires_grad_()
        with rounded():
            out = net(x)
            (first,) = torch.autograd.grad(out[:, 0].sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), x)
        assert torch.allclose(out, net(x), atol=1e-6)
        assert second.any()
        with rounded():
            alone = net(x[:1])
        assert torch.allclose(out[:1], alone, atol=1e-6)


def test_a_map_as_an_alarm_sees_it_is_a_size_with_its_largest_value_at_1_and_passes_slopes():
    model, x = Model(conv()), images(3, 3, 8, 8).requires_grad_()
    with model.settled():
        heat = Maps(Gradient(), model)(x, torch.tensor([0, 1, 2]))
        expected = (
            explained(model, Gradient(), x.detach(), torch.tensor([0, 1, 2])).abs().amax(1, keepdim=True)
        )
        (slope,) = torch.autograd.grad(heat.square().sum(), x)
    assert torch.allclose(heat, expected / expected.flatten(1).amax(1).view(3, 1, 1, 1), atol=1e-6)
    assert slope.flatten(1).any(1).all()


def test_a_map_without_a_slope_borrows_one_and_says_so():
    model, x = Model(conv()), images(2, 3, 8, 8)
    assert "second-order" in SaliencyAlarm().passage(model, x)
    assert "BPDA" in SaliencyAlarm(attribution=Occlusion()).passage(model, x)
    leaf = x.clone().requires_grad_()
    with model.settled():
        heat = Maps(Occlusion(), model)(leaf, torch.tensor([0, 1]))
    assert torch.autograd.grad(heat.square().sum(), leaf)[0].any()


def lessons(model: Model) -> Batch:
    """Harmless images, and the same with a corner that is brighter."""
    x = images(60, 3, 8, 8, high=0.6)
    bright = x.clone()
    bright[:, :, :3, :3] += 0.3
    y = torch.arange(120) // 60
    return Batch(tuple(map(str, range(120))), torch.cat([x, bright]), y)


@pytest.mark.parametrize("sees", ["image", "both"])
def test_an_alarm_learns_to_tell_what_differs_and_leaves_the_network_alone(sees):
    net = conv()
    before = state_of(net)
    model, alarm = Model(net), SaliencyAlarm(sees=sees, epochs=12, rows=24)
    learned = alarm.learn(Question(model), lessons(model))
    fresh = images(40, 3, 8, 8, seed=9, high=0.6)
    bright = fresh.clone()
    bright[:, :, :3, :3] += 0.3
    ear = alarm.listening(learned, model)
    quiet, loud = suspicion(model, ear, fresh), suspicion(model, ear, bright)
    assert (loud[:, None] > quiet).double().mean() > 0.97
    assert state_of(net) == before
    assert torch.allclose(suspicion(model, ear, fresh[:1]), quiet[:1], atol=1e-5)


def test_mahalanobis_is_the_distance_to_the_nearest_mean():
    model = Model(conv())
    batch = Batch(tuple(map(str, range(80))), images(80, 3, 8, 8), torch.zeros(80, dtype=torch.long))
    alarm = MahalanobisAlarm(shrink=0.0, rows=16)
    learned = alarm.learn(Question(model), batch)
    features, label = features_of(model, batch.x).detach().double().numpy(), model(batch.x).argmax(1).numpy()
    means = {k: features[label == k].mean(0) for k in np.unique(label)}
    centred = features - np.stack([means[k] for k in label])
    inverse = np.linalg.inv(centred.T @ centred / len(features))
    new = images(5, 3, 8, 8, seed=2)
    f = features_of(model, new).detach().double().numpy()
    expected = [min((v - m) @ inverse @ (v - m) for m in means.values()) for v in f]
    found = suspicion(model, alarm.listening(learned, model), new)
    assert np.allclose(found.numpy(), expected, rtol=1e-3)


def test_neighbours_are_those_of_brute_force_among_harmless_images():
    model, x = Model(conv()), images(50, 3, 8, 8)
    y = (torch.arange(50) >= 30).long()
    alarm = NeighbourAlarm(neighbours=3, rows=7)
    learned = alarm.learn(Question(model), Batch(tuple(map(str, range(50))), x, y))
    unit = lambda t: torch.nn.functional.normalize(features_of(model, t).detach().double(), dim=1)  # noqa: E731
    new = images(4, 3, 8, 8, seed=3)
    apart = torch.cdist(unit(new), unit(x[:30])).sort(1).values[:, 2]
    found = suspicion(model, alarm.listening(learned, model), new)
    assert torch.allclose(found.double(), apart, atol=1e-5)


def test_squeezing_is_the_larger_change_of_probabilities():
    from scipy.ndimage import median_filter

    model, x = Model(conv()), images(4, 3, 8, 8)
    blurred = torch.from_numpy(
        np.stack([[median_filter(c, 2, mode="nearest") for c in im] for im in x.numpy()])
    )
    assert torch.equal(median(x, 2), blurred)
    p, a, b = (model(t).softmax(1) for t in (x, (x * 7).round() / 7, blurred))
    expected = torch.stack([(a - p).abs().sum(1), (b - p).abs().sum(1)]).amax(0)
    alarm = SqueezeAlarm()
    found = suspicion(model, alarm.listening({}, model), x)
    assert torch.allclose(found, expected, atol=1e-5)


class _Side(Alarm):
    """Suspicious is what is bright on the left: a plane."""

    def start(self, question: Question, batch: Batch):
        raise NotImplementedError

    def update(self, question: Question, state, batch: Batch):
        raise NotImplementedError

    def finish(self, state) -> Columns:
        raise NotImplementedError

    def listening(self, learned: Columns, model: Model) -> Ear:
        return lambda x, logits: (x[..., :3] - x[..., 3:]).flatten(1).sum(1)

    def passage(self, model: Model, x: Tensor) -> str:
        return "by the gradient"


class _Bright(nn.Module):
    """Class 1 is what is bright, the left counting twice: the way there rings the alarm."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0, 2, 2, 1, 1, 1]))

    def forward(self, x: Tensor) -> Tensor:
        s = ((x - 0.5) * self.w).flatten(1).sum(1)
        return torch.stack([-s, s], 1)


def unnoticed(both: Model, attack: PGD, x: Tensor, within) -> Tensor:
    y = torch.zeros(len(x), dtype=torch.long)
    with both.settled():
        query = Query(both, Unnoticed(), y, Rng.seeded(0, range(len(x))), who="test")
        return query.reached(attack.found(query, within, within.around(x)))


@pytest.mark.parametrize("attack", [PGD(40, momentum=0.75, random_start=False), PGD(80, slope=Orthogonal())])
def test_a_way_past_both_is_found_where_there_is_one(attack):
    """The steepest way up moves the left more than the right, 0.285 far, and rings; both alike, 0.3 far, do not."""
    model, alarm = Model(_Bright()), _Side()
    x = torch.full((4, 1, 6, 6), 0.45)
    plain = PGD(40, random_start=False)(model, x, torch.zeros(4, dtype=torch.long), within=L2(0.4)).x
    ear = alarm.listening({}, model)
    assert (model(plain).argmax(1) == 1).all()
    assert (suspicion(model, ear, plain) > 0.3).all()
    both = guarded(model, alarm, {}, 0.1)
    assert unnoticed(both, attack, x, L2(0.4)).all()
    assert not unnoticed(both, attack, x, L2(0.28)).any(), "the nearest that fools is 0.285 away"


def test_a_guarded_network_answers_as_its_network_and_its_alarm():
    net = conv()
    before = state_of(net)
    model, x = Model(net), (images(3, 3, 8, 8) * 255).round() / 255
    both = guarded(model, SqueezeAlarm(), {}, 0.25)
    out = both(x)
    assert torch.allclose(out[:, :-1], model(x), atol=1e-5)
    ear = SqueezeAlarm().listening({}, model)
    assert torch.allclose(out[:, -1], suspicion(model, ear, x) - 0.25, atol=1e-5)
    assert state_of(net) == before


def test_the_goal_wants_both_and_climbs_what_is_missing():
    out = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0], [0.0, 1.0, 2.0], [1.0, 0.0, 2.0]])
    y, goal = torch.zeros(4, dtype=torch.long), Unnoticed(LogOdds())
    assert goal.reached({"output": out}, y).tolist() == [False, True, False, False]
    score = goal.score({"output": out}, y)
    assert score[2] == -2
    assert torch.allclose(score[[0, 3]], LogOdds().score({"output": out[:, :2]}, y)[[0, 3]])
    assert Quiet().score({"output": out}, y).tolist() == [1, 1, -2, -2]


def test_an_orthogonal_step_for_one_is_none_for_the_other():
    both = guarded(Model(_Bright()), _Side(), {}, 0.1)
    x = torch.full((2, 1, 6, 6), 0.45)
    query = Query(both, Unnoticed(), torch.zeros(2, dtype=torch.long), Rng([0, 1]), who="test")
    with both.settled():
        slope = Orthogonal()(query, x).slope
        quiet = query.instead(Quiet()).gradient(x).slope
    assert float((slope * quiet).sum().abs()) < 1e-4
    assert slope.any()


@pytest.mark.parametrize(
    "name", [n for n, c in catalogue(Alarm).items() if c.__module__.startswith("unfool.")]
)
def test_every_alarm_is_its_text_and_tells_rows_apart_from_their_neighbours(name):
    alarm = parse(f"{name}(epochs=1)", Alarm)
    assert parse(repr(alarm), Alarm) == alarm
    net = conv()
    before = state_of(net)
    model = Model(net)
    learned = alarm.learn(Question(model), lessons(model))
    again = alarm.learn(Question(model), lessons(model))
    assert all(torch.equal(learned[k], again[k]) for k in learned)
    x = images(5, 3, 8, 8)
    ear = alarm.listening(learned, model)
    assert torch.allclose(suspicion(model, ear, x)[2:3], suspicion(model, ear, x[2:3]), rtol=1e-3, atol=1e-5)
    both = guarded(model, alarm, learned, 0.0)
    query = Query(both, Unnoticed(), torch.zeros(5, dtype=torch.long), Rng(range(5)), who="test")
    with both.settled():
        assert query.instead(Quiet()).gradient(x).slope.isfinite().all()
    assert alarm.passage(model, x)
    assert state_of(net) == before


def test_an_attack_stays_in_its_region_when_it_goes_past_an_alarm():
    both = guarded(Model(conv()), SqueezeAlarm(), {}, 0.1)
    x = images(4, 3, 8, 8)
    within = Linf(0.03)
    with both.settled():
        query = Query(both, Unnoticed(), torch.zeros(4, dtype=torch.long), Rng(range(4)), who="test")
        found = PGD(5, momentum=0.75).found(query, within, within.around(x))
    assert float((found - x).abs().max()) <= 0.03 + 1e-6
