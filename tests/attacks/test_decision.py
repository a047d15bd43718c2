"""On a plane the nearest wrong image is |s| / ||w||_q away (q the dual norm), and labels alone lead there."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import SPACES, Gives, Plane, images, segmenter
from unfool.attacks.asking import cosines
from unfool.attacks.base import Attack
from unfool.attacks.decision import BoundaryWalk, HopSkipJump, SurFree, across_all
from unfool.attacks.gradient import FGSM
from unfool.attacks.wrappers import Repeated
from unfool.errors import InputError
from unfool.model import Model
from unfool.regions import L2, Linf, Mask
from unfool.rows import column

NET = Plane(1, 4, 4)
X = images(6, 1, 4, 4, low=0.4, high=0.6)
Y = NET.label(X)
ATTACKS: list[Any] = [BoundaryWalk(), HopSkipJump(), SurFree(smooth=1.0)]
attacks = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: type(attack).__name__)


def labelled(net: Any, classes: int) -> Model:
    """The network as one who is told labels only sees it."""
    return Model.labels(lambda x: net(torch.from_numpy(x)).argmax(1).numpy(), classes)


@pytest.mark.parametrize(
    ("attack", "norm", "factor"),
    [
        (BoundaryWalk(), L2, 1.01),
        (HopSkipJump(), L2, 1.06),
        (HopSkipJump(), Linf, 1.1),
        (SurFree(smooth=1.0), L2, 1.01),
    ],
    ids=repr,
)
def test_on_a_plane_two_thousand_questions_come_within_a_tenth_of_the_optimum(
    attack: Any, norm: Any, factor: float
):
    found = replace(attack, queries=2000)(labelled(NET, 2), X[:1], Y[:1], within=norm.whole(X))
    size = found.l2 if norm is L2 else found.linf
    best = NET.radius(X[:1], norm.__name__)
    assert found.success.all()
    assert (size >= best * (1 - 1e-4)).all()
    assert (size <= best * factor).all()


def test_with_the_last_normal_in_mind_the_same_questions_lead_nearer_in_linf():
    net, x = Plane(1, 16, 16), images(8, 1, 16, 16, low=0.4, high=0.6, seed=3)
    model, best = labelled(net, 2), net.radius(x, "Linf")
    fresh, kept = (
        HopSkipJump(queries=1000, memory=memory)(model, x, net.label(x), within=Linf.whole(x)).linf / best - 1
        for memory in (0.0, 0.5)
    )
    assert kept.mean() < 0.9 * fresh.mean()


@attacks
def test_more_questions_are_never_worse_and_the_limit_is_exact(attack: Any):
    sizes = []
    for queries in (1, 2, 40, 150, 300):
        seen: list[int] = []

        def told(images: Any, seen: list[int] = seen) -> Any:
            seen.append(len(images))
            return NET.label(torch.from_numpy(images)).numpy()

        found = replace(attack, queries=queries)(Model.labels(told, 2), X[:3], Y[:3])
        assert (found.queries <= queries + 1).all()  # one more for the verdict
        assert sum(seen) == int(found.queries.sum())
        sizes.append(torch.where(found.success, found.l2, torch.inf))
    assert all((later <= before).all() for before, later in pairwise(sizes))
    assert sizes[-1].isfinite().any()
    assert (found.queries[found.success] == queries + 1).all()


@attacks
def test_an_image_that_is_wrong_to_begin_with_costs_one_question_and_stays(attack: Any):
    found = attack(labelled(NET, 2), X, 1 - Y)
    assert torch.equal(found.x, X)
    assert found.success.all()
    assert (found.queries == 2).all()


@attacks
def test_where_no_start_is_found_the_image_is_returned_as_it_was(attack: Any):
    always = Model.labels(lambda x: torch.zeros(len(x), dtype=torch.long), 2)
    found = replace(attack, tries=7)(always, X, torch.zeros(len(X), dtype=torch.long))
    assert torch.equal(found.x, X)
    assert not found.success.any()
    assert (found.queries == 1 + 7 + 1).all()  # itself, the tries, the verdict
    assert found.no_start.all()


@attacks
def test_a_target_is_reached_not_any_other_class(attack: Any):
    net = Gives(Plane(1, 4, 4), lambda out: torch.cat([out, out[:, :1] - 0.5], 1))
    y = net(X).argmax(1)
    found = replace(attack, queries=300)(labelled(net, 3), X, target=1 - y)
    assert found.success.all()
    assert torch.equal(found.label, 1 - y)


RARE = Gives(Plane(1, 4, 4), lambda out: torch.cat([out * 0.01, 0.0028 - (out[:, 1:] - 0.25).abs()], 1))
"""Its third class is a thin layer far from the plane: none of hundreds of random images is in it."""


@attacks
def test_a_search_begins_at_the_nearest_of_the_images_given_that_reach_the_goal(attack: Any):
    model, w = labelled(RARE, 3), NET.w.detach()
    inside = (X + column((0.25 - NET.side(X)).detach() / w.square().sum(), X) * w).clamp(0, 1)
    assert (RARE(inside).argmax(1) == 2).all()
    attack = replace(attack, queries=150, tries=20)
    alone = attack(model, X, target=2)
    assert alone.no_start.all()
    assert not alone.success.any()
    assert torch.equal(alone.x, X)
    starts = torch.cat([1 - X, inside])  # those of other classes are asked about and passed over
    found = attack(model, X, target=2, starts=starts)
    assert found.success.all()
    assert not found.no_start.any()
    assert (found.queries <= 151).all()
    apart = torch.cdist(X.flatten(1), inside.flatten(1))
    assert (found.l2 <= apart.min(1).values + 1e-6).all()
    some = attack(model, X[2:4], target=2, starts=starts.flip(0), ids=[2, 3])
    assert torch.equal(some.x, found.x[2:4])  # neither the neighbours nor the order of the starts matter


def test_starts_are_images_of_the_same_kind_and_for_attacks_that_begin_somewhere():
    with pytest.raises(InputError, match="starts of shape"):
        SurFree()(Model(NET), X, Y, starts=images(2, 1, 5, 4))
    with pytest.raises(InputError, match="FGSM does not begin"):
        FGSM()(Model(NET), X, Y, starts=X)
    found = Repeated(SurFree(queries=50), 1)(Model(NET), X, target=1 - Y, starts=1 - X)
    assert found.success.all()


@attacks
def test_outside_the_mask_nothing_moves(attack: Any):
    region = Mask(L2.whole(X), (0.0, 0.0, 1.0, 0.5))
    found = replace(attack, queries=200)(labelled(NET, 2), X, Y, within=region)
    assert torch.equal(found.x[..., 2:], X[..., 2:])
    assert found.success.any()


@attacks
@pytest.mark.parametrize("kind", SPACES)
def test_images_of_any_number_of_dimensions(attack: Any, kind: str):
    net, x = SPACES[kind]()
    found = replace(attack, queries=40)(Model(net), x, net(x).argmax(1))
    assert found.x.shape == x.shape
    assert found.x.isfinite().all()


@attacks
def test_maps_of_scores_are_judged_by_their_mean(attack: Any):
    net, x = segmenter(), images(2, 3, 8, 8)
    y = net(x).mean((2, 3)).argmax(1)
    found = replace(attack, queries=150)(Model(net), x, y)
    assert torch.equal(found.success, net(found.x).mean((2, 3)).argmax(1) != y)


@pytest.mark.parametrize("attack", [BoundaryWalk(), SurFree()], ids=repr)
def test_walks_on_spheres_know_no_other_norm(attack: Attack):
    with pytest.raises(InputError, match="does not work in Linf"):
        attack(Model(NET), X, Y, within=Linf(0.1))


@attacks
def test_labels_are_all_it_asks_for_whatever_the_scale_of_the_logits(attack: Any):
    attack, net, x = replace(attack, queries=60), Plane(1, 4, 4).double(), X.double()
    plain = attack(Model(net), x, Y)
    for dress in (lambda out: out - 50, lambda out: out * 1e4):
        assert torch.equal(attack(Model(Gives(net, dress)), x, Y).x, plain.x)
    assert torch.equal(attack(labelled(net, 2), x, Y).x, plain.x)


def test_the_normal_of_a_plane_is_found_from_labels():
    """With many probes the estimate is parallel to w: its cosine is about sqrt(2n / (2n + πd))."""
    from unfool.attacks.asking import Seat
    from unfool.attacks.decision import _normal
    from unfool.rows import Rng

    center = torch.full((1, 1, 4, 4), 0.5)
    search = _normal(Seat(center, None, L2(1.0), Rng.seeded(0, [0])), center, 0.01, 2000)
    probes = next(search)
    while True:
        try:
            probes = search.send(NET.side(probes) > 0)
        except StopIteration as end:
            normal = end.value
            break
    assert float(torch.cosine_similarity(normal.flatten(), NET.w.flatten(), 0).detach()) > 0.97


def test_cosines_are_orthonormal_and_directions_at_right_angles():
    waves = cosines(9, 6, torch.zeros((), dtype=torch.float64))
    assert torch.allclose(waves @ waves.T, torch.eye(6, dtype=torch.float64), atol=1e-12)
    direction: Tensor = across_all(images(1, 1, 3, 3, dtype=torch.float64), [waves])
    assert float((direction.flatten(1) @ waves.T).abs().max()) < 1e-6
    assert float(direction.norm()) == pytest.approx(1, abs=1e-6)
