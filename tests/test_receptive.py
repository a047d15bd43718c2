"""Receptive fields: r_l = r_{l-1} + (k - 1) j, j_l = j s by the textbook; 7, 11, 43, 99, 211 of ResNet-18."""

import pytest
import torch
from torch import Tensor, nn

from oracles import images
from unfool.errors import InputError
from unfool.model import Model
from unfool.receptive import receptive_fields
from unfool.zoo.torchvision import torchvision_network


def test_one_layer_by_hand():
    """Two convolutions of 3 with strides 2 and 1: 3 + 2 * 2 = 7, starting at 2 p - 1 - 2 where padded by 1."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1))
    field = receptive_fields(Model(net), images(1, 1, 32, 20), ["2"])["2"]
    assert field.sides == (16, 10)
    assert field.size == (7, 7)
    for p in range(16):
        assert field.at((p, 5))[0] == slice(max(0, 2 * p - 3), min(32, 2 * p + 4))
    assert field.at((0, 9))[1] == slice(15, 20)
    assert not field.whole
    assert field.inside((7, 5))
    assert not field.inside((1, 5))


class Branches(nn.Module):
    """A dilated and a plain branch, joined: the box is that of the larger."""

    def __init__(self):
        super().__init__()
        self.wide, self.near = nn.Conv2d(2, 3, 3, dilation=4, padding=4), nn.Conv2d(2, 3, 1)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(torch.relu(self.wide(x) + self.near(x)))


class Gated(nn.Module):
    """Squeeze and excite: every position sees everything."""

    def __init__(self):
        super().__init__()
        self.body, self.gate, self.last = nn.Conv2d(2, 4, 3), nn.Linear(4, 4), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return self.last(x * self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None])


@pytest.mark.parametrize("side", [21, 32])
def test_dilation_branches_and_pooling_are_seen_through(side: int):
    field = receptive_fields(Model(Branches()), images(1, 2, side, 32), ["pool"])["pool"]
    assert field.size == (10, 10)
    assert field.sides[0] == -(-side // 2)


def test_the_whole_image_is_said_where_every_position_sees_it():
    found = receptive_fields(Model(Gated()), images(1, 2, 12, 14), ["body", "last"])
    assert found["body"].size == (3, 3)
    assert found["last"].whole
    assert found["last"].at((0, 0)) == (slice(0, 12), slice(0, 14))


@pytest.mark.parametrize("space", [(11,), (9, 10), (6, 7, 8)])
def test_any_number_of_dimensions(space: tuple[int, ...]):
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(space)]
    net = nn.Sequential(convolution(1, 2, 3, padding=1), nn.ReLU())
    field = receptive_fields(Model(net), images(1, 1, *space), ["1"], middle=True)["1"]
    assert field.size == (3,) * len(space)


def test_the_middle_alone_takes_no_more_than_two_looks_a_bit_and_axis():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
    asked = []
    net.register_forward_pre_hook(lambda module, args: asked.append(len(args[0])))
    found = receptive_fields(Model(net), images(1, 1, 64, 64), ["1"], middle=True)["1"]
    assert sum(asked[1:]) <= 2 * 2 * 7  # the first looks for layers with positions
    assert found.size == (3, 3)


class Deaf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.nan_to_num()


def test_what_stops_nan_is_told():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), Deaf(), nn.Conv2d(2, 2, 3))
    with pytest.raises(InputError, match="NaN in the image does not reach layer '1'"):
        receptive_fields(Model(net), images(1, 1, 9, 9), ["1"])


NETS = [
    "resnet18",
    "vgg11",
    "densenet121",
    "mobilenet_v2",
    "squeezenet1_1",
    "regnet_x_400mf",
    "shufflenet_v2_x0_5",
    "convnext_tiny",
    "alexnet",
    "mnasnet0_5",
]


def smooth(net: nn.Module) -> nn.Module:
    """The same paths, none of them ever cut: the gradient of a maximum or of a closed rectifier has less support."""
    for module in net.modules():
        for name, part in module.named_children():
            if isinstance(part, nn.MaxPool2d):
                size = part.kernel_size, part.stride, part.padding, part.ceil_mode
                setattr(module, name, nn.AvgPool2d(*size))
            elif isinstance(part, (nn.ReLU6, nn.GELU)):
                setattr(module, name, nn.Identity())
    for p in net.parameters():
        p.data = p.data.abs().clamp_min(1e-3)
    return net.double()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_they_are_the_support_of_the_gradient(name: str):
    net = torchvision_network(name, pretrained=False).net.eval()
    x = torch.rand(1, 3, 160, 192) * 0.1 + 0.5
    grids = Model(net).spatial_layers(x)
    layers = [list(grids)[k] for k in (2, len(grids) // 4, len(grids) // 2)]
    fields = receptive_fields(Model(net), x, layers, middle=True)
    model = Model(smooth(net))
    for layer, field in fields.items():
        leaf = x.double().requires_grad_()
        out = grids[layer].maps(model.trace(leaf, (layer,))[layer])
        middle = tuple(side // 2 for side in grids[layer].sides)
        (grad,) = torch.autograd.grad(out[(0, slice(None), *middle)].cumsum(0).sum(), leaf)
        seen = (grad[0].abs().sum(0) > 0).nonzero()
        box = field.at(middle)
        assert [int(t) for t in seen.amin(0)] == [one.start for one in box], layer
        assert [int(t) + 1 for t in seen.amax(0)] == [one.stop for one in box], layer
    assert any(not field.whole for field in fields.values())


@pytest.mark.slow
def test_resnet18_by_the_textbook():
    model = Model(torchvision_network("resnet18", pretrained=False).net.eval())
    layers = ["conv1", "maxpool", "layer1", "layer2", "layer3"]
    found = receptive_fields(model, torch.zeros(1, 3, 224, 224), layers, middle=True)
    assert [field.size[0] for field in found.values()] == [7, 11, 43, 99, 211]
