"""What is timed: a network, its images and labels, and how large a change is allowed."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..data.address import open_data
from ..model import Model
from ..zoo.address import load
from ..zoo.torchvision import torchvision_network


class Setting(NamedTuple):
    """One network with images [B, 3, side, side] and the labels it gives them, so that no image is done before."""

    name: str
    net: nn.Module
    x: Tensor
    y: Tensor
    layer: str
    """The last layer with positions."""
    eps: float
    """So small that no image flips: everyone takes all steps."""

    @property
    def last(self) -> nn.Module:
        return self.net.get_submodule(self.layer)


def setting(name: str, side: int, batch: int, device: str) -> Setting:
    """A network of torchvision with random weights (times do not depend on them) and random images."""
    found: Any = torchvision_network(name, pretrained=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in found.net.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    net = found.net.to(device).eval()
    x = torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    model = Model(net)
    return Setting(name, net, x, model(x).argmax(1), model.last_spatial_layer(x), 1e-7)


def digits_setting(n: int = 200, eps: float = 0.1) -> Setting:
    """The embedded network over images that it gets right: here attacks succeed or not."""
    model, data = load("unfool:digits"), open_data("unfool:digits")
    batch = data.batch(data.ids(), None, model.classes)
    right = (model(batch.x).argmax(1) == batch.y).nonzero()[:n, 0]
    x = batch.x[right]
    return Setting("digits", model.net, x, batch.y[right], model.last_spatial_layer(x), eps)
