"""A channel is a channel and a position a position, in tokens and with channels last as in maps.

Two transformers of torchvision, small and with random weights: what an objective says of a layer is worked out by hand
from what a hook sees.
"""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from oracles import images, same, seeded
from unfool.aims import Caricature, Direction, Diverse
from unfool.cli.units import units_of
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import Objective
from unfool.synthesis.canvas import Pixels
from unfool.synthesis.maximise import Maximise
from unfool.targets import Channel, Neuron

X, Y = images(2, 3, 32, 48), torch.tensor([5, 2])


@seeded
def vit() -> nn.Module:
    return VisionTransformer(32, 8, 2, 2, 12, 24, num_classes=4)


@seeded
def swin() -> nn.Module:
    return SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4], num_classes=4)


NETS = [
    pytest.param(vit, "encoder.layers.encoder_layer_0", images(2, 3, 32, 32), id="ViT"),
    pytest.param(swin, "features.1", X, id="Swin"),
    pytest.param(swin, "features.3", X, id="Swin, merged"),
]
each_net = pytest.mark.parametrize(("make", "layer", "x"), NETS)


def by_hand(net: nn.Module, layer: str, x: Tensor) -> Tensor:
    """Channels first: of ViT the 4 x 4 patches behind the class token, of Swin rows and columns before channels."""
    kept = list[Tensor]()
    handle = net.get_submodule(layer).register_forward_hook(lambda _m, _x, out: kept.append(out))
    with torch.no_grad():
        net(x)
    handle.remove()
    t = kept[0]
    t = t[:, 1:].unflatten(1, (4, 4)) if t.ndim == 3 else t
    return t.permute(0, 3, 1, 2)


def score(net: nn.Module, objective: Objective, x: Tensor, **given: Tensor) -> Tensor:
    return objective.score({**Model(net).trace(x, objective.reads), **given}, Y)


@each_net
def test_channels_and_positions_are_those_of_the_layer(make, layer, x):
    net = make()
    maps = by_hand(net, layer, x)
    rows, columns = maps.shape[2:]
    own = torch.stack([maps[0, 5], maps[1, 2]])
    assert same(score(net, Channel(layer), x), own.mean((1, 2)))
    assert same(score(net, Neuron(layer), x), own[:, rows // 2, columns // 2])
    assert same(score(net, Neuron(layer, (0, -1)), x), own[:, 0, -1])
    with pytest.raises(InputError, match=rf"positions up to \[{rows}, {columns}\]"):
        score(net, Neuron(layer, (0, columns)), x)


@each_net
def test_directions_and_likenesses_go_over_channels(make, layer, x):
    net = make()
    maps = by_hand(net, layer, x).flatten(2)
    way = images(2, maps.shape[1], low=-1, high=1, seed=3)
    along = (maps * (way / way.norm(dim=1, keepdim=True))[:, :, None]).sum(1)
    assert same(score(net, Direction(layer), x, direction=way), along.mean(1))
    other = images(*x.shape, seed=1)
    there = by_hand(net, layer, other).flatten(2)
    size = there.norm(dim=1)
    weighed = (maps * there).sum(1) / size * (size / size.mean(1, keepdim=True))
    given = {"reference": Model(net).trace(other, (layer,))[layer]}
    assert same(score(net, Caricature(layer, 0.0), x, **given), weighed.mean(1))
    gram = torch.nn.functional.normalize((maps @ maps.mT).flatten(1), dim=1)
    twins = Diverse(layer).score(Model(net).trace(x, (layer,)), torch.zeros(2))
    assert same(twins, -(gram[0] @ gram[1]).expand(2))


@each_net
def test_a_made_image_raises_its_channel(make, layer, x):
    net = make()
    made = Maximise(Pixels(), (), steps=8)(Model(net), Y, start=0 * x + 0.5, objective=Channel(layer))
    maps = by_hand(net, layer, torch.cat([made.x, 0 * x[:1] + 0.5])).mean((2, 3))
    assert same(made.score, maps[[0, 1], Y])
    assert (made.score > maps[2, Y]).all()


def test_all_units_of_a_layer_are_its_channels():
    assert len(units_of(("features.1:*",), Model(swin()), X[:1])) == 8
    assert len(units_of(("encoder.layers.encoder_layer_1:*",), Model(vit()), X[:1, :, :, :32])) == 12
