"""Workers of Ray write the bytes that one process writes, whoever of them dies."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("ray", reason="ray is not installed")

from unfool.attacks.gradient import PGD
from unfool.cli.running import RunOptions
from unfool.data.arrays import Arrays
from unfool.data.base import Sample, Source
from unfool.errors import DataError, EngineError
from unfool.model import Model
from unfool.regions import Linf
from unfool.rows import Batch
from unfool.runs.engine import Asked, Local, spread
from unfool.runs.local import run_recipe
from unfool.runs.parts import Part, sweep
from unfool.runs.ray.cluster import connect
from unfool.runs.ray.engine import Ray, mark_in
from unfool.runs.ray.ship import landed, packed, travelling, unpacked
from unfool.runs.ray.worker import ahead
from unfool.runs.recipe import Recipe
from unfool.runs.work import Reading, work
from unfool.views import View
from unfool.zoo.address import load

IDS = tuple(f"s{k}" for k in range(12))


def parts(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("part-*"))}


def read(ids: Any) -> Batch:
    x = torch.tensor([[float(i[1:])] for i in ids])
    return Batch(tuple(ids), x, torch.zeros(len(ids)))


def square(batch: Batch) -> Part:
    return Part({"square": batch.x**2}, {}, {})


@pytest.fixture(scope="module")
def engine() -> Any:
    engine = Ray(workers=2)
    with spread(engine):
        yield engine
    engine.close()
    import ray

    ray.shutdown()


def test_two_workers_write_what_one_process_writes(engine: Ray, tmp_path: Path, monkeypatch: Any):
    import numpy as np

    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(40) % 10)
    monkeypatch.chdir(tmp_path)  # paths are relative
    recipe = Recipe(PGD(steps=3), "unfool:digits8", "data.npz", Linf(0.1), chunk=8)
    model, source = load("unfool:digits8"), Arrays("data.npz")
    run_recipe(recipe, model, source, Path("two"))
    assert engine.pool is not None
    assert len(engine.pool.actors) == 2
    with spread(Local()):
        run_recipe(recipe, model, source, Path("one"))
    assert len(parts(Path("one"))) == 5
    assert parts(Path("one")) == parts(Path("two"))
    assert not list(Path("two").glob(".*"))


def test_a_worker_that_dies_loses_nothing(engine: Ray, tmp_path: Path):
    def dies_once(batch: Batch) -> Part:
        died = tmp_path / f"died-{batch.ids[0]}"
        if batch.ids[0] == "s6" and not died.exists():
            died.touch()
            os.kill(os.getpid(), 9)
        return square(batch)

    work("r", tmp_path / "ray", IDS, Asked(read, dies_once), chunk=2)
    assert [p.name for p in tmp_path.glob("died-*")] == ["died-s6"]
    with spread(Local()):
        work("r", tmp_path / "one", IDS, Asked(read, square), chunk=2)
    assert parts(tmp_path / "ray") == parts(tmp_path / "one")


def test_a_worker_that_dies_before_it_is_there_is_started_again(engine: Ray, tmp_path: Path):
    import ray

    assert engine.pool is not None
    gone = engine.pool.idle.pop()
    ray.kill(engine.pool.actors[gone])
    engine.pool.starting[engine.pool.actors[gone].ready.remote()] = gone
    work("r", tmp_path, IDS, Asked(read, square), chunk=2)
    assert engine.pool.stillborn == 1
    assert len(parts(tmp_path)) == 6


def test_without_a_common_disk_parts_are_written_here(engine: Ray, tmp_path: Path, monkeypatch: Any):
    own = Path.touch
    monkeypatch.setattr(Path, "touch", lambda self: None if self.name.startswith(".seen") else own(self))
    work("r", tmp_path / "ray", IDS, Asked(read, square), chunk=2)
    monkeypatch.undo()
    with spread(Local()):
        work("r", tmp_path / "one", IDS, Asked(read, square), chunk=2)
    assert parts(tmp_path / "ray") == parts(tmp_path / "one")


def test_a_chunk_that_kills_every_worker_is_one_sentence(engine: Ray, tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("unfool.runs.ray.engine.DEATHS", 1)

    def dies(batch: Batch) -> Part:
        if batch.ids[0] == "s4":
            os.kill(os.getpid(), 9)
        return square(batch)

    with pytest.raises(EngineError, match="2 workers have died of chunk 2"):
        work("r", tmp_path, IDS[:8], Asked(read, dies), chunk=2)
    assert set(parts(tmp_path)) <= {f"part-{k:05d}.safetensors" for k in (0, 1, 3)}


def test_an_error_of_the_user_keeps_its_sentence_and_its_hint(engine: Ray, tmp_path: Path):
    def refuses(batch: Batch) -> Part:
        raise DataError("no such layer", "there is layer4")

    with pytest.raises(EngineError, match="no such layer") as caught:
        work("r", tmp_path, IDS[:2], Asked(read, refuses), chunk=2)  # one chunk, one worker
    assert caught.value.hint == "there is layer4"


def test_data_that_workers_do_not_have_are_not_bad_samples(engine: Ray, tmp_path: Path):
    here = os.getpid()

    def elsewhere(ids: Any) -> Batch:
        batch = read(ids)
        return (
            batch
            if os.getpid() == here
            else Batch(batch.ids, batch.x, batch.y, errors={"s3": "no such file"})
        )

    with pytest.raises(DataError, match="a worker cannot read s3") as caught:
        work("r", tmp_path, IDS[2:4], Asked(elsewhere, square), chunk=2)
    assert "path" in caught.value.hint
    assert not parts(tmp_path)


def test_what_cannot_travel_is_one_sentence(engine: Ray, tmp_path: Path):
    held = socket.socket()
    with pytest.raises(EngineError, match="cannot be sent to workers") as caught:
        work("r", tmp_path, IDS, Asked(read, lambda b: held and square(b)), chunk=2)
    held.close()
    assert "torchrun" in caught.value.hint


def test_a_network_of_a_file_travels(tmp_path: Path):
    code = "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return x.mean((2, 3))\n"
    (tmp_path / "net.py").write_text(code)
    model = load(f"{tmp_path / 'net.py'}:Net")
    case = packed(Asked(Reading(_Three(), None, ()), lambda b: Part({"out": model(b.x)}, {}, {})))
    sys.modules.pop("unfool_file_net")
    found = unpacked(case)(_Three().ids())
    assert torch.equal(found.columns["out"], model(_Three().batch(_Three().ids()).x))


class _Three(Source):
    def ids(self) -> tuple[str, ...]:
        return ("0", "1", "2")

    def sample(self, id: str, view: View) -> Sample:
        return Sample(torch.full((2, 4, 4), int(id) / 4))

    def label(self, id: str) -> None:
        return None


def test_a_model_lands_without_what_it_had_worked_out_and_answers_the_same():
    model = load("unfool:digits8")
    x = torch.rand(4, 1, 8, 8)
    model.spatial_layers(x)
    there = landed(travelling(model))
    assert isinstance(there, Model)
    assert torch.equal(there(x), model(x))
    assert (there.classes, there.view, there.name) == (model.classes, model.view, model.name)


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_cluster_that_cannot_be_reached_is_one_sentence_within_seconds(address: str, monkeypatch: Any):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(EngineError, match="no Ray cluster can be reached at") as caught:
        connect(address.format(port), None)
    assert time.monotonic() - begun < 10
    assert "ray start" in caught.value.hint


@pytest.mark.parametrize("address", ["somewhere", "host:", ":"])
def test_an_address_that_is_none_is_one_sentence(address: str, monkeypatch: Any):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for ask in (lambda: connect(address, None), lambda: Ray(address)):
        with pytest.raises(EngineError, match="is no address of a Ray cluster"):
            ask()


@pytest.mark.parametrize(
    ("engine", "address"),
    [
        ("ray", ""),
        ("ray:auto", "auto"),
        ("ray:host:6379", "host:6379"),
        ("ray://host:10001", "ray://host:10001"),
    ],
)
def test_the_command_line_says_which_cluster(engine: str, address: str):
    made = RunOptions(engine=engine)._engine  # pyright: ignore[reportPrivateUsage]
    assert isinstance(made, Ray)
    assert made.address == address


def test_the_mark_of_a_driver_that_was_killed_is_swept(tmp_path: Path, monkeypatch: Any):
    own = mark_in(tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: 1 << 22)  # no process has this number
    other = mark_in(tmp_path)
    own.touch()
    other.touch()
    sweep(tmp_path)
    assert [*tmp_path.iterdir()] == [own]


def test_no_worker_is_none():
    for ask in (lambda: Ray(workers=0), lambda: ahead("", 0)):
        with pytest.raises(EngineError, match="there must be a worker"):
            ask()


def test_ray_starts_before_anything_heavy_is_imported():
    code = (
        "import sys, unfool.cli.attack, unfool.runs.ray.worker; print({'torch', 'scipy'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_workers_of_a_run_that_has_ended_are_not_started(tmp_path: Path, monkeypatch: Any):
    asked = list[tuple[str, int | None]]()
    monkeypatch.setattr("unfool.runs.ray.worker.ahead", lambda *how: asked.append(how))
    options = RunOptions(engine="ray:auto", workers=2)
    options.ahead(tmp_path)
    (tmp_path / "table.parquet").touch()
    options.ahead(tmp_path)
    RunOptions().ahead(None)
    assert asked == [("auto", 2)]
