"""A fit in a folder: the order follows the seed, and killed after any update it goes on to the same bytes."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from oracles import conv, images
from unfool.attacks.learned import Learned
from unfool.attacks.patch import Patch
from unfool.attacks.sticker import Sticker
from unfool.attacks.universal import Universal
from unfool.data.base import Sample, Source
from unfool.errors import DataError, RunConflict
from unfool.method import Columns, Fit, Question
from unfool.model import Model
from unfool.objectives import Logit
from unfool.regions import Linf
from unfool.rows import Batch
from unfool.runs.begin import chosen
from unfool.runs.fit import LEARNED, SO_FAR, Learning, run_fit
from unfool.views import View

X = images(11, 3, 8, 8)


class _Eleven(Source):
    """Eleven images, one of which cannot be read."""

    broken: int = -1

    def ids(self) -> tuple[str, ...]:
        return tuple(f"i{k}" for k in range(11))

    def sample(self, id: str, view: View) -> Sample:
        if int(id[1:]) == self.broken:
            raise ValueError("torn")
        return Sample(X[int(id[1:])])

    def label(self, id: str) -> int:
        return int(id[1:]) % 5


class _Sum(NamedTuple):
    total: Tensor
    seen: Tensor


class _Adding(Fit):
    """Adds up labels and random numbers; dies after so many updates in this process."""

    def start(self, question: Question, batch: Batch) -> _Sum:
        return _Sum(torch.zeros(3), torch.tensor(0))

    def update(self, question: Question, state: _Sum, batch: Batch) -> _Sum:
        if DIES and DIES.pop(0):
            raise KeyboardInterrupt
        noise = question.query(batch, Logit(), "sum").rng.normal(batch.x[:, 0, 0, :3])
        SEEN.append(batch.ids)
        return _Sum(state.total * 0.9 + (noise * batch.y[:, None]).sum(0), state.seen + len(batch))

    def finish(self, state: _Sum) -> Columns:
        return {"total": state.total, "seen": state.seen}


DIES: list[bool] = []
SEEN: list[tuple[str, ...]] = []


@pytest.fixture(autouse=True)
def fresh():
    DIES.clear()
    SEEN.clear()


def run(fit: Fit, folder: Path, source: Source | None = None, **how: Any) -> Path:
    every = how.pop("every", 1)
    learning = Learning(fit, "m", "d", **how)
    return run_fit(learning, Model(conv()), source or _Eleven(), folder, every=every)


@pytest.mark.parametrize(
    "fit", [_Adding(rows=4, epochs=3), Universal(rows=4, epochs=3), Patch(rows=4, epochs=3)], ids=repr
)
@pytest.mark.parametrize("every", [1, 2])
def test_killed_after_any_update_it_ends_in_the_same_bytes(
    fit: Fit, every: int, tmp_path: Path, monkeypatch: Any
):
    whole = run(fit, tmp_path / "whole").read_bytes()
    own, left = type(fit).update, [0]

    def dying(self: Any, *args: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return own(self, *args)

    monkeypatch.setattr(type(fit), "update", dying)
    for died in (1, 4, 8):
        left[0] = died
        with pytest.raises(KeyboardInterrupt):
            run(fit, tmp_path / f"cut{died}", every=every)
        assert not (tmp_path / f"cut{died}" / LEARNED).exists()
        assert (tmp_path / f"cut{died}" / SO_FAR).exists() == (died >= every)
        left[0] = 99
        assert run(fit, tmp_path / f"cut{died}", every=every).read_bytes() == whole
        assert left[0] == 99 - (9 - died // every * every)
        assert not (tmp_path / f"cut{died}" / SO_FAR).exists()


def test_a_sticker_is_resumed_in_either_of_its_two_runs(tmp_path: Path):
    fit = Sticker(rows=4, epochs=3, find=4, camera=())
    whole = run(fit, tmp_path / "whole").read_bytes()
    own = Sticker.update
    for died in (2, 6):
        left = [died]

        def dying(self: Any, *args: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return own(self, *args)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Sticker, "update", dying)
            with pytest.raises(KeyboardInterrupt):
                run(fit, tmp_path / f"cut{died}")
        assert run(fit, tmp_path / f"cut{died}").read_bytes() == whole


def test_every_epoch_sees_every_image_once_in_an_order_of_its_own(tmp_path: Path):
    run(_Adding(rows=4, epochs=3), tmp_path)
    assert [len(ids) for ids in SEEN] == [4, 4, 3] * 3
    epochs = [[i for ids in SEEN[k : k + 3] for i in ids] for k in (0, 3, 6)]
    assert all(sorted(epoch) == sorted(_Eleven().ids()) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_another_seed_is_another_order_and_the_same_seed_the_same(tmp_path: Path):
    orders = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        SEEN.clear()
        run(_Adding(rows=4, epochs=1), tmp_path / name, seed=seed)
        orders.append(list(SEEN))
    assert orders[0] == orders[1] != orders[2]


def test_random_numbers_are_of_the_epoch_and_never_those_of_judging():
    fit, question = _Adding(rows=20, epochs=3), Question(Model(conv()), seed=4)
    seeds = [asked.seed for asked, _ in fit.lessons(question, _Eleven().ids())]
    assert len({*seeds, question.seed}) == 4


def test_in_memory_is_the_same_as_in_a_folder(tmp_path: Path):
    fit = Universal(rows=4, epochs=2)
    kept = Learned.read(run(fit, tmp_path, within=Linf(0.1))).tensors
    batch = _Eleven().batch(_Eleven().ids())
    found = fit.learn(Question(Model(conv()), Linf(0.1)), batch)
    assert torch.allclose(found["change"], kept["change"], atol=1e-6)


def test_what_is_judged_on_is_not_learned_from(tmp_path: Path):
    run(_Adding(rows=4, epochs=1), tmp_path, after=5, seed=2)
    judged = chosen(_Eleven().ids(), 5, 2)
    learned = [i for ids in SEEN for i in ids]
    assert not set(judged) & set(learned)
    assert len(learned) == 6


def test_a_sample_that_cannot_be_read_is_left_out(tmp_path: Path):
    run(_Adding(rows=4, epochs=1), tmp_path, _Eleven(3))
    assert sorted(i for ids in SEEN for i in ids) == sorted(set(_Eleven().ids()) - {"i3"})


def test_a_finished_fit_is_not_done_again_and_another_one_is_refused(tmp_path: Path):
    first = run(_Adding(rows=4, epochs=1), tmp_path).read_bytes()
    SEEN.clear()
    assert run(_Adding(rows=4, epochs=1), tmp_path).read_bytes() == first
    assert not SEEN
    with pytest.raises(RunConflict):
        run(_Adding(rows=4, epochs=2), tmp_path)


def test_a_torn_state_is_as_none(tmp_path: Path):
    fit = _Adding(rows=4, epochs=2)
    whole = run(fit, tmp_path / "whole").read_bytes()
    DIES.extend([False] * 3 + [True])
    with pytest.raises(KeyboardInterrupt):
        run(fit, tmp_path / "cut")
    (tmp_path / "cut" / SO_FAR).write_bytes(b"torn")
    assert run(fit, tmp_path / "cut").read_bytes() == whole


def test_with_nothing_left_to_learn_from_it_says_so(tmp_path: Path):
    with pytest.raises(DataError, match="none is left to learn from"):
        run(_Adding(), tmp_path, after=11)
