"""Images made from images: a layer that keeps everything is inverted exactly, a linear layer's caricature is its image.

A match is minus the squared distance over the squared length; a caricature's score is the mean dot product with the
other's unit activation, weighted by its length.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import conv, images, residual, same, state_of
from unfool.aims import Activity, Caricature, Match
from unfool.errors import InputError
from unfool.framing import Pad
from unfool.model import Model
from unfool.spec import parse
from unfool.synthesis.base import Synthesis
from unfool.synthesis.canvas import Pixels
from unfool.synthesis.likeness import Accentuate, DeepDream, Exaggerate, Invert
from unfool.synthesis.maximise import Maximise
from unfool.targets import Channel
from unfool.zoo.address import load

SHORT = Maximise(steps=3)
METHODS: list[Synthesis] = [
    Invert("2", how=SHORT),
    Exaggerate("2", how=SHORT),
    DeepDream("2", how=SHORT),
    Accentuate("0", how=SHORT),
]
each = pytest.mark.parametrize("method", METHODS, ids=repr)


def test_a_match_is_minus_the_relative_squared_distance():
    here, there = images(2, 3, 4, 4), images(2, 3, 4, 4, seed=1)
    y = torch.zeros(2, dtype=torch.long)
    score = Match("l").score({"l": here, "reference": there}, y)
    expected = -((here - there).flatten(1).norm(dim=1) ** 2) / there.flatten(1).norm(dim=1) ** 2
    assert torch.allclose(score, expected)
    assert (Match("l").score({"l": there, "reference": there}, y) == 0).all()


def test_a_caricature_of_itself_scores_its_own_mean_length_weighted():
    there, y = images(1, 3, 2, 2), torch.zeros(1, dtype=torch.long)
    length = there.norm(dim=1).flatten()
    expected = (length * length / length.mean()).mean()
    for power in (0.0, 2.0):
        score = Caricature("l", power).score({"l": there, "reference": there}, y)
        assert torch.allclose(score[0], expected)
    assert Caricature("l").score({"l": -there, "reference": there}, y) < 0
    assert torch.allclose(Activity("l").score({"l": there}, y)[0], there.square().mean())


def test_a_layer_that_keeps_all_is_inverted_and_a_mean_only_up_to_the_mean():
    keeps = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    nn.init.ones_(keeps[0].weight)
    x = images(3, 1, 6, 6, low=0.1, high=0.9)
    how = Maximise(Pixels(), (), steps=150, rate=0.02)
    all_of_it, mean = (Invert(layer, how)(Model(keeps, outputs="logits"), start=x).x for layer in ("0", "1"))
    assert torch.allclose(all_of_it, x, atol=5e-3)
    assert torch.allclose(mean.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=5e-3)
    assert not torch.allclose(mean, x, atol=0.1)


def test_an_accent_raises_the_class_and_the_more_the_layer_weighs_the_less_it_changes():
    model, x = load("unfool:digits"), digits()
    how = Maximise(steps=30, rate=0.02, through=(Pad(0.03, ()),))
    loose, tight = (Accentuate("features.1", weight, how)(model, 3, start=x) for weight in (1.0, 300.0))
    before = model(x)[:, 3]
    assert (model(loose.x)[:, 3] > before).all()
    assert ((tight.x - x).flatten(1).norm(dim=1) < (loose.x - x).flatten(1).norm(dim=1)).all()


def test_a_dream_raises_what_the_layer_does_and_begins_at_the_image():
    model, x = load("unfool:digits"), digits()
    made = DeepDream("features.3")(model, start=x)
    assert (made.history[:, -1] > made.history[:, 0]).all()
    first = DeepDream("features.3", how=Maximise(steps=1, rate=1e-9, through=()))(model, start=x).x
    assert torch.allclose(first, x, atol=0.1)


def digits() -> Tensor:
    from unfool.data.address import open_data

    source = open_data("unfool:digits")
    return source.batch(source.ids()[:3]).x


@each
def test_it_keeps_what_every_synthesis_keeps(method: Synthesis):
    assert parse(repr(method), Synthesis) == method
    net, x = conv().double(), images(4, 3, 8, 8, dtype=torch.float64)
    before = state_of(net)
    whole = method(Model(net), start=x, ids=list("abcd"))
    assert state_of(net) == before
    assert whole.x.shape == x.shape
    assert whole.x.min() >= 0
    assert whole.x.max() <= 1
    assert whole.cost == {"forward": 4 * 3 + 2 * 4 + 1, "backward": 4 * 3}
    alone = method(Model(net, capacity=1), start=x[2:3], ids=["c"])
    if not isinstance(method, Accentuate):  # whose y is the row's number
        assert torch.allclose(alone.x[0], whole.x[2], atol=1e-9)
    assert method(Model(conv(1, dims=3)), start=images(2, 1, 4, 5, 6)).x.isfinite().all()


def test_several_images_accented_for_one_unit_do_not_depend_on_each_other():
    x, net = images(3, 3, 8, 8, dtype=torch.float64), residual().double()
    method = Accentuate("conv", how=SHORT)
    whole: Any = method(Model(net), 2, start=x, objective=Channel("conv"), ids=list("abc"))
    alone: Any = method(Model(net), 2, start=x[1:2], objective=Channel("conv"), ids=["b"])
    assert torch.allclose(alone.x[0], whole.x[1], atol=1e-9)
    assert not same(whole.x[0], whole.x[1])


def test_what_has_an_objective_takes_no_other():
    with pytest.raises(InputError, match="Invert has an objective of its own"):
        Invert("2")(Model(conv()), start=images(1, 3, 8, 8), objective=Channel("2"))
