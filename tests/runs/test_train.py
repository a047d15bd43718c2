"""A training in a folder: judged after every epoch, killed after any update it ends in the same bytes."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from oracles import conv, images, residual
from unfool.attacks.gradient import PGD
from unfool.data.base import Sample, Source
from unfool.errors import DataError, InputError, OutOfMemory, RunConflict
from unfool.framing import Flip, Slide
from unfool.model import Model
from unfool.regions import Linf
from unfool.runs.course import Course, Epoch, Log, one_step_only, splits
from unfool.runs.reading import Held, Reader, ahead, held
from unfool.runs.standing import Judge
from unfool.runs.train import BEST, HISTORY, LAST, MODEL, SO_FAR, noted, read_log, run_train
from unfool.training.awp import AWP
from unfool.training.base import Training
from unfool.training.fit import Train
from unfool.training.free import Free
from unfool.training.optimisers import SGD, Adam
from unfool.training.plain import Fast, Madry, Natural
from unfool.training.pupil import Pupil
from unfool.training.ranks import Ranks
from unfool.training.trades import Trades
from unfool.views import View

X = images(30, 3, 8, 8)


class _Thirty(Source):
    """Thirty images of five classes, brighter by class; some may be broken or without a label."""

    broken: int = -1
    unlabelled: bool = False
    classes: int = 5

    def ids(self) -> tuple[str, ...]:
        return tuple(f"i{k}" for k in range(30))

    def sample(self, id: str, view: View) -> Sample:
        k = int(id[1:])
        if k == self.broken:
            raise ValueError("torn")
        return Sample((X[k] * 0.5 + 0.1 * (k % 5)).clamp(0, 1))

    def label(self, id: str) -> int | None:
        return None if self.unlabelled else int(id[1:]) % self.classes


def course(method: Training = Madry(PGD(steps=2)), **how: Any) -> Course:  # noqa: B008  frozen
    more = {k: how.pop(k) for k in ("alarm", "limit", "seed", "sample") if k in how}
    how = {"epochs": 3, "rows": 8, "optimiser": SGD(0.1)} | how
    return Course(Train(method, **how), "m", "d", Linf(0.1), judge=PGD(steps=2), **more)


def run(
    folder: Path, wanted: Course, net: nn.Module | None = None, source: Source | None = None, **how: Any
) -> Log:
    how = {"every": 1} | how
    return run_train(wanted, Model(conv() if net is None else net), source or _Thirty(), None, folder, **how)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (MODEL, LAST)}


@contextmanager
def dying_after(updates: int) -> Generator[list[int]]:
    """The process dies at the next update; how many are left."""
    own, left = Train.update, [updates]

    def dying(self: Any, *args: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return own(self, *args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Train, "update", dying)
        yield left


COURSES = [
    (course(average=0.9, augment=(Flip(), Slide(1)), ramp=0.5), residual),
    (course(Free(replays=2), optimiser=Adam()), conv),
    (course(AWP(Trades(PGD(steps=2)))), conv),
]


@pytest.mark.parametrize(("wanted", "make"), COURSES, ids=["averaged, batch norm", "free", "awp"])
@pytest.mark.parametrize(("every", "kills"), [(1, (2, 8)), (4, (1, 5))])
def test_killed_after_any_update_it_ends_in_the_same_bytes(
    wanted: Course, make: Any, every: int, kills: Any, tmp_path: Path
):
    whole = run(tmp_path / "whole", wanted, make())
    for died in kills:  # three updates an epoch
        folder = tmp_path / f"cut{died}"
        with dying_after(died + TIMED), pytest.raises(KeyboardInterrupt):
            run(folder, wanted, make(), every=every)
        assert not (folder / MODEL).exists()
        assert (folder / SO_FAR).exists()
        with dying_after(99) as left:
            again = run(folder, wanted, make(), every=every)
        assert bytes_of(folder) == bytes_of(tmp_path / "whole")
        assert [e.counts for e in again.epochs] == [e.counts for e in whole.epochs]
        assert [e.passes for e in again.epochs] == [e.passes for e in whole.epochs]
        saved = max(died // every * every, died // 3 * 3) if every > 1 else died
        assert 99 - left[0] == 9 - saved


TIMED = 6
"""Updates of natural training that are timed on a copy before the first."""


def test_what_is_left_is_the_result_and_nothing_of_the_way(tmp_path: Path):
    log = run(tmp_path, course())
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [MODEL, LAST, HISTORY, "manifest.json", "recipe.txt"]
    )
    assert read_log(tmp_path) == log
    assert noted(tmp_path / MODEL)["epoch"] == log.best(True).number
    assert [e.number for e in log.epochs] == [0, 1, 2, 3]
    assert log.epochs[-1].passes == (3 * 24 * 3, 3 * 24 * 3)
    assert all(e.n == 6 for e in log.epochs)


def test_a_finished_training_is_not_done_again_and_another_one_is_refused(tmp_path: Path, monkeypatch: Any):
    run(tmp_path, course())
    before = bytes_of(tmp_path)
    monkeypatch.setattr(Train, "update", None)
    run(tmp_path, course())
    assert bytes_of(tmp_path) == before
    with pytest.raises(RunConflict):
        run(tmp_path, course(epochs=4))
    with pytest.raises(RunConflict, match="other weights"):
        run(tmp_path, course(), conv(seed=1))


def test_a_torn_state_is_as_none(tmp_path: Path):
    run(tmp_path / "whole", course())
    run(tmp_path / "cut", course())
    for name in (MODEL, LAST, HISTORY):
        (tmp_path / "cut" / name).unlink()
    (tmp_path / "cut" / SO_FAR).write_bytes(b"torn")
    run(tmp_path / "cut", course())
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")


def test_the_state_of_another_network_is_refused(tmp_path: Path):
    with dying_after(TIMED + 2), pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", course())
    run(tmp_path / "b", course(), residual())
    for name in (MODEL, LAST, HISTORY):
        (tmp_path / "b" / name).unlink()
    (tmp_path / "a" / SO_FAR).rename(tmp_path / "b" / SO_FAR)
    with pytest.raises(DataError, match="another network's"):
        run(tmp_path / "b", course(), residual())


def test_the_best_weights_are_those_of_the_epoch_with_most_images_right_under_attack():
    def epoch(number: int, clean: int, robust: int) -> Epoch:
        return Epoch(number, 0, "", None, {0: [10, clean, 5, robust]})

    log = Log([epoch(0, 1, 9), epoch(1, 5, 3), epoch(2, 7, 3), epoch(3, 7, 3), epoch(4, 10, 2)])
    assert log.best(adversarial=True).number == 2
    assert log.best(adversarial=False).number == 4
    assert Log.read(log.text()) == log
    assert Log(log.epochs[:1]).best(adversarial=True).number == 0


def told(fgsm: int, robust: int, n: int = 1000) -> Epoch:
    return Epoch(1, 0, "", None, {0: [n, n, fgsm, robust]})


@pytest.mark.parametrize(
    ("before", "now", "alarm"),
    [
        ((500, 450), (900, 20), True),  # as Wong et al. describe it
        ((500, 450), (700, 200), True),
        ((650, 450), (660, 440), False),  # the honest gap of a network that learned from one step
        ((500, 450), (300, 200), False),  # both fell: that is something else
        ((0, 0), (950, 10), True),  # from the very beginning
        ((0, 0), (550, 120), False),
    ],
)
def test_the_alarm_rings_where_one_step_is_resisted_and_more_are_not(
    before: tuple[int, int], now: tuple[int, int], alarm: bool
):
    assert one_step_only(told(*now), [told(*before)]) == alarm


def test_before_the_region_has_grown_a_gap_is_no_alarm_but_a_fall_is():
    assert not one_step_only(told(690, 32), [told(375, 6)], False)  # a ramped PGD-10 on MNIST at 0.3
    assert one_step_only(told(900, 20), [told(500, 450)], False)


def test_few_images_make_no_alarm():
    assert not one_step_only(told(8, 4, 12), [told(8, 9, 12)])


@pytest.mark.parametrize("alarm", ["stop", "adapt", "tell"])
def test_after_an_alarm_it_stops_or_goes_back_and_on_against_more_steps_or_says_so(
    alarm: Any, tmp_path: Path, monkeypatch: Any
):
    rung = iter([False, True, False, False])
    monkeypatch.setattr("unfool.runs.train.one_step_only", lambda *_: next(rung))
    said: list[str] = []
    wanted = course(Fast(), alarm=alarm, epochs=4)
    log = run(tmp_path, wanted, tell=lambda what: said.append(str(what)))
    methods = [e.method for e in log.epochs]
    assert log.stopped == (alarm == "stop")
    assert len(methods) == (3 if alarm == "stop" else 5)
    assert [e.overfitted for e in log.epochs][:3] == [False, False, True]
    assert "more are not" in said[2]
    changed = repr(Fast().stronger()) if alarm == "adapt" else repr(Fast())
    assert methods[3:] == [changed] * len(methods[3:])


def test_going_back_and_on_is_resumed_too(tmp_path: Path, monkeypatch: Any):
    def ring(now: Epoch, *_: Any) -> bool:
        return now.number == 2

    monkeypatch.setattr("unfool.runs.train.one_step_only", ring)
    wanted = course(Fast(), alarm="adapt", epochs=4, optimiser=Adam())
    run(tmp_path / "whole", wanted)
    with dying_after(TIMED + 7), pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", wanted)
    run(tmp_path / "cut", wanted)
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")


def test_nobody_learns_from_what_is_judged_and_none_without_a_label_is_either():
    learn, kept = splits(course(), _Thirty(), None)
    assert len(learn) == 24
    assert len(kept) == 6
    assert not set(learn) & set(kept)
    assert splits(course(seed=1), _Thirty(), None)[1] != kept
    learn, kept = splits(course(sample=4, limit=10), _Thirty(), _Thirty())
    assert len(learn) == 10
    assert len(kept) == 4


def test_bad_data_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="no labels to learn from"):
        run(tmp_path / "a", course(), source=_Thirty(unlabelled=True))
    with pytest.raises(InputError, match="labels go up to 7"):
        run(tmp_path / "b", course(), source=_Thirty(classes=8))
    with pytest.raises(InputError, match="of one class"):
        run(tmp_path / "c", course(), source=_Thirty(classes=1))
    said = list[Any]()
    log = run(tmp_path / "d", course(Natural(), epochs=1), source=_Thirty(classes=3), tell=said.append)
    assert "no image of class 3, 4" in log.notes[0]
    assert said[0] == log.notes[0]


def test_labels_that_are_no_class_of_the_network_are_one_sentence_with_a_way_out(tmp_path: Path):
    class Named(_Thirty):
        def label(self, id: str) -> Any:
            return f"kind {int(id[1:]) % 5}"

        def label_names(self) -> tuple[str, ...]:
            return tuple(f"kind {k}" for k in range(5))

    model = Model(conv(), classes=list("abcde"))
    with pytest.raises(
        InputError, match="no image has a label that the network knows: label 'kind"
    ) as caught:
        run_train(course(), model, Named(), None, tmp_path)
    assert "classes=5 draws its last layer anew" in caught.value.hint


def test_a_rate_that_is_too_large_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="not a number"):
        run(tmp_path, course(optimiser=SGD(1e18), epochs=6))


def test_an_image_that_cannot_be_read_is_left_out(tmp_path: Path):
    log = run(tmp_path, course(Natural(), epochs=1), source=_Thirty(3))
    assert log.epochs[-1].passes[0] + log.epochs[-1].n in (24 + 5, 23 + 6)


def test_images_read_from_files_give_the_same_as_images_in_memory(tmp_path: Path, monkeypatch: Any):
    run(tmp_path / "held", course())
    monkeypatch.setattr("unfool.runs.reading.MOST_HELD", 0)
    run(tmp_path / "read", course())
    assert bytes_of(tmp_path / "held") == bytes_of(tmp_path / "read")


def test_what_is_held_is_what_was_read():
    source, model = _Thirty(4), Model(conv())
    kept, read = held(source, model, source.ids()), Reader(source, model)
    assert isinstance(kept, Held)
    for ids in (source.ids()[:7], ("i9", "i2")):
        a, b = kept(ids), read(ids)
        assert a.ids == b.ids
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
    assert list(kept.errors) == ["i4"]
    asked = [(k, source.ids()[k : k + 3]) for k in range(20)]
    assert [(k, b.ids) for k, b in ahead(read, asked)] == [(k, b.ids) for k, b in ahead(kept, asked)]


class _Narrow(nn.Module):
    """A network that has memory for so many images at a time."""

    def __init__(self, room: int):
        super().__init__()
        self.net, self.room = conv(), room
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.net(x)


def test_where_memory_runs_out_images_pass_in_smaller_parts_to_the_same_result():
    x, y = X[:8], torch.arange(8) % 5
    for method in (Madry(PGD(steps=2)), Free(replays=2)):
        fit = Train(method, optimiser=SGD(0.1), epochs=2, rows=8)
        wide, narrow = (fit(Model(net), x, y) for net in (_Narrow(8), _Narrow(3)))
        other = narrow.net.state_dict()
        assert all(torch.allclose(v, other[k], atol=1e-6) for k, v in wide.net.state_dict().items())


def test_memory_for_not_even_one_image_is_one_sentence():
    with pytest.raises(OutOfMemory, match="one image") as caught:
        Train(Natural(), epochs=1, rows=8)(Model(_Forgetful()), X[:8], torch.arange(8) % 5)
    assert "--view" in caught.value.hint


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_judge_asks_fewer_at_a_time_where_memory_runs_out_and_of_one_image_it_is_one_sentence(room: int):
    source, net = _Thirty(), _Narrow(room)
    judge = Judge(PGD(steps=2), Linf(0.1), source.ids()[:7], Reader(source, Model(net)), 0, 8)
    if room:
        other = judge._replace(read=Reader(source, Model(net.net)))
        assert judge(Model(net), Ranks()) == other(Model(net.net), Ranks())
        return
    with pytest.raises(OutOfMemory, match="single image was judged, i0") as caught:
        judge(Model(net), Ranks())
    assert "--view" in caught.value.hint


def test_a_run_that_ran_out_of_memory_goes_on_in_more_parts(tmp_path: Path):
    """Several steps an update cannot be taken back, so that the user has to say it: what was done is kept."""
    wanted, said = course(Free(replays=2)), list[str]()
    whole = run(tmp_path / "whole", wanted)
    with (
        out_of_memory_after(TIMED + 4),
        pytest.raises(OutOfMemory, match="memory ran out within an update") as caught,
    ):
        run(tmp_path / "cut", wanted)
    assert caught.value.hint == "--accumulate 2"
    again = course(Free(replays=2), accumulate=2)
    log = run(tmp_path / "cut", again, tell=lambda what: said.append(str(what)))
    assert log.notes == ["from update 4 in 2 parts instead of 1"]
    assert log.notes[0] in said
    assert said[0] == str(whole.epochs[0])  # a run that goes on tells what it has come to
    assert [e.counts for e in log.epochs] == [e.counts for e in whole.epochs]
    found, known = (load_file(tmp_path / name / LAST) for name in ("cut", "whole"))
    assert all(torch.allclose(v, known[k], atol=1e-5) for k, v in found.items())


@contextmanager
def out_of_memory_after(updates: int) -> Generator[None]:
    """The second step of a later update finds no memory."""
    own, left = Pupil.backward, [2 * (updates - TIMED) + TIMED + 1]

    def lacking(self: Any, *args: Any, **how: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(self, *args, **how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Pupil, "backward", lacking)
        yield


class _Forgetful(_Narrow):
    """One that never has memory to learn."""

    def __init__(self) -> None:
        super().__init__(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.net(x)


def test_another_error_of_the_network_is_not_taken_for_that():
    class Broken(_Narrow):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                raise RuntimeError("shapes do not fit")
            return self.net(x)

    with pytest.raises(InputError, match="shapes do not fit"):
        Train(Natural(), epochs=1, rows=8)(Model(Broken(8)), X[:8], torch.arange(8) % 5)


def test_bfloat16_is_for_products_alone(tmp_path: Path):
    run(tmp_path / "b", course(precision="bfloat16"))
    run(tmp_path / "f", course())
    found, other = (load_file(tmp_path / name / LAST) for name in "bf")
    assert {v.dtype for v in found.values()} == {torch.float32}
    assert all(torch.allclose(v, other[k], atol=0.05) for k, v in found.items())
    assert any(not torch.equal(v, other[k]) for k, v in found.items())


def test_the_file_of_the_best_weights_is_gone_in_the_end(tmp_path: Path):
    run(tmp_path, course())
    (tmp_path / BEST).write_bytes(b"left by a kill between two files")
    run(tmp_path, course())
    assert not (tmp_path / BEST).exists()
