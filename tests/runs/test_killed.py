"""kill -9 at random moments: what goes on from there ends in the bytes of an undisturbed run, nothing done twice."""

import json
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def scale(monkeypatch: Any) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    import scale  # pyright: ignore[reportMissingImports]

    return scale


@pytest.mark.slow
def test_a_run_survives_whatever_is_killed(scale: Any, tmp_path: Path):
    path = scale.data(tmp_path, 80)
    told = [*scale.kills(tmp_path, path, 3, 2, ("ranks", "one"), more=("--chunk", "16"))]
    assert len(told) == 2


@pytest.mark.slow
def test_many_rows_stream_through_memory_that_does_not_grow(scale: Any, tmp_path: Path):
    held = scale.memory(tmp_path, 10_000)["megabytes"]
    assert len(held) == 11
    assert max(held) - held[2] < 40  # the rows' images are 123 MB, what is found of them 31 more


@pytest.mark.slow
def test_workers_of_ray_and_torchrun_end_in_the_same_bytes(scale: Any, tmp_path: Path):
    pytest.importorskip("ray", reason="ray is not installed")
    path, more = scale.data(tmp_path, 48), ("--chunk", "16")
    for engine in ("one", "ray", "torchrun"):
        scale.by(engine, path, 2, tmp_path / engine, *more).wait()
    whole = scale.parts(tmp_path / "one")
    assert len(whole) == 4
    for engine in ("ray", "torchrun"):
        assert scale.parts(tmp_path / engine) == whole
    assert json.loads((tmp_path / "ray" / "manifest.json").read_text())["model"] == "unfool:digits"
