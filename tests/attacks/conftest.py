"""A small network that really classifies digits, trained in about a second."""

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from unfool.model import Model


class Digits(NamedTuple):
    net: nn.Module
    x: Tensor
    y: Tensor

    @property
    def model(self) -> Model:
        return Model(self.net)


@pytest.fixture(scope="session")
def digits() -> Digits:
    """The network, and 100 digits that it has not been trained on and gets right."""
    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(data.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 16, 3),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(256, 10),
        )
        adam = torch.optim.Adam(net.parameters(), 5e-3)
        for _ in range(6):
            for rows in torch.randperm(1400).split(100):
                adam.zero_grad()
                F.cross_entropy(net(x[rows]), y[rows]).backward()
                adam.step()
    net.eval()
    right = 1400 + (net(x[1400:]).argmax(1) == y[1400:]).nonzero()[:, 0]
    assert len(right) > 350
    return Digits(net, x[right[:100]], y[right[:100]])
