"""Rows that are done leave the batch; what they and the others come to is what they would have come to together."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from oracles import Plane, conv, images
from unfool.attacks.gradient import PGD
from unfool.loop import iterate
from unfool.model import Model
from unfool.objectives import Untargeted
from unfool.query import Query
from unfool.regions import Linf
from unfool.rows import Rng


class State(NamedTuple):
    x: Tensor
    speed: Tensor
    goal: Tensor


def query(n: int) -> Query:
    return Query(Model(conv()), Untargeted(), torch.zeros(n, dtype=torch.long), Rng.seeded(0, range(n)))


def walk(seen: list[int]):
    """Each row goes on by its own speed and is done at its own goal."""

    def step(query: Query, at: State, t: int) -> tuple[State, Tensor]:
        assert len(query) == len(at.x) == len(query.y)
        seen.append(len(at.x))
        return at._replace(x=at.x + at.speed), at.x >= at.goal

    return step


def test_a_row_is_returned_as_it_was_when_it_was_done():
    start = State(torch.zeros(4), torch.tensor([1.0, 2.0, 1.0, 1.0]), torch.tensor([3.0, 4.0, 0.0, 99.0]))
    seen: list[int] = []
    assert iterate(walk(seen), start, query(4), 6).tolist() == [3, 4, 0, 6]
    assert seen == [4, 3, 3, 2, 1, 1]


def test_it_ends_when_all_are_done_and_leaves_the_start_untouched():
    start = State(torch.zeros(2), torch.ones(2), torch.tensor([1.0, 2.0]))
    seen: list[int] = []
    assert iterate(walk(seen), start, query(2), 100).tolist() == [1, 2]
    assert seen == [2, 2, 1]
    assert start.x.tolist() == [0, 0]


def test_without_steps_the_start_is_returned():
    start = State(torch.zeros(2), torch.ones(2), torch.ones(2))
    assert torch.equal(iterate(walk([]), start, query(2), 0), start.x)


def test_a_row_goes_on_with_its_own_random_numbers():
    def step(query: Query, at: State, t: int) -> tuple[State, Tensor]:
        return at._replace(x=at.x + query.rng.normal(at.x)), at.goal <= t

    def run(goal: list[float]) -> Tensor:
        start = State(torch.zeros(3), torch.zeros(3), torch.tensor(goal))
        return iterate(step, start, query(3), 5)

    assert torch.equal(run([1, 9, 9])[1:], run([9, 9, 9])[1:])


@pytest.mark.parametrize("random_start", [False, True])
def test_rows_that_leave_end_where_they_would_have_alone(random_start: bool):
    net = Plane(3, 6, 6).double()
    x = images(10, 3, 6, 6, dtype=torch.float64)
    y, eps = net.label(x), float(net.radius(x, "Linf").median())
    attack, within, model = PGD(steps=6, random_start=random_start), Linf(eps), Model(net)
    together = attack(model, x, y, within=within)
    alone = [attack(model, x[k : k + 1], y[k : k + 1], within=within, ids=[k]) for k in range(10)]
    assert torch.allclose(together.x, torch.cat([one.x for one in alone]), atol=1e-12)
    assert torch.equal(together.success, torch.cat([one.success for one in alone]))
    assert len({one.cost["backward"] for one in alone}) > 1
    assert sum(one.cost["backward"] for one in alone) == together.cost["backward"] < 60


def test_with_after_a_row_is_returned_as_the_step_that_was_done_left_it():
    def step(query: Query, at: State, t: int) -> tuple[State, Tensor]:
        return at._replace(x=at.x + at.speed), at.x + at.speed >= at.goal

    start = State(torch.zeros(3), torch.tensor([1.0, 2.0, 1.0]), torch.tensor([3.0, 4.0, 99.0]))
    assert iterate(step, start, query(3), 5, after=True).tolist() == [3, 4, 5]
