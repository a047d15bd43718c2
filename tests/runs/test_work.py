"""A part that exists is done; whatever is missing, torn or interrupted is done again and comes out the same bytes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from unfool.errors import DataError, RunConflict
from unfool.rows import Batch
from unfool.runs.engine import spread
from unfool.runs.parts import Part, atomically
from unfool.runs.ranks import Ranks
from unfool.runs.table import read_table, write_parquet
from unfool.runs.work import answered, claim_folder, work

IDS = tuple(f"s{k}" for k in range(10))


def squares(ids):
    numbers = torch.tensor([float(i[1:]) for i in ids])
    return Part(
        {"square": numbers**2, "image": numbers.to(torch.uint8)[:, None]},
        {},
        {"half": tuple("ab"[int(i[1:]) % 2] for i in ids)},
    )


def parts(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("part-*"))}


def test_a_run_goes_on_where_it_was_stopped_with_the_same_bytes(tmp_path):
    work("r", tmp_path / "whole", IDS, squares, chunk=3)
    asked = []

    def dies(ids):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(ids)
        return squares(ids)

    with pytest.raises(KeyboardInterrupt):
        work("r", tmp_path / "cut", IDS, dies, chunk=3)
    kept = parts(tmp_path / "cut")
    assert len(kept) == 2
    again = []
    work("r", tmp_path / "cut", IDS, lambda ids: again.append(ids) or squares(ids), chunk=3)
    assert parts(tmp_path / "cut") == parts(tmp_path / "whole")
    assert [i for ids in again for i in ids] == list(IDS[6:])


def test_three_workers_write_what_one_writes(tmp_path):
    work("r", tmp_path / "one", IDS, squares, chunk=2)
    missing = []
    for rank in (2, 0, 1):
        with spread(Ranks(rank, 3)):
            missing.append(work("r", tmp_path / "three", IDS, squares, chunk=2, together=False))
    assert missing == [4, 2, 0]
    assert parts(tmp_path / "three") == parts(tmp_path / "one")


def test_a_torn_part_is_written_again(tmp_path):
    work("r", tmp_path, IDS, squares, chunk=5)
    whole = parts(tmp_path)
    torn = tmp_path / "part-00001.safetensors"
    torn.write_bytes(torn.read_bytes()[:40])
    work("r", tmp_path, IDS, squares, chunk=5)
    assert parts(tmp_path) == whole


def test_another_recipe_is_refused(tmp_path):
    work("PGD()", tmp_path, IDS, squares)
    with pytest.raises(RunConflict, match=r"holds another run: PGD\(\)") as caught:
        work("FGSM()", tmp_path, IDS, squares)
    assert "--out" in caught.value.hint


def test_a_run_that_failed_before_its_first_part_does_not_keep_its_folder(tmp_path):
    claim_folder(tmp_path, "GradCAM('nope')")
    with pytest.raises(RunConflict):  # a recipe alone may be somebody's own
        claim_folder(tmp_path, "GradCAM()")
    (tmp_path / "manifest.json").write_text("{}")
    work("GradCAM()", tmp_path, IDS, squares)
    assert (tmp_path / "recipe.txt").read_text() == "GradCAM()\n"
    assert not (tmp_path / "manifest.json").exists()  # the run's own weights are noted anew
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RunConflict):
        work("FGSM()", tmp_path, IDS, squares)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot make the folder"):
        work("r", tmp_path / "file" / "runs", IDS, squares)


def test_a_full_disk_leaves_no_half_file(tmp_path):
    def fails(draft):
        draft.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left") as caught:
        atomically(tmp_path / "a.json", fails)
    assert "disk" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_rows_that_could_not_be_read_are_blank_and_keep_their_error():
    class Ones:
        def left_out(self, question, batch):
            return {}

        def columns(self, question, batch):
            n = len(batch)
            return {
                "f": torch.ones(n),
                "i": torch.ones(n, dtype=torch.long),
                "b": torch.ones(n, dtype=torch.bool),
            }

    batch = Batch(
        ("a", "b", "c"),
        torch.zeros(3, 1, 2, 2),
        torch.zeros(3, dtype=torch.long),
        errors={"b": "not an image"},
    )
    columns, errors, _ = answered(Ones(), None, batch)
    assert columns["f"].isnan().tolist() == [False, True, False]
    assert columns["i"].tolist() == [1, -1, 1]
    assert columns["b"].tolist() == [True, False, True]
    assert errors == {"b": "not an image"}


def test_a_chunk_that_could_not_be_read_at_all_is_rows_of_zeros(tmp_path):
    work("r", tmp_path, IDS[:2], lambda ids: Part({}, dict.fromkeys(ids, "broken"), {}), chunk=2)
    work("r", tmp_path, IDS[:4], squares_after_broken, chunk=2)
    table = read_table(tmp_path)
    assert table["square"].tolist() == [0, 0, 4, 9]
    assert table.readable.tolist() == [False, False, True, True]


def squares_after_broken(ids):
    return squares(ids)._replace(groups={})


def test_the_table_opens_in_other_tools(tmp_path):
    import pyarrow.parquet as pq

    work("r", tmp_path, IDS, squares, chunk=4)
    write_parquet(read_table(tmp_path), tmp_path / "table.parquet")
    found = pq.read_table(tmp_path / "table.parquet").to_pydict()
    assert found["id"] == list(IDS)
    assert found["half"] == ["a", "b"] * 5
    assert found["square"] == [k**2 for k in range(10)]


def test_a_part_says_what_it_holds(tmp_path):
    work("r", tmp_path, IDS[:2], squares)
    with safe_open(tmp_path / "part-00000.safetensors", "pt") as file:
        assert json.loads(file.metadata()["unfool"])["ids"] == ["s0", "s1"]


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(DataError, match="no finished parts"):
        read_table(tmp_path)


def test_an_unknown_column_names_what_there_is(tmp_path):
    work("r", tmp_path, IDS, squares)
    with pytest.raises(DataError, match="no column 'cube'") as caught:
        _ = read_table(tmp_path)["cube"]
    assert "square" in caught.value.hint
