"""Neither 50 less on every logit nor logits 10,000 times as large change a label: no attack may become weaker by it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from oracles import images
from test_every_method import ATTACKS
from unfool.attacks.base import Attack
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.lbfgs import BoxLBFGS
from unfool.attacks.standard import AutoAttack
from unfool.model import Model
from unfool.objectives import CrossEntropy

N = 16


class Linear(nn.Module):
    """Ten classes, whose logits are multiplied and moved."""

    def __init__(self, scale: float = 1.0, shift: float = 0.0):
        super().__init__()
        self.scale, self.shift = scale, shift
        self.w = nn.Parameter(torch.randn(10, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * torch.einsum("bchw,kchw->bk", x - 0.5, self.w) + self.shift


X = images(N, 3, 8, 8, dtype=torch.float64)
Y = Linear().double()(X).argmax(1)
SURE = [
    replace(a, steps=20)
    if isinstance(a, BoxLBFGS)
    else a  # large logits have sharp kinks to find a way round
    for a in ATTACKS
    if a.asks != "labels" and not isinstance(a, AutoAttack)
]


def fooled(attack: Attack, **how: float) -> int:
    norm = attack.usable[0]
    within = None if attack.nearest else norm(0.02 * norm(1.0).most(X))
    return int(attack(Model(Linear(**how).double()), X, Y, within=within).success.sum())


@pytest.mark.parametrize("attack", SURE, ids=repr)
def test_no_attack_is_weaker_where_logits_are_shifted_or_large(attack: Attack):
    plain = fooled(attack)
    assert fooled(attack, shift=-50.0) == plain
    assert fooled(attack, scale=1e4) >= plain - 1


@pytest.mark.parametrize("attack", [FGSM(loss=CrossEntropy()), PGD(loss=CrossEntropy())], ids=repr)
def test_cross_entropy_itself_saturates(attack: Attack):
    assert fooled(attack, scale=1e4) < fooled(attack) / 2
