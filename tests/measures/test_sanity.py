"""Weights go from the output down in the order in which the network runs, and the untouched network never counts.

Green is a mean rank correlation of at most 0.3 with networks that know nothing, red above 0.5.
"""

import pytest
import torch
from tests.oracles import images, residual, seeded, shared, tiny_vit
from torch import Tensor, nn

from unfool.analysis.sanity import badge, measured
from unfool.attributions.base import Attribution
from unfool.attributions.baselines import CentrePrior, Edges
from unfool.attributions.cam import GradCAM
from unfool.attributions.gradient import Gradient, GradientTimesInput
from unfool.attributions.rules import Bent, Guided
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.measures.sanity import LayersRandomised, Randomised, likeness, redrawn, settled, steps_down
from unfool.method import Method, Question
from unfool.model import Model
from unfool.query import Query
from unfool.rows import Batch, stable_number
from unfool.zoo.address import load


class Backwards(nn.Module):
    """Names its parts in another order than it uses them in."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.second, self.first = nn.Conv2d(4, 4, 3), nn.Conv2d(3, 4, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))).mean((2, 3)))


class PerModel(Attribution):
    """Another random map for every network."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        weights = sum(float(p.double().sum()) for p in query.model.net.parameters())
        stream = torch.Generator().manual_seed(stable_number(weights) % 2**31)
        return torch.rand(1, 1, 8, 8, generator=stream).expand(len(x), -1, -1, -1)


def batch(n: int = 6) -> Batch:
    x = images(n, 3, 8, 8)
    return Batch(tuple(map(str, range(n))), x, torch.full((n,), -1))


def names(net: nn.Module) -> list[str]:
    return [part.name for part in steps_down(Model(net), batch().x)]


def test_steps_follow_the_run_not_the_names():
    net = seeded(Backwards)()
    assert names(net) == [
        "head",
        "second",
        "",
        "first",
    ]  # what is not called may be used by the network itself
    assert [name for name, _ in net.named_modules()][1:4] == ["head", "second", "first"]  # and not reversed
    assert names(residual()) == ["head", "bn", "conv", "stem.1", "stem.0"]
    assert names(shared()) == ["head", "conv"]


def test_every_weight_is_in_one_step_also_those_of_parts_that_are_never_called():
    for net in (seeded(Backwards)(), tiny_vit(), residual(), shared()):
        held = [name for part in steps_down(Model(net), batch().x) for name in part.weights]
        own = [name for name, m in net.named_modules() if next(m.parameters(recurse=False), None) is not None]
        assert sorted(held) == sorted(own)
    parts = {part.name: part.weights for part in steps_down(Model(tiny_vit()), batch().x)}
    assert set(parts["attention"]) == {"attention", "attention.out_proj"}
    assert list(parts)[-2:] == ["", "patches"]  # the class token is the network's own, and comes in early


def test_only_the_weights_of_a_step_are_drawn_anew_and_others_for_each_draw():
    net = residual()
    changed = redrawn(Model(net), 0, {"conv"}).net
    same = [torch.equal(a, b) for a, b in zip(net.parameters(), changed.parameters(), strict=True)]
    assert [n for (n, _), s in zip(net.named_parameters(), same, strict=True) if not s] == [
        "conv.weight",
        "conv.bias",
    ]
    assert not torch.equal(changed.conv.weight, redrawn(Model(net), 1, {"conv"}).net.conv.weight)


def test_the_cascade_ends_with_all_weights_and_begins_where_the_single_layers_do():
    question = Question(Model(residual()))
    down, alone = (
        LayersRandomised(Gradient(), order, draws=2).columns(question, batch())["rank_correlation"]
        for order in ("cascading", "independent")
    )
    assert down.shape == alone.shape == (6, 5)
    assert torch.equal(down[:, 0], alone[:, 0])
    whole = Randomised(Gradient(), draws=2).columns(question, batch())["rank_correlation"]
    assert torch.allclose(down[:, -1], whole)


def test_the_untouched_network_never_counts():
    """Quantus 0.6.0 leaves out "orig" and stores "original", so that a correlation of 1 is in its average."""
    found = LayersRandomised(PerModel()).columns(Question(Model(residual())), batch())["rank_correlation"]
    assert found.shape[1] == len(names(residual()))
    assert found.abs().max() < 0.5
    ignorant = LayersRandomised(CentrePrior()).columns(Question(Model(residual())), batch())
    assert torch.allclose(ignorant["rank_correlation"], torch.ones(6, 5))


def test_a_map_that_ignores_the_network_is_red_and_one_that_is_random_for_each_is_green():
    verdicts = {}
    for method in (CentrePrior(), Edges(), PerModel(), Gradient()):
        found = Randomised(method, draws=3).columns(Question(Model(residual())), batch(12))
        one = measured(repr(method), found["rank_correlation"], found["blank"])
        verdicts[repr(method)] = badge(repr(method), [("all weights drawn anew", one)])
    assert [v.verdict for v in verdicts.values()] == ["fail", "fail", "pass", "pass"]
    assert "> 0.5" in verdicts["CentrePrior()"].text
    assert "≤ 0.3" in verdicts["PerModel()"].text
    assert verdicts["CentrePrior()"].as_dict()["badge"] == "red"


def test_a_badge_is_that_of_the_worst_comparison_and_unknown_where_there_is_none():
    fine, bad = (measured("m", torch.full((4,), v), torch.zeros(4)) for v in (0.1, 0.4))
    assert badge("m", [("a", fine), ("b", bad)]).verdict == "weak"
    assert badge("m", [("a", fine), ("b", bad)]).against == "b"
    blank = measured("m", torch.zeros(4), torch.ones(4))
    assert badge("m", [("a", blank)]).verdict == "unknown"
    assert badge("m", [], "a black box").text == "sanity not known: a black box"


def test_a_map_that_goes_blank_has_changed_and_one_that_is_blank_says_nothing():
    class Once(Attribution):
        """The image under the trained network, nothing under others; of a dark image nothing either way."""

        def explain(self, query: Query, x: Tensor) -> Tensor:
            trained = bool((query.model.net[1].weight == 0.1).all())
            return x[:, :1] * trained

    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()
    nn.init.constant_(net[1].weight, 0.1)
    some = batch()
    some.x[0] = 0
    found = Randomised(Once()).columns(Question(Model(net)), some)
    assert found["blank"].tolist() == [True] + [False] * 5
    assert (found["rank_correlation"] == 0).all()
    same = likeness(Once(), settled(Question(Model(net)), some), some, [Model(net)])
    assert torch.allclose(same["rank_correlation"][1:], torch.ones(5))


def test_the_target_is_that_of_the_question_or_of_the_trained_network():
    model = Model(residual())
    assert settled(Question(model, target=2), batch()).target == 2
    assert torch.equal(settled(Question(model), batch()).target, model(batch().x).argmax(1))


def test_a_network_without_weights_cannot_be_checked():
    with pytest.raises(InputError, match="no weights"):
        steps_down(Model(nn.Flatten()), batch().x)


def on_digits(method: Method) -> str:
    """The badge on the embedded digits, by redrawn weights and by the network that learned random labels."""
    model, source = load("unfool:digits"), open_data("unfool:digits")
    some = source.batch(source.ids()[:60], model.view, model.classes)
    question = settled(Question(model), some)
    shuffled = load("unfool:digits?net=shuffled")
    found = {
        "all weights drawn anew": Randomised(method, draws=3).columns(question, some),
        "random labels": likeness(method, question, some, [shuffled]),
    }
    return badge(
        repr(method), [(k, measured(k, f["rank_correlation"], f["blank"])) for k, f in found.items()]
    ).verdict


def test_on_digits_gradient_times_input_is_red_and_grad_cam_green():
    assert on_digits(GradientTimesInput()) == "fail"
    assert on_digits(GradCAM()) == "pass"


def test_on_digits_guided_backpropagation_is_red():
    assert on_digits(Bent(Gradient(), Guided())) == "fail"
