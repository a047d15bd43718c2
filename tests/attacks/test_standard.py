"""On a plane an evaluation is exact: what holds is farther away than eps. Never weaker than AutoAttack's suite."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oracles import Plane, conv, images, random_state, same, state_of
from unfool.attacks.auto import APGD, TargetedAPGD
from unfool.attacks.boundary import FAB
from unfool.attacks.square import Square
from unfool.attacks.standard import AutoAttack, Evaluation, Standard
from unfool.attacks.verdict import Verdict
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.method import Method, Question
from unfool.model import Model
from unfool.objectives import CrossEntropy
from unfool.regions import L0, L1, L2, Linf, Norm
from unfool.rows import Batch
from unfool.slopes import StraightThrough
from unfool.spec import parse
from unfool.zoo.address import load
from unfool.zoo.file import file_network

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
NET = Plane(3, 6, 6)
X = images(12, 3, 6, 6, low=0.45, high=0.55)
Y = NET.label(X)
EVALUATIONS = [Standard(), Standard("thorough"), AutoAttack()]


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=repr)
def test_its_text_rebuilds_it(evaluation: Evaluation):
    assert parse(repr(evaluation), Method) == evaluation


@pytest.mark.slow
@pytest.mark.parametrize("norm", [Linf, L2, L1])
def test_on_a_plane_it_is_right_about_every_image_but_those_on_the_edge(norm: type[Norm]):
    radius = NET.radius(X, norm.__name__)
    eps = float(radius.median())
    found = Standard()(Model(NET), X, Y, within=norm(eps))  # pyright: ignore[reportCallIssue]
    clear = (radius / eps - 1).abs() > 0.02
    assert same(found.success[clear], radius[clear] < eps)


def test_the_published_suite_is_in_its_published_order():
    assert AutoAttack().attacks("gradients", Linf()) == (
        APGD(100, CrossEntropy()),
        TargetedAPGD(100, 9),
        FAB(steps=100, candidates=9, apart=True),
        Square(queries=5000),
    )


@pytest.mark.parametrize("norm", [Linf, L2, L1, L0])
@pytest.mark.parametrize("access", ["gradients", "scores", "labels"])
def test_it_knows_what_a_model_gives_and_what_a_norm_allows(access: str, norm: type[Norm]):
    within: Any = norm(1.0)  # pyright: ignore[reportCallIssue]
    if (access != "gradients" and norm is L1) or (access == "labels" and norm is L0):
        with pytest.raises(InputError, match=f"no attack in {norm.__name__} for a model that gives {access}"):
            Standard().attacks(access, within)
        return
    chosen = Standard().attacks(access, within)
    assert all(norm in attack.usable for attack in chosen)
    order = ("labels", "scores", "gradients")
    assert all(order.index(attack.asks) <= order.index(access) for attack in chosen)


def test_a_black_box_is_evaluated_by_its_answers():
    box = Model.scores(lambda x: NET(torch.from_numpy(x)).detach().numpy())
    eps = float(NET.radius(X, "Linf").max()) * 2
    assert Standard()(box, X, Y, within=Linf(eps)).success.all()


def test_targets_are_reached_and_not_mistaken_for_rivals():
    found = Standard()(Model(NET), X, target=1 - Y, within=Linf(2 * float(NET.radius(X, "Linf").max())))
    assert same(found.label, 1 - Y)


def test_it_follows_what_it_is_told_to_follow():
    slope = StraightThrough()
    assert Standard(slope=slope).attacks("gradients", Linf())[0].slope == slope  # type: ignore[attr-defined]


def test_two_classes_volumes_and_few_images_work():
    net, x = conv(1, classes=2, dims=3), images(2, 1, 6, 8, 8)
    found = Standard()(Model(net), x, net(x).argmax(1), within=Linf(0.5))
    assert found.x.shape == x.shape


def test_the_network_is_left_as_it_was():
    net, x = conv().train(), images(2, 3, 8, 8)
    wrapped = Model(net.eval())
    before, numbers = state_of(net), random_state()
    Standard()(wrapped, x, net(x).argmax(1), within=Linf(0.3))
    assert state_of(net) == before
    assert random_state() == numbers


def passes(found: dict[str, torch.Tensor]) -> tuple[float, float]:
    return tuple(float(found[way].sum()) / len(found["by"]) for way in ("forward", "backward"))  # type: ignore[return-value]


@pytest.mark.slow
def test_it_is_never_weaker_than_the_published_suite_for_a_fifth_of_its_passes():
    model, data = load("unfool:digits?robust=1"), open_data("unfool:digits")
    batch, question = data.batch(data.ids()[:12], None, model.classes), Question(model, Linf(0.2))
    ours, theirs = (
        Verdict(e.attacks("gradients", Linf(0.2))).columns(question, batch)
        for e in (Standard(), AutoAttack())
    )
    assert not (theirs["flipped"] & ~ours["flipped"]).any()
    for mine, published in zip(passes(ours), passes(theirs), strict=True):
        assert mine <= published / 5


@pytest.mark.slow
@pytest.mark.skipif(
    not SHARED.exists(), reason="the folder of real networks and images is not beside the checkout"
)
def test_an_adversarially_trained_network_holds_where_a_plain_one_falls():
    file = np.load(SHARED / "mnist" / "test.npz")
    x = torch.from_numpy(file["x"][:12]).float().view(12, 1, 28, 28) / 255
    batch = Batch(tuple(map(str, range(12))), x, torch.from_numpy(file["y"][:12]).long())
    right = []
    for name in ("mnist_plain", "mnist_robust"):
        found: Any = file_network(str(SHARED / "networks.py"), name)
        attacks = Standard().attacks("gradients", Linf(0.3))[:2]
        right.append(
            int((~Verdict(attacks).columns(Question(Model(found.net), Linf(0.3)), batch)["flipped"]).sum())
        )
    assert right[0] == 0
    assert right[1] >= 9
