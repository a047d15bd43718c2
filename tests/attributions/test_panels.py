"""Four maps of hiding one window after the other: each window's numbers are those of the image with it hidden.

For logits W x the probability, the label and the fall under each window follow from x with the window filled, which is
done here one window at a time.
"""

import pytest
import torch
from torch import Tensor, nn

from oracles import images, residual, same
from unfool.attributions.gradient import Gradient
from unfool.attributions.masking import RISE
from unfool.attributions.occlusion import Occlusion
from unfool.attributions.panels import NoiseLevels, OcclusionPanels, OtherFills
from unfool.attributions.windows import Windows
from unfool.attributions.wrappers import SmoothGrad
from unfool.errors import InputError
from unfool.maps import spearman
from unfool.model import Model

X = images(3, 3, 9, 7)
HOW = {"window": (3,), "stride": (2,), "fill": "zero"}


def by_hand(model: Model, x: Tensor, layer: str) -> tuple[Windows, Tensor, Tensor]:
    """The windows, and of every image without each the logits [W, B, K] and each feature map's sum [W, B, channels]."""
    grid = Windows.over((9, 7), (3,), (2,))
    logits, sums = [], []
    for place in grid.places(grid.corners):
        hidden = x.clone()
        hidden[(slice(None), slice(None), *place)] = 0
        trace = model.trace(hidden, ("output", layer))
        logits.append(trace["output"].detach())
        sums.append(trace[layer].detach().flatten(2).sum(2))
    return grid, torch.stack(logits), torch.stack(sums)


@pytest.mark.parametrize("layer", ["conv", "auto"])
def test_every_panel_is_that_of_images_with_one_window_hidden(layer: str):
    model, y = Model(residual()), torch.tensor([0, 3, 1])
    found = OcclusionPanels(layer=layer, **HOW)(model, X, y)
    notes = found.notes
    name = [*model.layers][int(notes["response_layer"][0])]
    assert layer in ("auto", name)
    grid, logits, sums = by_hand(model, X, name)
    assert same(found.heat, Occlusion(**HOW)(model, X, y).heat)
    rows = torch.arange(3)
    probability = logits.softmax(2)[:, rows, y].T
    assert same(notes["probability"], grid.nearest(probability))
    assert torch.equal(notes["likely"], grid.nearest(logits.argmax(2).T))
    whole = model.trace(X, (name,))[name].detach().flatten(2).sum(2)
    channel = whole.argmax(1)
    assert torch.equal(notes["response_channel"], channel)
    assert same(notes["response"], grid.nearest(sums[:, rows, channel].T))
    assert same(notes["response_whole"], whole.amax(1))


def test_one_pass_for_each_window():
    found = OcclusionPanels(**HOW)(Model(residual()), X, 0)
    assert found.cost == {"forward": 3 * (1 + 4 * 3)}
    assert found.notes["probability"].shape == (3, 9, 7)


def test_a_position_takes_the_window_whose_middle_is_nearest():
    grid = Windows.over((7,), (3,), (2,))
    assert grid.nearest(torch.tensor([[10.0, 20.0, 30.0]])).tolist() == [[10, 10, 10, 20, 20, 30, 30]]
    assert grid.spread(torch.tensor([[10.0, 20.0, 30.0]])).tolist() == [[[10, 10, 15, 20, 25, 30, 30]]]


def test_what_only_answers_has_no_feature_maps():
    model = Model(residual())
    box = Model.scores(lambda x: model(torch.from_numpy(x)).numpy())
    notes = OcclusionPanels(**HOW)(box, X, 0).notes
    assert notes.keys() == {"shown_class", "probability", "likely"}


def test_a_regression_has_no_classes():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten(), torch.nn.Linear(70, 1)).eval()
    notes = OcclusionPanels(**HOW)(Model(net, outputs="values"), X, 0).notes
    assert "probability" not in notes
    assert notes["response"].shape == (3, 9, 7)


@pytest.mark.parametrize("shape", [(1, 12), (2, 5, 4, 6)])
def test_any_number_of_dimensions(shape: tuple[int, ...]):
    conv = {1: torch.nn.Conv1d, 3: torch.nn.Conv3d}[len(shape) - 1]
    net = torch.nn.Sequential(conv(shape[0], 3, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten())
    net.append(torch.nn.Linear(3 * int(torch.tensor(shape[1:]).prod()), 4))
    found = OcclusionPanels()(Model(net.eval()), images(2, *shape))
    assert found.notes["likely"].shape == found.notes["response"].shape == (2, *shape[1:])


def test_how_alike_the_maps_of_other_fills_are():
    model = Model(residual())
    found = OtherFills(Occlusion(**HOW), fills=("zero", "mean"))(model, X, 0)
    own, other = (Occlusion(**(HOW | {"fill": fill}))(model, X, 0).map for fill in ("zero", "mean"))
    assert same(found.map, own)
    assert same(found.notes["filled"], torch.cat([own, other], 1))
    assert same(found.notes["alike"][:, 0], torch.ones(3))
    assert same(found.notes["alike"][:, 1], spearman(own, other))


def test_only_the_fill_differs():
    """The masks of RISE are random, but the same for every fill."""
    found = OtherFills(RISE(samples=20), fills=("zero",))(Model(residual()), X, 0)
    assert same(found.notes["alike"], torch.ones(3, 1))


def test_what_hides_nothing_is_one_sentence():
    with pytest.raises(InputError, match="Gradient hides nothing"):
        OtherFills(Gradient())(Model(residual()), X)
    with pytest.raises(InputError, match="no other fills"):
        OtherFills(fills=())(Model(residual()), X)


def test_levels_of_noise_begin_with_the_image_itself_and_share_their_random_numbers():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 3)), images(2, 1, 8, 8)
    net = Model(net.eval())
    inner = SmoothGrad(samples=4, sigma=0.2)
    found = NoiseLevels(inner, (0.0, 0.2, 0.5))(net, x)
    plain, smooth = Gradient()(net, x), inner(net, x)
    assert found.map.equal(smooth.map)
    assert torch.allclose(found.notes["noisy"][:, :1], plain.map, atol=1e-6)
    assert found.notes["noisy"][:, 1:2].equal(smooth.map)  # not other noise: only its level differs
    assert not torch.allclose(found.notes["noisy"][:, 2:3], smooth.map, atol=1e-4)
    with pytest.raises(InputError, match="no levels"):
        NoiseLevels(levels=())(net, x)
