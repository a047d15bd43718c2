"""The bench times everyone in turn, in forward passes, and leaves out who is not there. No test looks at a clock."""

import itertools

import pytest
import torch

from unfool.bench import _installed, run_bench
from unfool.bench.setting import digits_setting, setting
from unfool.bench.tasks import STRONG, TASKS
from unfool.bench.timing import in_passes
from unfool.errors import InputError


def test_times_are_ratios_to_the_faster_neighbour(monkeypatch):
    """The first call warms up and is not counted, but of what takes long, where it is the first round."""
    ticks = itertools.accumulate([0, 2, 0, 9, 0, 3, *[0, 2, 0, 200, 0, 3], *[0, 2, 0, 6, 0, 3]])
    monkeypatch.setattr("unfool.bench.timing.perf_counter", lambda: next(ticks))
    calls = []
    actions = {"a": lambda: calls.append("a"), "long": lambda: calls.append("long")}
    found = in_passes(lambda: calls.append("f"), actions, 1, cuda=False)
    assert calls == ["f", "f", "a", "f", "f", "long", "f", "f", "a", "f"]
    assert found["a"].middle == 3.0
    assert found["long"].middle == 100.0


def test_who_is_not_installed_is_left_out():
    def absent(where):
        raise ImportError

    where = setting("squeezenet1_1", 64, 2, "cpu")
    assert [who for who, _ in _installed(where, {"us": TASKS["Grad-CAM"]["unfool"], "them": absent})] == [
        "us"
    ]


def test_everyone_takes_all_steps_and_nobody_touches_the_network():
    where = setting("squeezenet1_1", 64, 2, "cpu")
    before = {name: value.clone() for name, value in where.net.state_dict().items()}
    for _, action in _installed(where, {"unfool": STRONG["unfool"]}):
        changed = action()
    assert float((changed - where.x).abs().max()) <= where.eps * 1.01 + 1e-7
    assert all(torch.equal(value, before[name]) for name, value in where.net.state_dict().items())


def test_the_fast_copy_fools_as_many():
    where = digits_setting(n=40)
    fooled = {}
    for who in ("unfool", "unfool, fast copy"):
        changed = STRONG[who](where)()
        with torch.no_grad():
            fooled[who] = int((where.net(changed).argmax(1) != where.y).sum())
    assert fooled["unfool, fast copy"] >= fooled["unfool"] - 1
    assert fooled["unfool"] > 0


@pytest.mark.slow
def test_the_bench_runs_from_end_to_end():
    said = []
    found = run_bench(["squeezenet1_1"], quick=True, report=said.append)
    assert {row["task"] for row in found["times"]} == set(TASKS)
    assert all(row["passes"] > 0 for row in found["times"])
    assert all(0 <= row["fooled"]["low"] <= row["fooled"]["high"] <= 1 for row in found["found"])


def test_only_the_tasks_that_are_wanted_run_and_a_wrong_name_is_told():
    found = run_bench(["squeezenet1_1"], tasks=("Grad-CAM",), quick=True, report=lambda _: None)
    assert {row["task"] for row in found["times"]} == {"Grad-CAM"}
    assert found["found"] == []
    with pytest.raises(InputError, match="there is no task called 'Gard-CAM'"):
        run_bench(tasks=("Gard-CAM",))


def test_a_library_that_fails_is_told_and_left_out_and_our_own_failure_is_one():
    def fails() -> None:
        raise ValueError("eps must be positive")

    told: list[str] = []
    found = in_passes(lambda: None, {"other": fails, "unfool": lambda: None}, 1, False, told.append)
    assert list(found) == ["unfool"]
    assert told == ["other fails and is left out: ValueError: eps must be positive"]
    with pytest.raises(ValueError, match="eps"):
        in_passes(lambda: None, {"unfool": fails}, 1, cuda=False)
