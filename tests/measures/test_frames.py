"""Deletion of frames (R33). On a network that is a weighted sum of frames, what is left is known in closed form."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import same
from unfool.attributions.gradient import Gradient, GradientTimesInput
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.measures.frames import FrameDeletion, dice, profile_of
from unfool.method import Question
from unfool.model import Model
from unfool.rows import Batch
from unfool.targets import Segment
from unfool.zoo.address import load

WEIGHTS = torch.tensor([0.0, 5.0, 0.0, 2.0, 0.0, 1.0])


class Weighted(nn.Module):
    """Two classes; the second's score is the weighted sum of the frames' means, the first's is 0."""

    def forward(self, x: Tensor) -> Tensor:
        score = (x.mean((1, 3, 4)) * WEIGHTS).sum(1)
        return torch.stack([0 * score, score], 1)


def series(n: int = 3) -> Tensor:
    x = torch.rand(n, 1, 6, 4, 5, generator=torch.Generator().manual_seed(0))
    x[:, :, 0] = 0  # what frames are replaced by
    return x


def batch_of(x: Tensor, masks: Tensor | None = None) -> Batch:
    return Batch(tuple(map(str, range(len(x)))), x, torch.full((len(x),), -1), masks)


def test_what_is_left_of_a_weighted_sum():
    """The gradient of frame t is its weight: 1, 3 and 5 go first; the three with no weight go last, at no cost."""
    x = series()
    found = FrameDeletion(Gradient(), (1, 3), draws=400, fill="first").columns(
        Question(Model(Weighted()), target=1), batch_of(x)
    )
    part = x.mean((1, 3, 4)) * WEIGHTS
    assert same(found["profile"], (WEIGHTS / WEIGHTS.sum()).expand(3, 6))
    assert same(found["whole"], part.sum(1).sigmoid())
    assert same(found["salient"][:, 0], (part.sum(1) - part[:, 1]).sigmoid())
    assert same(found["salient"][:, 1], torch.full((3,), 0.5))
    assert same(found["least"], found["whole"][:, None].expand(3, 2))
    one_by_one = torch.stack([(part.sum(1) - part[:, t]).sigmoid() for t in range(6)]).mean(0)
    assert (found["random"][:, 0] - one_by_one).abs().max() < 0.02


def test_rows_do_not_depend_on_their_neighbours():
    x, how = series(), FrameDeletion(GradientTimesInput(), (2,), draws=3)
    question = Question(Model(Weighted(), capacity=2), target=1)
    whole, alone = how.columns(question, batch_of(x)), how.columns(question, batch_of(x)[torch.tensor([2])])
    for name in whole:
        assert same(whole[name][2:], alone[name])


def test_a_profile_sums_to_one():
    heat = torch.randn(2, 3, 6, 4, 5)
    heat[1] = 0
    assert same(profile_of(heat).sum(1), torch.tensor([1.0, 0.0]))


def test_dice():
    a = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]]).bool()
    b = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]).bool()
    assert same(dice(a, b), torch.tensor([0.5, 1.0, 0.0]))


def question_of_chambers(**how: Any) -> tuple[Question, Batch]:
    source = open_data("unfool:cine")
    question = Question(load("unfool:cine"), target=2, objective=Segment(), **how)
    return question, source.batch(source.ids()[:12])


def test_deletion_order_holds_on_the_perfusion_series():
    """Calibration: of the right ventricle the salient frames take the answer, others leave it."""
    found = FrameDeletion(Gradient(), frames=(8,), draws=4, fill="first").columns(*question_of_chambers())
    assert found["whole"].mean() > 0.98
    assert found["salient"].mean() < 0.7
    assert found["random"].mean() > 0.9
    assert found["least"].mean() > 0.97


def test_without_masks_the_answer_is_compared_with_itself():
    question, batch = question_of_chambers()
    bare = batch_of(batch.x[:2])
    assert FrameDeletion(Gradient(), frames=(1,), draws=1).columns(question, bare)["whole"].eq(1).all()


WRONG = [
    (torch.rand(1, 1, 8, 8), FrameDeletion(Gradient()), "have no frames"),
    (torch.rand(1, 1, 1, 8, 8), FrameDeletion(Gradient()), "have one frame"),
    (torch.rand(1, 1, 6, 4, 5), FrameDeletion(Gradient(), frames=(7,)), "cannot be replaced"),
]


@pytest.mark.parametrize(("x", "method", "message"), WRONG, ids=["still", "one frame", "too many"])
def test_what_is_no_series_is_one_sentence(x: Tensor, method: FrameDeletion, message: str):
    with pytest.raises(InputError, match=message):
        method.columns(Question(Model(Weighted()), target=1), batch_of(x))
