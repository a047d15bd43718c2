"""Whoever does the chunks, however often they were stopped and however little memory there was: the same parts."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from oracles import conv, images
from unfool.attacks.gradient import PGD
from unfool.data.base import Sample, Source
from unfool.errors import InputError, OutOfMemory, Unfinished
from unfool.method import Columns, Method, Question
from unfool.model import Model
from unfool.regions import Linf
from unfool.rows import Batch
from unfool.runs import engine as engines
from unfool.runs.engine import Asked, spread
from unfool.runs.local import run_recipe
from unfool.runs.parts import HOST, Part, atomically
from unfool.runs.ranks import Ranks, own_device, part_of, ranks_of, under_torchrun
from unfool.runs.recipe import Recipe
from unfool.runs.table import read_table
from unfool.runs.work import Reading, answered, work
from unfool.views import View

X = images(11, 3, 8, 8)
IDS = tuple(f"s{k}" for k in range(11))


class _Eleven(Source):
    def ids(self) -> tuple[str, ...]:
        return IDS

    def sample(self, id: str, view: View) -> Sample:
        if id == "s4":
            raise ValueError("torn")
        return Sample(X[int(id[1:])])

    def label(self, id: str) -> int:
        return int(id[1:]) % 5


class _Sums(Method):
    """A column of numbers and one of images; needs memory for so many images."""

    room: int = 1 << 30

    def columns(self, question: Question, batch: Batch) -> Columns:
        SEEN.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")
        noise = question.query(batch, question.objective, "sums").rng.normal(batch.x)  # pyright: ignore
        return {"sum": batch.x.sum((1, 2, 3)).double(), "noisy": batch.x + noise, "long": batch.y}


SEEN: list[int] = []


@pytest.fixture(autouse=True)
def fresh():
    SEEN.clear()


def parts(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("part-*"))}


def attack(folder: Path, model: Model | None = None, **how: Any) -> Any:
    recipe = Recipe(PGD(steps=2), "m", "d", Linf(0.1), chunk=2)
    return run_recipe(recipe, model or Model(conv()), _Eleven(), folder, **how)


def test_ranks_of_any_number_write_what_one_process_writes(tmp_path: Path):
    whole = attack(tmp_path / "whole")
    for world in (2, 3, 8):
        place = tmp_path / str(world)
        for rank in reversed(range(world)):
            with spread(Ranks(rank, world)):
                if rank:
                    with pytest.raises(Unfinished):
                        attack(place, together=False)
                else:
                    assert len(attack(place, together=False)) == 11
        assert parts(place) == parts(tmp_path / "whole")
        assert (place / "table.parquet").read_bytes() == (tmp_path / "whole" / "table.parquet").read_bytes()
    assert whole.errors == {"s4": "torn"}


def test_a_world_that_changed_leaves_nothing_out_and_does_nothing_twice(tmp_path: Path):
    attack(tmp_path / "whole")
    stamps = {}
    for rank, world in ((0, 2), (1, 5), (3, 5)):
        with spread(Ranks(rank, world)), pytest.raises(Unfinished):
            attack(tmp_path / "cut", together=False)
        for path in (tmp_path / "cut").glob("part-*"):
            assert stamps.setdefault(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    assert 0 < len(stamps) < 6
    attack(tmp_path / "cut")
    assert parts(tmp_path / "cut") == parts(tmp_path / "whole")


def test_where_all_is_needed_a_rank_waits_for_the_others_and_in_vain_for_nobody(tmp_path: Path):
    attack(tmp_path / "whole")
    one, other = (
        Model(conv()),
        Model(conv()),
    )  # in turn: both draw their weights from the process's own stream
    others = threading.Thread(target=lambda: _by(Ranks(1, 2), tmp_path / "both", model=other))
    others.start()
    _by(Ranks(0, 2), tmp_path / "both", model=one)
    others.join()
    assert parts(tmp_path / "both") == parts(tmp_path / "whole")
    alone = Ranks(0, 3)
    alone.patience = 0.05
    _by(alone, tmp_path / "alone")
    assert parts(tmp_path / "alone") == parts(tmp_path / "whole")


def _by(ranks: Ranks, folder: Path, **how: Any) -> None:
    with spread(ranks):
        attack(folder, **how)


def test_the_last_rank_does_alone_what_follows(tmp_path: Path):
    for rank in (0, 1):
        with spread(Ranks(rank, 2)):
            if rank == 0:
                with pytest.raises(Unfinished, match="3 of 6 chunks are still to come"):
                    attack(tmp_path / "a", together=False)
            else:
                attack(tmp_path / "a", together=False)
                begun = time.monotonic()
                attack(tmp_path / "control")
                assert time.monotonic() - begun < 3  # nobody is waited for


def test_a_finished_run_asks_nothing(tmp_path: Path):
    first = attack(tmp_path)
    model = Model(conv())
    model.net.forward = lambda x: pytest.fail("the network was asked")
    read = Reading(_Eleven(), None, ())
    again = run_recipe(Recipe(PGD(steps=2), "m", "d", Linf(0.1), chunk=2), model, _Unread(), tmp_path)
    assert torch.equal(again["adversarial"], first["adversarial"])
    assert read(("s4",)).errors == {"s4": "torn"}


class _Unread(_Eleven.__base__):  # pyright: ignore
    """The same data, which nobody may read."""

    def ids(self) -> tuple[str, ...]:
        return IDS

    def sample(self, id: str, view: View) -> Sample:
        raise AssertionError(f"{id} was read")

    def label(self, id: str) -> int:
        raise AssertionError


def test_the_next_samples_are_read_while_these_are_asked_about(tmp_path: Path):
    reading, said = threading.Event(), list[bool]()

    def read(ids: Any) -> Batch:
        if ids[0] == "s2":
            reading.set()
        return Batch(tuple(ids), torch.zeros(len(ids), 1), torch.zeros(len(ids)))

    def answer(batch: Batch) -> Part:
        if batch.ids[0] == "s0":
            said.append(reading.wait(10))
        return Part({"x": batch.x}, {}, {})

    work("r", tmp_path, IDS[:6], Asked(read, answer), chunk=2)
    assert said == [True]
    assert read_table(tmp_path).ids == IDS[:6]


def test_what_goes_wrong_in_reading_ahead_is_raised_and_what_was_done_is_kept(tmp_path: Path):
    def read(ids: Any) -> Batch:
        if ids[0] == "s4":
            raise InputError("of two sizes")
        return Batch(tuple(ids), torch.zeros(len(ids), 1), torch.zeros(len(ids)))

    with pytest.raises(InputError, match="of two sizes"):
        work("r", tmp_path, IDS, Asked(read, lambda b: Part({"x": b.x}, {}, {})), chunk=2)
    assert len(parts(tmp_path)) == 2


def sums(room: int) -> Asked:
    from unfool.objectives import Logit

    question = Question(Model(conv()), seed=3, objective=Logit())
    return Asked(Reading(_Eleven(), None, ()), lambda batch: answered(_Sums(room), question, batch))


@pytest.mark.parametrize("room", [1, 3, 4, 7])
def test_a_batch_that_does_not_fit_is_halved_and_the_results_are_the_same(room: int, tmp_path: Path):
    work("r", tmp_path / "whole", IDS, sums(99), chunk=8)
    work("r", tmp_path / "cut", IDS, sums(room), chunk=8)
    whole, cut = (read_table(tmp_path / name) for name in ("whole", "cut"))
    for name in ("noisy", "long"):
        assert torch.equal(whole[name].nan_to_num(9), cut[name].nan_to_num(9))
    assert torch.allclose(whole["sum"], cut["sum"], equal_nan=True, rtol=1e-6)
    assert cut.errors == {"s4": "torn"}


def test_the_size_that_fits_is_remembered(tmp_path: Path):
    work("r", tmp_path, IDS, sums(2), chunk=5)
    assert SEEN == [4, 3, 2, 2, 2, 2, 1, 1]  # one of the first five cannot be read


def test_a_single_image_that_does_not_fit_is_one_sentence(tmp_path: Path):
    with pytest.raises(
        OutOfMemory, match=r"single image, s0: CUDA out of memory\. Tried to allocate"
    ) as caught:
        work("r", tmp_path, IDS, sums(0), chunk=4)
    assert "More" not in str(caught.value)
    assert "--view" in caught.value.hint
    assert SEEN == [4, 2, 1]


def test_the_processors_memory_counts_too(tmp_path: Path):
    asked = []

    def answer(batch: Batch) -> Part:
        asked.append(len(batch))
        if len(batch) > 1:
            torch.empty(1 << 55)
        return Part({"x": batch.x}, {}, {})

    read = lambda ids: Batch(tuple(ids), torch.zeros(len(ids), 1), torch.zeros(len(ids)))  # noqa: E731
    work("r", tmp_path, IDS[:2], Asked(read, answer), chunk=2)
    assert asked == [2, 1, 1]


def test_a_network_without_memory_is_not_called_broken():
    class Hungry(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.empty(1 << 55)

    with pytest.raises(RuntimeError, match="memory"):
        Model(Hungry())(X)


def test_other_errors_are_not_tried_again(tmp_path: Path):
    asked = []

    def answer(batch: Batch) -> Part:
        asked.append(len(batch))
        raise RuntimeError("shapes")

    read = lambda ids: Batch(tuple(ids), torch.zeros(len(ids), 1), torch.zeros(len(ids)))  # noqa: E731
    with pytest.raises(RuntimeError, match="shapes"):
        work("r", tmp_path, IDS, Asked(read, answer), chunk=4)
    assert asked == [4]


def test_drafts_of_killed_processes_are_swept_away_and_no_others(tmp_path: Path):
    gone = tmp_path / f".part-00001.safetensors.{HOST}.999999999.7.tmp"
    mine = tmp_path / f".part-00002.safetensors.{HOST}.{os.getpid()}.7.tmp"
    elsewhere = tmp_path / ".part-00003.safetensors.another-host.999999999.7.tmp"
    for draft in (gone, mine, elsewhere):
        draft.write_text("half")
    work("r", tmp_path, IDS[:1], sums(9))
    assert not gone.exists()
    assert mine.exists()
    assert elsewhere.exists()


def test_a_draft_is_named_after_its_process(tmp_path: Path):
    names = []
    atomically(tmp_path / "a", lambda draft: names.append(draft.name) or draft.write_text("x"))
    assert names == [f".a.{HOST}.{os.getpid()}.{threading.get_ident()}.tmp"]


def test_one_sample_of_a_large_column_is_read_alone(tmp_path: Path, monkeypatch: Any):
    attack(tmp_path)
    table = read_table(tmp_path)
    images = table["adversarial"]
    for row in range(11):
        assert torch.equal(table.at("adversarial", row), images[row])
        assert torch.equal(table.at("l2", row).nan_to_num(9), table["l2"][row].nan_to_num(9))
    assert set(table.scalars) >= {"l2", "success", "y"}
    assert "adversarial" not in table.scalars


def test_large_columns_stay_on_disk(tmp_path: Path):
    work(
        "r",
        tmp_path,
        IDS,
        lambda ids: Part({"n": torch.ones(len(ids)), "wide": torch.ones(len(ids), 3)}, {}, {}),
    )
    table = read_table(tmp_path)
    part = tmp_path / "part-00000.safetensors"
    save_file({"n": torch.zeros(11), "wide": torch.full((11, 3), 5.0)}, part)
    assert table["n"].sum() == 11  # at hand since the table was read
    assert table["wide"].sum() == 5 * 33  # read now


@pytest.mark.parametrize(
    ("environment", "rank", "world"),
    [
        ({"RANK": "2", "WORLD_SIZE": "4"}, 2, 4),
        (_slurm := {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "9"})
        and (_slurm | {"SLURM_ARRAY_TASK_COUNT": "4"}, 2, 4),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, 1, 2),
    ],
    ids=["torchrun", "array of every second", "srun"],
)
def test_the_environment_says_which_rank_this_is(environment: dict[str, str], rank: int, world: int):
    found = ranks_of(environment)
    assert (found.rank, found.world) == (rank, world)


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "a/b", "1/0"])
def test_a_part_that_cannot_be_is_one_sentence(text: str):
    with pytest.raises(InputError) as caught:
        part_of(text)
    assert "1/" in caught.value.hint


def test_parts_count_from_one():
    assert (part_of("3/8").rank, part_of("3/8").world) == (2, 8)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "x", "WORLD_SIZE": "2"},
        {
            "SLURM_ARRAY_TASK_ID": "5",
            "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_MAX": "9",
            "SLURM_ARRAY_TASK_COUNT": "3",
        }
        | {"SLURM_ARRAY_TASK_MAX": "8"},
    ],
    ids=["nothing", "no number", "uneven"],
)
def test_an_environment_that_says_nothing_is_one_sentence(environment: dict[str, str]):
    with pytest.raises(InputError) as caught:
        ranks_of(environment)
    assert "--part" in caught.value.hint


def test_under_torchrun_each_process_has_its_own_gpu():
    environment = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}
    assert under_torchrun(environment)
    assert own_device("cuda", environment) == "cuda:1"
    assert own_device("cpu", environment) == "cpu"
    assert own_device("cuda", {}) == "cuda"
    assert not under_torchrun({"RANK": "0", "WORLD_SIZE": "2"})


def test_without_more_to_say_this_process_does_it():
    assert isinstance(engines.engine(), engines.Local)
    with spread(ranks := Ranks(0, 2)):
        assert engines.engine() is ranks
    assert isinstance(engines.engine(), engines.Local)
