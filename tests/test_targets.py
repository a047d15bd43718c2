"""Targets of maps of scores: a region's mean, a pixel, a landmark's peak, mean position and spread, a likeness.

For an output z = c * x (a 1x1 convolution) the gradient of each is known: c / N on the region, c at the pixel, else 0.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import images, same
from unfool.attributions.base import Attribution
from unfool.attributions.gradient import Gradient
from unfool.attributions.wrappers import SmoothGrad
from unfool.errors import InputError
from unfool.landmarks import Coordinate, Landmark, Spread
from unfool.method import Question
from unfool.model import Model
from unfool.objectives import Logit, Margin
from unfool.rows import Batch
from unfool.runs.work import answered
from unfool.targets import Like, Pixel, Segment

X = images(2, 1, 5, 6)


def pointwise(*weights: float) -> nn.Module:
    """One map of scores per weight: the image times it."""
    net = nn.Conv2d(1, len(weights), 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(weights).view(-1, 1, 1, 1))
    return net.eval()


def grad(objective: Any, target: Any, net: nn.Module | None = None, x: Tensor = X, **given: Tensor) -> Tensor:
    return Gradient()(
        Model(net or pointwise(1.0, -2.0, 0.5)), x, target, objective=objective, given=given
    ).heat[:, 0]


def test_a_segment_is_the_mean_over_the_mask():
    mask = torch.zeros(2, 1, 5, 6)
    mask[0, 0, 1:3, 2:4] = mask[1, 0, 4, 5] = 1
    found = grad(Segment("mask"), 1, mask=mask)
    assert same(found, -2 * mask[:, 0] / mask.flatten(1).sum(1).view(2, 1, 1))
    assert same(grad(Segment("mask", whole=True), 1, mask=mask), -2 * mask[:, 0])


def test_a_predicted_segment_is_where_the_network_says_so():
    """Scores x and 0.8 - x: class 0 where x > 0.4."""
    net = nn.Conv2d(1, 2, 1).eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        net.bias.copy_(torch.tensor([0.0, 0.8]))
    here = (X > 0.4)[:, 0].float()
    assert same(grad(Segment(), 0, net), here / here.flatten(1).sum(1).view(2, 1, 1))
    assert same(grad(Segment("everywhere"), 0, net), torch.full((2, 5, 6), 1 / 30))


def test_the_predicted_mask_is_that_of_the_image_itself():
    """Noisy copies of the image are asked about the mask of the image, not their own."""
    net = nn.Conv2d(1, 2, 1).eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        net.bias.copy_(torch.tensor([0.0, 0.8]))
    smooth = SmoothGrad(samples=4, sigma=1.0)(Model(net), X, 0, objective=Segment())
    assert same(smooth.heat[:, 0], grad(Segment(), 0, net))
    assert smooth.cost["forward"] == 2 * (4 + 1)


def test_a_pixel_of_a_class():
    found = grad(Pixel(), [[1, 2, 3], [2, 0, 5]])
    expected = torch.zeros(2, 5, 6)
    expected[0, 2, 3], expected[1, 0, 5] = -2, 0.5
    assert same(found, expected)


def test_a_landmark_is_explained_at_its_peak():
    x = torch.zeros(2, 1, 5, 6)
    x[0, 0, 3, 1] = x[1, 0, 0, 4] = 0.9
    peak = (x[:, 0] > 0).float()
    assert same(grad(Landmark(), 0, x=x), peak)
    around = grad(Landmark(around=1), 0, x=x)
    assert around[0, 2:5, 0:3].eq(1 / 9).all()
    assert int((around[0] != 0).sum()) == 9
    assert around[1, 0:2, 3:6].allclose(torch.tensor(1 / 6))
    assert int((around[1] != 0).sum()) == 6


def test_coordinate_and_spread_are_those_of_the_softmax():
    """Two equal sharp peaks in columns 1 and 5: mean 3, standard deviation 2; pushing one up moves the mean to it."""
    x = torch.zeros(1, 1, 5, 6)
    x[0, 0, 2, 1] = x[0, 0, 2, 5] = 1
    model = Model(pointwise(50.0, 1.0))
    column = Gradient()(model, x, 0, objective=Coordinate())
    assert column.score.item() == pytest.approx(3)
    assert Gradient()(model, x, 0, objective=Coordinate(axis=0)).score.item() == pytest.approx(2)
    assert column.heat[0, 0, 2, 5] == pytest.approx(50 * 0.5 * (5 - 3))
    assert column.heat[0, 0, 2, 1] == -column.heat[0, 0, 2, 5]
    assert Gradient()(model, x, 0, objective=Spread()).score.item() == pytest.approx(2)


def test_likeness_to_another_image():
    net = nn.Sequential(nn.Flatten(), nn.Linear(30, 4)).eval()
    model = Model(net)
    other = model(X.flip(0)).detach()
    found = Gradient()(model, X, objective=Like("1"), given={"reference": other})
    assert same(found.score, torch.cosine_similarity(model(X), other))
    alone = Gradient()(model, X, objective=Like("1"), given={"reference": other[:1]})
    assert same(alone.score[0], found.score[0])


def test_targets_add_up():
    mask = torch.zeros(2, 1, 5, 6)
    mask[:, 0, 1, 1] = 1
    both = grad(Segment("mask") - 0.5 * Logit(), 0, mask=mask)
    assert same(both, mask[:, 0] - 0.5 / 30)


WRONG = [
    (Segment("mask"), 0, {}, "needs the images' masks"),
    (Segment("mask"), 0, {"mask": torch.zeros(2, 1, 5, 6)}, "image 0 of the batch: its mask is empty"),
    (Segment("mask"), 0, {"mask": torch.ones(3, 1, 5, 6)}, "mask must have one row for each of 2 images"),
    (Segment(), 1, {}, "image 0 of the batch: no position of class 1 to explain"),
    (Pixel(), 1, {}, "class and 2 coordinates"),
    (Pixel(), [0, 5, 0], {}, r"pixels lie in \[5, 6\]"),
    (Like(), 0, {}, "needs what to compare with"),
    (Landmark(), 7, {}, "must be 0 to|is not one of them"),
    (Coordinate(axis=2), 0, {}, "has 2 axes"),
]


@pytest.mark.parametrize(("objective", "target", "given", "message"), WRONG, ids=str)
def test_what_does_not_fit_is_one_sentence(
    objective: Any, target: Any, given: dict[str, Tensor], message: str
):
    with pytest.raises(InputError, match=message):
        grad(objective, target, **given)


def test_a_classifier_has_no_regions():
    net = nn.Sequential(nn.Flatten(), nn.Linear(30, 4)).eval()
    with pytest.raises(InputError, match="asks for a map of scores") as caught:
        grad(Segment(), 0, net)
    assert caught.value.hint == "use Logit()"
    assert grad(Margin(), 0, net).shape == (2, 5, 6)


def blobs() -> nn.Module:
    """Scores 0, x - 0.5 and 0.1 - x: class 1 where x > 0.5, class 2 where x < 0.1."""
    net = nn.Conv2d(1, 3, 1).eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([0.0, 1.0, -1.0]).view(3, 1, 1, 1))
        net.bias.copy_(torch.tensor([0.0, -0.5, 0.1]))
    return net


def two_lesions() -> Tensor:
    x = torch.full((1, 1, 5, 6), 0.3)
    x[0, 0, 0, 0:2] = x[0, 0, 3:5, 4] = 0.9
    x[0, 0, 2, 0:3] = 0.0
    return x


def test_of_several_lesions_the_one_that_is_meant():
    x, net = two_lesions(), blobs()
    both, one = grad(Segment(), 1, net, x), grad(Segment(at=(4, 4)), 1, net, x)
    assert both[0].nonzero().tolist() == [[0, 0], [0, 1], [3, 4], [4, 4]]
    assert one[0].nonzero().tolist() == [[3, 4], [4, 4]]
    assert same(one[0][one[0] != 0], torch.full((2,), 0.5))
    given = grad(Segment("mask", at=(0, 1)), 1, net, x, mask=x > 0.5)
    assert given[0].nonzero().tolist() == [[0, 0], [0, 1]]
    with pytest.raises(InputError, match="no position of class 1 at"):
        grad(Segment(at=(1, 1)), 1, net, x)
    with pytest.raises(InputError, match="positions of the map lie in"):
        grad(Segment(at=(5, 1)), 1, net, x)


def test_a_mask_may_be_a_map_of_classes():
    x = two_lesions()
    mask = torch.zeros(1, 1, 5, 6, dtype=torch.uint8)
    mask[0, 0, 0, 0], mask[0, 0, 4, 5] = 1, 2
    for y, place in ((1, [0, 0]), (2, [4, 5])):
        assert grad(Segment("mask"), y, blobs(), x, mask=mask)[0].nonzero().tolist() == [place]
    assert grad(Segment("mask", at=(4, 5)), 2, blobs(), x, mask=mask)[0].nonzero().tolist() == [[4, 5]]
    larger = mask.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert same(
        grad(Segment("mask"), 2, blobs(), x, mask=larger), grad(Segment("mask"), 2, blobs(), x, mask=mask)
    )


def test_where_no_class_is_named_it_is_the_largest_but_the_background():
    found = Gradient()(Model(blobs()), two_lesions(), objective=-Segment())
    assert found.target.tolist() == [1]
    plain = Gradient()(Model(blobs()), torch.full((1, 1, 5, 6), 0.3), objective=Segment())
    assert plain.target.tolist() == [0]


def test_several_targets_of_one_pass_have_each_their_own_region_and_peak():
    """What the first look fixes holds for every class, not for the first that is asked about."""
    model, x = Model(blobs()), two_lesions()
    for objective in (Segment(), Landmark()):
        together = Gradient().each(model, x, [1, 2], objective=objective)
        for y, found in zip((1, 2), together, strict=True):
            assert same(found.heat, Gradient()(model, x, y, objective=objective).heat)
        assert not same(together[0].heat, together[1].heat)


def test_one_pixel_of_every_image():
    from unfool.targets import Neuron

    found = grad(Neuron("output", (2, 3)), 1)
    expected = torch.zeros(2, 5, 6)
    expected[:, 2, 3] = -2
    assert same(found, expected)


LEAVING_OUT: list[tuple[Any, int | None, dict[str, str]]] = [
    (Segment("mask"), 1, {"b": "no position of spot in its mask"}),
    (2 * Segment("mask") - Logit(), 1, {"b": "no position of spot in its mask"}),
    (Segment("mask", at=(4, 5)), 1, dict.fromkeys("ab", "no position of spot at (4, 5)")),
    (Segment(), 1, {"a": "no position of spot to explain"}),
    (Segment(), None, {}),
    (Segment(at=(1, 1)), 1, dict.fromkeys("ac", "no position of spot at (1, 1)")),
    (Segment("everywhere"), 1, {}),
    (Landmark(), 1, {}),
    (Landmark(least=0.55), 1, {"a": "spot is nowhere as probable as 0.55"}),
]


def three_images() -> tuple[Batch, nn.Module]:
    """The network finds class 1 where an image is above 0.5: nowhere, in the middle, in a corner.

    By their masks it is at one place of the first and of the third image, and nowhere in the second.
    """
    x = torch.full((3, 1, 5, 6), 0.3)
    x[1, 0, 1, 1], x[2, 0, 4, 5] = 0.9, 1.0
    mask = torch.zeros(3, 1, 5, 6, dtype=torch.uint8)
    mask[0, 0, 2, 2], mask[2, 0, 4, 5], mask[1, 0, 0, 0] = 1, 1, 2
    mask[2, 0, 0, 0] = 2
    net = nn.Conv2d(1, 2, 1).eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
        net.bias.copy_(torch.tensor([0.0, -0.5]))
    return Batch(("a", "b", "c"), x, torch.full((3,), -1), mask), net


@pytest.mark.parametrize(("objective", "target", "errors"), LEAVING_OUT, ids=str)
@pytest.mark.parametrize("method", [Gradient(), SmoothGrad(samples=2, sigma=0.0)], ids=repr)
def test_a_run_goes_on_without_images_that_lack_what_is_asked_about(
    method: Attribution, objective: Any, target: int | None, errors: dict[str, str]
):
    """Each with its reason, whichever pass comes first; the others are as if they had come alone."""
    batch, net = three_images()
    model = Model(net, classes=("rest", "spot"))
    part = answered(method, Question(model, target=target, objective=objective), batch)
    assert part.errors == errors
    for k, i in enumerate(batch.ids):
        heat = part.columns["heat"][k]
        assert heat.isnan().all() if i in errors else torch.isfinite(heat).all()
    rest = torch.tensor([i not in errors for i in batch.ids])
    alone = method.columns(Question(model, target=target, objective=objective), batch[rest])
    assert torch.equal(part.columns["heat"][rest], alone["heat"])


def test_what_lacks_costs_no_look_of_its_own():
    """One pass an image where nothing lacks, as of any class; else the first one again for the rest."""
    batch, net = three_images()
    seen: list[int] = []

    class Counted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return net(x)

    question = Question(Model(Counted().eval()), target=1, objective=Segment())
    answered(Gradient(), question, batch[torch.tensor([1, 2])])
    assert seen == [2]
    seen.clear()
    assert answered(Gradient(), question, batch).errors.keys() == {"a"}
    assert seen == [3, 2]
    assert answered(Gradient(), question, batch[torch.tensor([0])]).columns == {}


def test_a_run_leaves_out_images_whose_mask_is_empty():
    mask = torch.zeros(2, 1, 5, 6)
    mask[1, 0, 2, 2] = 1
    batch = Batch(("a", "b"), X, torch.tensor([0, 0]), mask)
    question = Question(Model(pointwise(1.0, -2.0)), target=0, objective=Segment("mask"))
    part = answered(Gradient(), question, batch)
    assert part.errors == {"a": "its mask is empty"}
    assert part.columns["heat"][0].isnan().all()
    assert int((part.columns["heat"][1] != 0).sum()) == 1
