"""Gradients against central differences: (s(x + h) - s(x - h)) / 2h, in float64 to one part in a million."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import KINDS, Plane, Quadratic, conv, images, residual, same, segmenter, shared, smooth
from unfool.derivatives import each_derivative
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import CrossEntropy, Logit, LogProb, Margin, Objective, Targeted, Untargeted, label_of
from unfool.query import Query
from unfool.rows import Rng
from unfool.targets import Channel, Neuron, TotalVariation
from unfool.transforms import Brightness, Jitter, Noise

X = images(2, 2, 6, 6, dtype=torch.float64)
Y = torch.tensor([1, 3])


def query(
    model: Model, objective: Objective, y: Tensor | None = Y, images: Tensor | None = None, n: int = 2
) -> Query:
    n = len(y) if y is not None else n
    return Query(model, objective, y, Rng.seeded(0, range(n)), images=images)


OBJECTIVES = [
    Logit(),
    LogProb(),
    CrossEntropy(),
    Margin(),
    Untargeted(),
    Targeted(Margin()),
    Channel("0"),
    Neuron("2", (1, -1)),
    Logit() - 0.3 * TotalVariation() + 2 * Channel("3"),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_gradients_are_finite_differences(objective: Objective):
    ask, h = query(Model(smooth(), mean=0.3, std=0.5), objective), 1e-5
    grad = ask.gradient(X).slope.flatten(1)
    way = torch.eye(72, dtype=torch.float64).view(72, 1, *X.shape[1:])
    scores = torch.stack([ask.ask(X + h * d).score - ask.ask(X - h * d).score for d in way], 1) / (2 * h)
    assert ((scores - grad).norm(dim=1) <= 1e-6 * grad.norm(dim=1)).all()


def test_the_gradient_of_a_quadratic_is_known():
    net = Quadratic(3, 4, 4).double()
    x, y = images(5, 3, 4, 4, dtype=torch.float64), torch.arange(5) % 3
    answer = query(Model(net), Logit(), y).gradient(x)
    assert torch.allclose(answer.slope, net.gradient(x, y))
    assert torch.allclose(answer.score, net(x)[torch.arange(5), y])
    assert not answer.reached.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_8_equals_8_single_images(kind: str):
    x, y = images(8, 3, 8, 8), torch.arange(8) % 2
    whole = query(Model(KINDS[kind]()), CrossEntropy(), y).gradient(x)
    singles = [
        query(Model(KINDS[kind]()), CrossEntropy(), y[k : k + 1]).gradient(x[k : k + 1]) for k in range(8)
    ]
    slack = 0.1 if kind == "bfloat16" else 1e-5
    for part in ("score", "slope"):
        alone = torch.cat([getattr(one, part) for one in singles])
        assert torch.allclose(getattr(whole, part), alone, atol=slack * float(alone.abs().max()) + 1e-9)


@pytest.mark.parametrize("objective", [Logit(), CrossEntropy(), Margin()], ids=repr)
def test_gradients_of_several_targets_equal_single_ones_from_one_pass(objective: Objective):
    ask = query(Model(smooth()), objective)
    ys = [torch.tensor([k, 3 - k]) for k in range(4)]
    scores, grads = ask.gradients(X, ask.each(ys))
    assert ask.cost == {"forward": 2, "backward": 8}
    for k, y in enumerate(ys):
        one = ask.instead(objective, y).gradient(X)
        assert torch.allclose(scores[k], one.score)
        assert torch.allclose(grads[k], one.slope)


LAYERS = [("0", smooth), ("1", smooth), ("2", smooth), ("4", smooth), ("5", smooth)]


@pytest.mark.parametrize(("layer", "make"), LAYERS)
def test_at_a_layer_the_gradient_is_that_of_the_full_backward_pass(layer: str, make):
    net = make()
    at = query(Model(net), Logit()).at(layer, X)
    parts, cut = list(net), int(layer) + 1
    activation = nn.Sequential(*parts[:cut])(X)
    score = nn.Sequential(*parts[cut:])(activation)[torch.arange(2), Y]
    (grad,) = torch.autograd.grad(score.sum(), activation)
    assert torch.allclose(at.activation, activation)
    assert torch.allclose(at.grad, grad)
    assert torch.allclose(at.score, score)


@pytest.mark.parametrize("layer", ["0", "2"])
def test_at_a_layer_whose_output_the_next_changes_in_place(layer: str):
    net, x = conv(), images(2, 3, 8, 8)
    at = query(Model(net), Logit()).at(layer, x)
    h = nn.Sequential(*list(net)[: int(layer) + 1])(x).detach()
    leaf = h.clone().requires_grad_()
    rest = nn.Sequential(*(nn.ReLU() if isinstance(m, nn.ReLU) else m for m in list(net)[int(layer) + 1 :]))
    (grad,) = torch.autograd.grad(rest(leaf)[torch.arange(2), Y].sum(), leaf)
    assert same(at.activation, h)
    assert torch.allclose(at.grad, grad)


def test_at_a_module_used_twice_its_first_use_counts():
    net, x = shared(), images(2, 3, 8, 8)
    at = query(Model(net), Logit()).at("conv", x)
    assert same(at.activation, net.conv(x))
    leaf = at.activation.clone().requires_grad_()
    h = net.conv(leaf.relu()).relu()
    (grad,) = torch.autograd.grad(net.head(h.mean((2, 3)))[torch.arange(2), Y].sum(), leaf)
    assert torch.allclose(at.grad, grad)


def test_the_predicted_target_costs_no_pass_of_its_own():
    x = images(2, 3, 8, 8)
    model = Model(conv())
    for ask in (lambda q: q.gradient(x), lambda q: q.at("2", x), lambda q: q.ask(x)):
        free, known = query(model, Logit(), None, x), query(model, Logit(), label_of(model(x)))
        assert same(ask(free).score, ask(known).score)
        assert same(free.y, known.y)
        assert free.cost == known.cost
        assert same(free.score, model(x).amax(1))  # type: ignore[arg-type]


def test_the_predicted_target_is_known_also_where_the_score_reads_a_layer_only():
    x, model = images(2, 3, 8, 8), Model(conv())
    free = query(model, Channel("2"), None, x)
    found = free.gradient(x)
    assert same(free.y, label_of(model(x)))
    assert same(found.slope, query(model, Channel("2"), free.y).gradient(x).slope)


def test_rows_copies_and_other_questions_share_one_count():
    ask, x = query(Model(conv()), Logit()), images(2, 3, 8, 8)
    ask[torch.tensor([True, False])].ask(x[:1])
    ask.tile(3).gradient(x.repeat(3, 1, 1, 1))
    ask.instead(CrossEntropy()).ask(x)
    ask.about(Model(conv())).ask(x)
    assert ask.cost == {"forward": 1 + 6 + 2 + 2, "backward": 6}


@pytest.mark.parametrize("capacity", [1, 2, 5, 64])
def test_variants_are_packed_as_the_model_holds_and_come_back_one_by_one(capacity: int):
    sizes: list[int] = []
    model = Model(smooth(), capacity=capacity)
    model.net.register_forward_hook(lambda m, args, out: sizes.append(len(out)))
    ask = query(model, Logit())
    variants = [X * share for share in (0.1, 0.2, 0.3, 0.4, 0.5)]
    found = list(ask.packed(lambda q, v: q.gradient(v).slope, iter(variants)))
    assert max(sizes) <= max(2, capacity)
    assert sum(sizes) == 10
    for one, variant in zip(found, variants, strict=True):
        assert torch.allclose(one, ask.gradient(variant).slope)


def test_gradients_pass_through_transforms_to_the_image():
    ask = query(Model(smooth()), Logit())
    for transform in (Jitter(2), Brightness(0.5)):
        rng = Rng.seeded(0, range(2))
        seen = X.clone().requires_grad_()
        score = smooth()(transform(seen, rng))[torch.arange(2), Y]
        (expected,) = torch.autograd.grad(score.sum(), seen)
        fresh = query(ask.model, Logit())
        assert torch.allclose(fresh.gradient(X, (transform,)).slope, expected)
    assert not same(ask.gradient(X, (Noise(),)).slope, ask.gradient(X).slope)


def test_the_score_of_a_map_of_logits_is_its_mean_over_positions():
    net, x = segmenter(), images(2, 3, 8, 8)
    y = torch.tensor([0, 2])
    answer = query(Model(net), Logit(), y).ask(x)
    assert torch.allclose(answer.score, torch.stack([net(x)[0, 0].mean(), net(x)[1, 2].mean()]))


def test_a_score_that_does_not_depend_on_the_image_is_named():
    class Cuts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach().flatten(1)[:, :3]

    with pytest.raises(InputError, match="does not depend on the image: the network cuts the gradient"):
        query(Model(Cuts().eval()), Logit(), torch.tensor([0, 1])).gradient(images(2, 3, 4, 4))


def test_a_score_that_does_not_depend_on_the_layer_is_named():
    x, model = images(2, 3, 8, 8), Model(residual())
    with pytest.raises(InputError, match="the score does not depend on layer 'bn'"):  # it comes after
        query(model, Channel("stem")).at("bn", x)
    with pytest.raises(InputError, match="the score does not depend on layer 'conv'"):
        query(model, Channel("stem") + 0.0 * Channel("stem.1")).at("conv", x)


def test_targets_are_checked_by_the_first_pass_where_the_classes_were_not_known():
    with pytest.raises(InputError, match="must be 0 to 4, these span 1 to 9"):
        query(Model(conv()), Logit(), torch.tensor([1, 9])).gradient(images(2, 3, 8, 8))


def test_a_finished_question_is_one_whose_label_changed():
    net = Plane(3, 6, 6)
    x = images(6, 3, 6, 6)
    ask = query(Model(net), Untargeted(), net.label(x))
    assert not ask.reached(x).any()
    assert ask.reached(1 - x).all()  # the other side
    assert same(ask.labels(x), net.label(x))
    assert same(ask.logits(x), net(x))


def test_queries_are_counted_for_each_row_through_cuts_and_copies():
    ask = query(Model(smooth()), Logit(), torch.tensor([0, 1, 2]))
    x = images(3, 2, 6, 6, dtype=torch.float64)
    ask.ask(x)
    some = ask[torch.tensor([False, True, True])]
    some.gradient(x[1:])
    some[torch.tensor([1])].tile(3).ask(x[2:].repeat(3, 1, 1, 1))
    assert ask.queries.tolist() == [1, 2, 5]
    assert some.queries.tolist() == [2, 5]
    assert ask.cost == {"forward": 8, "backward": 2}


@pytest.mark.parametrize("together", [2, 100])
def test_going_back_together_is_going_back_one_by_one(together: int):
    """In one batched call or in several; what has no rule for it goes one by one."""

    class OneByOne(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            return grads[0] * float(grads[0].ne(torch.inf).any())

    net = smooth()
    for f in (net, lambda x: net(OneByOne.apply(x))):
        leaf = X.clone().requires_grad_()
        scores = f(leaf).T[:5]
        expected = each_derivative(scores, leaf, "this")
        found = each_derivative(scores, leaf, "this", together)
        assert torch.allclose(found, expected, atol=1e-6 * float(expected.abs().max()))
        alone = torch.autograd.grad(scores[3].sum(), leaf, retain_graph=True)[0]
        assert torch.allclose(found[3], alone)
