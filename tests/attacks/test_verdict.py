"""On a plane that is r away, an attack within eps flips an image if and only if r < eps: so each verdict is known."""

import torch

from oracles import Plane, images
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.noise import RandomNoise
from unfool.attacks.verdict import HOLDS, WRONG, Verdict
from unfool.method import Question
from unfool.model import Model
from unfool.regions import Linf
from unfool.rows import Batch

NET = Plane(3, 6, 6)
X = images(40, 3, 6, 6, low=0.45, high=0.55)
Y = NET.label(X)
Y[:3] = 1 - Y[:3]
BATCH = Batch(tuple(map(str, range(40))), X, Y)
EPS = float(NET.radius(X, "Linf").median())
ATTACKS = (RandomNoise(draws=3), FGSM(), PGD(steps=5))


def test_an_image_flips_where_the_plane_is_near_enough_and_the_first_attack_to_do_it_is_named():
    found = Verdict(ATTACKS).columns(Question(Model(NET), Linf(EPS)), BATCH)
    near = NET.radius(X, "Linf") < EPS
    assert (found["by"][:3] == WRONG).all()
    assert torch.equal(found["flipped"][3:], near[3:])
    assert set(found["by"][3:][near[3:]].tolist()) <= {0, 1}  # one step is enough on a plane
    assert (found["by"][3:][~near[3:]] == HOLDS).all()


def test_passes_are_counted_by_attack_and_row():
    found = Verdict(ATTACKS).columns(Question(Model(NET), Linf(EPS)), BATCH)
    by, forward, backward = found["by"], found["forward"], found["backward"]
    assert not forward[by == WRONG].any()
    assert (forward[by == 0, 0] <= 3).all()  # three draws at most, the last judged with the result
    assert not forward[by == 0, 1:].any()
    assert (forward[by == HOLDS] == torch.tensor([3, 2, 6])).all()  # with one pass to judge each result
    assert (backward[by == HOLDS] == torch.tensor([0, 1, 5])).all()
