"""An image's vector is what its last linear layer is given, or a layer's mean over positions."""

import pytest
import torch
import torch.nn.functional as F
from tests.oracles import images
from torch import nn

from unfool.data.embedded import Embedded
from unfool.errors import InputError, UnknownName
from unfool.measures.embed import Embed, EmbedPixels, penultimate
from unfool.method import Question
from unfool.model import Model
from unfool.rows import Batch
from unfool.zoo.address import load


class Functional(nn.Module):
    """Its ReLU is no module, so no layer's output is what the last layer is given."""

    def __init__(self):
        super().__init__()
        self.conv, self.spare, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean((2, 3)))


def batch_of(x):
    return Batch(tuple(map(str, range(len(x)))), x, torch.zeros(len(x), dtype=torch.long))


def embedded(net, x, layer=""):
    return Embed(layer).columns(Question(Model(net.eval())), batch_of(x))["embedding"]


def test_by_default_it_is_what_the_last_linear_layer_is_given():
    net, x = Functional(), images(3, 1, 8, 8)
    torch.testing.assert_close(embedded(net, x), F.relu(net.conv(x)).mean((2, 3)).detach())
    assert penultimate(Model(net.eval()), x).name == "head"


def test_a_network_that_ends_in_a_convolution_is_read_before_it_and_averaged():
    net = nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    x = images(3, 1, 8, 8)
    torch.testing.assert_close(embedded(net, x), net[:2](x).mean((2, 3)).detach())


def test_a_named_layer_is_averaged_over_its_positions():
    net, x = Functional(), images(3, 1, 8, 8)
    torch.testing.assert_close(embedded(net, x, "conv"), net.conv(x).mean((2, 3)).detach())


@pytest.mark.parametrize("space", [(9,), (6, 7), (4, 6, 6)])
def test_signals_pictures_and_volumes_alike(space):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(space) - 1]
    net = nn.Sequential(conv(2, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    x = images(2, 2, *space)
    net(x)
    assert embedded(net, x, "1").shape == (2, 5)
    assert embedded(net, x).shape == (2, 5 * x[0, 0].numel())
    assert EmbedPixels(side=3).columns(Question(Model(net.eval())), batch_of(x))["embedding"].shape[0] == 2


def test_the_network_is_left_as_it_was():
    net = Functional()
    embedded(net, images(2, 1, 8, 8))
    assert not any(module._forward_hooks for module in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_a_layer_that_is_not_there_tells_the_nearest():
    with pytest.raises(UnknownName, match="'feature'") as caught:
        embedded(load("unfool:digits").net, images(1, 1, 32, 32), "feature")
    assert "features" in caught.value.hint


def test_detectors_and_black_boxes_are_one_sentence():
    source = Embedded("scenes")
    batch = source.batch(source.ids()[:1])
    with pytest.raises(InputError, match="is a detector"):
        Embed().columns(Question(load("unfool:scenes")), batch)
    with pytest.raises(InputError, match="shows no layers"):
        Embed().columns(Question(Model.scores(lambda x: x.mean((2, 3)), "ab")), batch)


def test_pixels_are_the_image_averaged_and_equal_bytes_share_a_number():
    x = images(3, 1, 8, 8)
    x[2] = x[0]
    found = EmbedPixels(side=4).columns(Question(Model(Functional())), batch_of(x))
    torch.testing.assert_close(found["embedding"], F.avg_pool2d(x, 2).flatten(1))
    assert found["digest"][0] == found["digest"][2] != found["digest"][1]
