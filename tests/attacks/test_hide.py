"""Hiding: the score of an object is Σ log(1 - s) over the boxes of its class that overlap it by half; it is hidden when
none of them reaches the confidence."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import images, segmenter
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.hide import Hidden, Inside, hide, look_for, objects, sticker_masks
from unfool.attacks.noise import RandomNoise
from unfool.boxes import overlap, without_doubles
from unfool.detections import detector
from unfool.errors import InputError
from unfool.model import Model
from unfool.objectives import CrossEntropy, Logit, Margin, Objective
from unfool.regions import Linf, Mask
from unfool.scenes import OCTAGON, scenes
from unfool.views import from_uint8
from unfool.zoo.detectors import DETECTORS, build_detector

BOXES = torch.tensor([[2.0, 2, 8, 8], [3.0, 2, 9, 8], [12.0, 12, 18, 18]])


class Sees(nn.Module):
    """Three boxes whose scores are those of the mean brightness inside; none at all on a dark image."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self.one(image) for image in images]

    def one(self, image: Tensor) -> dict[str, Tensor]:
        scores = [image[:, int(t) : int(b), int(le) : int(r)].mean() for le, t, r, b in BOXES.tolist()]
        keep = slice(0, 3) if image.mean() > 0.2 else slice(0, 0)
        labels = torch.tensor([1, 1, 2])
        return {"boxes": BOXES[keep], "labels": labels[keep], "scores": torch.stack(scores)[keep]}


X = images(4, 3, 20, 20, low=0.55, high=0.8)
VICTIMS = objects([BOXES[0]] * 4, [1] * 4)


def seen_by_hand(x: Tensor) -> Tensor:
    best = torch.stack([x[:, :, 2:8, le : le + 6].mean((1, 2, 3)) for le in (2, 3)])
    return best.amax(0)


def test_overlap_is_intersection_over_union_and_doubles_go():
    assert overlap(BOXES[0], BOXES).tolist() == pytest.approx([1.0, 30 / 42, 0.0])
    assert without_doubles(BOXES, torch.tensor([0.5, 0.9, 0.1])).tolist() == [1, 2]
    assert without_doubles(BOXES, torch.tensor([0.5, 0.9, 0.1]), most=0.8).tolist() == [1, 0, 2]


def test_the_score_is_the_sum_over_the_object_s_own_boxes():
    model = detector(Sees())
    score = Hidden().score({"output": model(X)}, VICTIMS)
    scores = torch.stack([X[:, :, 2:8, le : le + 6].mean((1, 2, 3)) for le in (2, 3)])
    assert torch.allclose(score, (1 - scores).log().sum(0), atol=1e-5)
    assert torch.allclose(look_for(model, X, VICTIMS).score, seen_by_hand(X))


def test_a_class_or_a_place_that_is_not_there_is_hidden():
    model = detector(Sees())
    assert look_for(model, X, objects([BOXES[0]] * 4, [2] * 4)).hidden.all()
    assert look_for(model, X, objects([BOXES[2] - 10] * 4, [2] * 4)).hidden.all()
    assert not look_for(model, X, objects([BOXES[2]] * 4, [2] * 4)).hidden.any()


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=20)], ids=repr)
def test_an_attack_hides_an_object_where_it_can_and_stays_inside(attack: Any):
    model, eps = detector(Sees()), 0.2
    found = hide(attack, model, X, VICTIMS, within=Linf(eps))
    possible = seen_by_hand(X) - eps < 0.5  # each value of a mean goes down by eps
    assert torch.equal(found.hidden, possible)
    assert possible.any()
    assert (found.x - X).abs().max() <= eps + 1e-6
    assert torch.allclose(found.score, look_for(model, found.x, VICTIMS).score)
    changed = (found.x != X).any(1)
    assert not changed[:, 12:18, 12:18].any() or attack != FGSM()


def test_a_sticker_changes_nothing_but_its_place_and_noise_is_its_control():
    model = detector(Sees())
    mask = sticker_masks(VICTIMS, (20, 20), 0.7)
    assert mask.flatten(1).sum(1).tolist() == [16] * 4
    found = hide(PGD(steps=20), model, X, VICTIMS, mask=mask)
    noise = hide(RandomNoise("uniform"), model, X, VICTIMS, mask=mask)
    for one in (found, noise):
        assert not ((one.x != X).any(1, keepdim=True) & ~mask).any()
    assert (found.score <= noise.score + 1e-6).all()


def test_a_row_is_hidden_the_same_alone_and_in_company():
    model, ids = detector(Sees()), list("abcd")
    whole = hide(PGD(steps=5), model, X, VICTIMS, within=Linf(0.15), ids=ids).x
    for k in range(4):
        one = hide(PGD(steps=5), model, X[k : k + 1], VICTIMS[k : k + 1], within=Linf(0.15), ids=[ids[k]]).x
        assert torch.allclose(one, whole[k : k + 1], atol=1e-6)


def test_where_no_box_is_told_nothing_breaks():
    found = hide(PGD(steps=3), detector(Sees()), X * 0.1, VICTIMS, within=Linf(0.01))
    assert found.hidden.all()
    assert found.x.isfinite().all()


def test_what_makes_no_sense_is_one_sentence():
    with pytest.raises(InputError, match="one box"):
        objects([BOXES], [1])
    with pytest.raises(InputError, match="a detector is a torch module"):
        detector(lambda x: x)  # type: ignore[arg-type]


# The embedded detectors and scenes.


def test_scenes_are_the_same_each_time_and_their_boxes_hold_their_shapes():
    test = scenes("test")
    assert len(test.x) == len(test.boxes) == 200
    assert all((b[:, :2] >= 0).all() and (b[:, 2:] <= 48).all() for b in test.boxes)
    assert all(labels[0] == OCTAGON and OCTAGON not in labels[1:] for labels in test.labels)
    assert not torch.equal(test.x[0], scenes("train").x[0])


@pytest.mark.parametrize("name", [key.partition("_")[2] for key in DETECTORS])
def test_an_embedded_detector_sees_most_octagons_and_a_sticker_hides_them_better_than_noise(name: str):
    test, n = scenes("test"), 40
    x = from_uint8(test.x[:n])
    victims = objects([b[0] for b in test.boxes[:n]], [k[0] for k in test.labels[:n]])
    model, mask = detector(build_detector(name)), sticker_masks(victims, (48, 48), 0.5)
    clean = look_for(model, x, victims)
    noise = hide(RandomNoise("uniform"), model, x, victims, mask=mask)
    found = hide(PGD(steps=40), model, x, victims, mask=mask)
    assert clean.hidden.float().mean() < 0.2
    assert found.hidden.float().mean() > noise.hidden.float().mean() + 0.15


# torchvision's detectors, with random weights.


@pytest.fixture
def operators(monkeypatch: pytest.MonkeyPatch):
    """torchvision's one compiled operator that has no other way, where its build does not fit this torch."""
    import torchvision  # type: ignore[import-untyped]

    if torchvision.extension._has_ops():
        yield
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.impl("nms", lambda boxes, scores, most: without_doubles(boxes, scores, most), "CPU")
    monkeypatch.setattr(torchvision.ops.boxes, "_assert_has_ops", lambda: None)
    with torch.compiler.set_stance("force_eager"):  # what stands in for its other operators is compiled
        yield
    library._destroy()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_scores_of_torchvision_s_detectors_go_down(name: str, operators: None):
    import torchvision  # type: ignore[import-untyped]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        few = {"num_classes": 3, "weights": None, "weights_backbone": None}
        ssd = {"score_thresh": 0.0, "topk_candidates": 30, "detections_per_img": 30}
        build = getattr(torchvision.models.detection, name)
        net = build(**few, **({"box_score_thresh": 0.0} if "rcnn" in name else ssd))
    with torch.no_grad():
        for p in (net.roi_heads if "rcnn" in name else net.head).parameters():
            p.mul_(20)  # as drawn, all scores are the same to the last digit
    model, x = detector(net.double().eval()), images(1, 3, 64, 64, dtype=torch.float64)
    told = net([x[0]])[0]
    best = int(told["scores"].argmax())
    victim = objects([told["boxes"][best].detach()], [told["labels"][best]])
    before = look_for(model, x, victim)
    goal = Hidden(confidence=0.0)
    found = hide(PGD(steps=3, random_start=False), model, x, victim, within=Linf(0.05), goal=goal)
    assert found.score < before.score


# Segmentation: one class inside a mask.


@pytest.mark.parametrize("loss", [-Logit(), Margin(), CrossEntropy()], ids=repr)
def test_a_class_is_lowered_inside_a_part_of_a_segmentation_by_changes_inside_a_mask(loss: Objective):
    model, x, box = Model(segmenter()), images(3, 3, 12, 12), (0.0, 0.0, 0.5, 0.5)
    y = model(x).mean((2, 3)).argmax(1)
    found = PGD(steps=20, loss=Inside(loss, box), random_start=False)(
        model, x, y, within=Mask(Linf(0.3), box)
    )
    assert not (found.x != x)[..., 6:, :].any()
    before, after = model(x), model(found.x)
    best = [(out.argmax(1) == y[:, None, None])[:, :6, :6].float().mean() for out in (before, after)]
    assert best[1] < best[0] - 0.1
    assert torch.allclose(after[..., 8:, 8:], before[..., 8:, 8:], atol=1e-5)


def test_inside_is_the_objective_of_the_part():
    out, y = images(2, 3, 8, 8), torch.tensor([0, 2])
    part = Inside(Logit(), (0.0, 0.5, 0.25, 1.0)).score({"output": out}, y)
    assert torch.allclose(part, Logit().score({"output": out[..., :2, 4:]}, y))
    with pytest.raises(InputError, match="Inside needs a map"):
        Inside(Logit()).score({"output": out[..., 0, 0]}, y)
