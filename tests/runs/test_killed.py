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
def test_a_rank_is_killed_torchrun_goes_on_and_workers_of_ray_end_in_the_same_bytes(
    scale: Any, tmp_path: Path
):
    path, more = scale.data(tmp_path, 80), ("--chunk", "16")
    told = [*scale.kills(tmp_path, path, 3, 1, ("ranks", "torchrun"), more=more)]
    assert told[0].startswith("ranks: worker")
    whole = scale.parts(tmp_path / "whole")
    assert len(whole) == 6
    pytest.importorskip("ray", reason="ray is not installed")
    scale.by("ray", path, 3, tmp_path / "ray", *more).wait()
    assert scale.parts(tmp_path / "ray") == whole
    assert json.loads((tmp_path / "ray" / "manifest.json").read_text())["model"] == "unfool:digits"


@pytest.mark.slow
def test_many_rows_stream_through_memory_that_does_not_grow(scale: Any, tmp_path: Path):
    held = scale.memory(tmp_path, 10_000)["megabytes"]
    assert len(held) == 11
    assert max(held) - held[2] < 40  # the rows' images are 123 MB, what is found of them 31 more
