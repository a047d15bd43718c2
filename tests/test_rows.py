"""Row i of seed s draws the same numbers in any batch, order and company."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unfool.errors import InputError
from unfool.rows import Batch, Rng, column, per_row, stable_number, take

SHAPE = (2, 3, 3)


def blank(n: int) -> Tensor:
    return torch.empty(n, *SHAPE)


DRAWS = {
    "normal": lambda rng, like: rng.normal(like),
    "uniform": lambda rng, like: rng.uniform(like),
    "sign": lambda rng, like: rng.sign(like),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True), seed=st.integers(0, 3))
def test_a_row_draws_the_same_alone_and_in_company(draw, ids: list[int], seed: int):
    together = draw(Rng.seeded(seed, ids), blank(len(ids)))
    for k, i in enumerate(ids):
        assert torch.equal(together[k], draw(Rng.seeded(seed, [i]), blank(1))[0])


def test_a_row_goes_on_with_its_stream_after_others_have_left():
    whole, cut = Rng.seeded(0, "abc"), Rng.seeded(0, "abc")
    assert torch.equal(whole.normal(blank(3)), cut.normal(blank(3)))
    keep = torch.tensor([False, True, True])
    assert torch.equal(whole.normal(blank(3))[keep], cut[keep].normal(blank(2)))


def test_copies_of_rows_draw_numbers_of_their_own_however_many_are_made_at_once():
    one, two, cut = (Rng.seeded(0, "ab") for _ in range(3))
    together = two.tile(4).normal(blank(8))
    singly = [one.tile(1).normal(blank(2)) for _ in range(4)]
    assert torch.equal(together, torch.cat(singly))
    assert len({t.sum().item() for t in together}) == 8
    assert torch.equal(
        one.normal(blank(2)), cut.normal(blank(2))
    )  # the rows' own streams go on as if nothing was
    only = Rng.seeded(0, "b").tile(4).normal(blank(4))
    assert torch.equal(only, together[1::2])
    cut.tile(3)
    later = cut[torch.tensor([1])].tile(1).normal(blank(1))
    assert torch.equal(later[0], only[3])


def test_seeds_ids_and_draws_differ():
    rng = Rng.seeded(0, ["a", "b"])
    first, second = rng.normal(blank(2)), rng.normal(blank(2))
    other = Rng.seeded(1, ["a", "b"]).normal(blank(2))
    everything = [*first, *second, *other]
    assert all(not torch.equal(a, b) for k, a in enumerate(everything) for b in everything[:k])


def test_draws_touch_no_global_stream_and_ignore_it():
    torch.manual_seed(7)
    before, first = torch.random.get_rng_state(), Rng.seeded(0, [1]).normal(blank(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    assert torch.equal(Rng.seeded(0, [1]).normal(blank(1)), first)


def test_draws_have_the_distribution_they_say():
    like = torch.empty(4, 10_000)
    normal, uniform, sign = (draw(Rng.seeded(0, range(4)), like) for draw in DRAWS.values())
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert uniform.min() < -0.99
    assert uniform.max() > 0.99
    assert abs(uniform.mean()) < 0.02
    assert set(sign.unique().tolist()) == {-1.0, 1.0}
    assert abs(sign.mean()) < 0.02


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_draws_are_like_what_they_are_for(dtype: torch.dtype):
    like = torch.empty(2, 3, 4, 4, dtype=dtype).to(memory_format=torch.channels_last)
    assert Rng.seeded(0, [1, 2]).normal(like).dtype == dtype
    plain = Rng.seeded(0, [1, 2]).normal(like.contiguous())
    assert torch.equal(Rng.seeded(0, [1, 2]).normal(like), plain)


def test_a_stable_number_is_the_same_in_every_process():
    assert stable_number(0, "cat/1.png") == 8435277386432898394
    assert stable_number(1) < 2**63


def test_take_cuts_every_tensor_of_a_nested_tuple():
    class Inner(NamedTuple):
        a: Tensor
        b: Tensor | None

    class Outer(NamedTuple):
        x: Tensor
        inner: Inner

    cut = take(Outer(torch.arange(3), Inner(torch.arange(3) * 2, None)), torch.tensor([True, False, True]))
    assert cut.x.tolist() == [0, 2]
    assert cut.inner.a.tolist() == [0, 4]
    assert cut.inner.b is None


def test_a_column_multiplies_rows():
    x = torch.ones(2, 3, 4, 4, 4)
    assert (column(torch.tensor([1.0, 2.0]), x) * x).flatten(1).sum(1).tolist() == [192.0, 384.0]


def test_one_number_is_for_all_rows_and_several_are_one_each():
    x = blank(3)
    assert per_row(0.5, x).tolist() == [0.5] * 3
    assert per_row((1, 2, 3), x).tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="eps must be one number or one for each of 3 images"):
        per_row((1, 2), x, "eps")


def test_a_batch_is_cut_with_all_that_belongs_to_it():
    batch = Batch(
        ("a", "b", "c"),
        blank(3),
        torch.tensor([0, -1, 2]),
        torch.ones(3, 1, 3, 3),
        {"site": ("x", "y", "z")},
        {"b": "broken"},
    )
    fine = batch.readable()
    assert fine.ids == ("a", "c")
    assert fine.y.tolist() == [0, 2]
    assert fine.groups == {"site": ("x", "z")}
    assert fine.errors == {}
    assert len(fine.x) == len(fine.masks) == 2  # type: ignore[arg-type]
    assert batch[torch.tensor([1])].errors == {"b": "broken"}
    assert fine.readable() is fine


def test_the_seeds_of_copies_are_those_of_a_list():
    rng = Rng([3, 5], "cpu")
    rng.tile(2)
    copies = rng.tile(3)
    wanted = [stable_number(seed, k) for k in (2, 3, 4) for seed in (3, 5)]
    assert list(copies.seeds) == wanted
    assert copies.seeds[1:5:2] == wanted[1:5:2]
    assert copies.seeds[-1] == wanted[-1]
    assert copies[torch.tensor([4, 1])].seeds == [wanted[4], wanted[1]]
    twice = copies.tile(1)
    assert list(twice.seeds) == [stable_number(seed, 0) for seed in wanted]
