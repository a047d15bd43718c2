"""Pictures inside of other files - tar shards, parquet, Arrow - are those of a folder, and a bad one is a row."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from oracles import images
from unfool.data.address import open_data
from unfool.data.groups import with_groups
from unfool.data.shards import braces
from unfool.errors import DataError, UnknownName
from unfool.views import View

X = (images(7, 3, 8, 6) * 255).round().to(torch.uint8)
NAMES = ("cat", "dog", "eel")
Y = (0, 1, 0, 1, 2, 2, 1)


def png(k: int) -> bytes:
    held = io.BytesIO()
    Image.fromarray(X[k].permute(1, 2, 0).numpy()).save(held, "png")
    return held.getvalue()


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as shard:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            shard.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Seven samples in three shards; the last has no cats."""
    for n, ks in enumerate(((0, 1, 2), (3,), (4, 5, 6))):
        files = {}
        for k in ks:
            files |= {
                f"a/{k:03d}.png": png(k),
                f"a/{k:03d}.json": json.dumps({"label": NAMES[Y[k]], "site": "xy"[k % 2]}).encode(),
            }
        tar(tmp_path / f"s-{n}.tar", files)
    return tmp_path


def stored(
    path: Path, rows: range = range(7), y: Any = Y, note: dict[str, Any] | None = None, **how: Any
) -> Path:
    columns = {
        "image": [{"bytes": png(k), "path": f"{k}.png"} for k in rows],
        "label": [y[k] for k in rows],
        "site": ["xy"[k % 2] for k in rows],
    }
    table = pa.table(columns)
    if note is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": note}})})
    if path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as out:
            out.write_table(table)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **how)
    return path


CLASSES = {"label": {"_type": "ClassLabel", "names": list(NAMES)}}


def same(address: str, classes: tuple[str, ...] = NAMES) -> Any:
    source = open_data(address)
    batch = source.batch(source.ids(), View(), classes)
    assert not batch.errors
    torch.testing.assert_close(batch.x, X / 255)
    assert batch.y.tolist() == list(Y)
    back = source.batch(source.ids()[::-1], View(), classes)
    torch.testing.assert_close(back.x, batch.x.flip(0))
    assert back.ids == tuple(reversed(batch.ids))
    return source


def test_shards_are_their_pictures_and_labels(shards: Path):
    source = same(f"wds:{shards}/s-{{0..2}}.tar")
    assert source.ids()[:4] == ("s-0.tar/a/000", "s-0.tar/a/001", "s-0.tar/a/002", "s-1.tar/a/003")
    assert same(f"wds:{shards}/*.tar").ids() == source.ids()
    assert source.label_names() == NAMES


def test_a_class_missing_in_a_shard_numbers_the_others_as_ever(shards: Path):
    source = open_data(f"wds:{shards}/*.tar")
    last = [i for i in source.ids() if i.startswith("s-2")]
    assert source.batch(last, View()).y.tolist() == [
        2,
        2,
        1,
    ]  # the model knows no names, the last shard no cat
    stored(shards / "p" / "test-0.parquet", range(3), [NAMES[y] for y in Y])
    stored(shards / "p" / "test-1.parquet", range(4, 7), [NAMES[y] for y in Y])
    source = open_data(f"hf:{shards / 'p'}:test")
    assert source.batch(source.ids()[3:], View()).y.tolist() == [2, 2, 1]


def test_labels_of_shards_in_files_of_their_own_or_under_a_name(tmp_path: Path):
    files = {
        "0.jpg.png": b"",
        "1.png": png(1),
        "1.cls": b"2\n",
        "1.json": b'{"kind": "eel"}',
        "2.png": png(2),
    }
    tar(tmp_path / "a.tar", files)
    plain, named = open_data(f"wds:{tmp_path}/a.tar"), open_data(f"wds:{tmp_path}/a.tar?label=kind")
    assert plain.ids() == ("a.tar/1", "a.tar/2")  # a file of two endings is no picture
    assert [plain.label(i) for i in plain.ids()] == [2, None]
    assert [named.label(i) for i in named.ids()] == ["eel", None]
    assert plain.batch(plain.ids(), View(), NAMES).y.tolist() == [2, -1]


def test_a_bad_sample_of_a_shard_is_a_row_with_its_error(tmp_path: Path):
    path = tar(
        tmp_path / "a.tar",
        {"0.png": png(0), "1.png": b"no picture", "2.cls": b"1", "3.png": png(3), "3.cls": b"0"},
    )
    whole = path.read_bytes()
    with tarfile.open(path) as shard:
        cut = shard.getmember("3.png").offset_data + 20
    path.write_bytes(whole[:cut])
    source = open_data(f"wds:{path}")
    batch = source.batch(source.ids(), View(), NAMES)
    assert batch.ids == ("a.tar/0", "a.tar/1", "a.tar/2", "a.tar/3")
    torch.testing.assert_close(batch.x[0], X[0] / 255)
    assert {i: e[:40] for i, e in batch.errors.items()}.keys() == {"a.tar/1", "a.tar/2", "a.tar/3"}
    assert "not a picture" in batch.errors["a.tar/1"]
    assert "has no picture among its files" in batch.errors["a.tar/2"]
    assert "cut short" in batch.errors["a.tar/3"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("s-{0..3}.tar", r"there is no shard .*s-3\.tar"),
        ("none*.tar", "there is no shard"),
        ("s.tar.gz", r"is no \.tar file"),
        ("gz.tar", "is no plain tar file"),
        ("https://host/a.tar", "shards are read from files"),
    ],
)
def test_shards_that_are_not_there_are_one_sentence(pattern: str, message: str, shards: Path):
    with tarfile.open(shards / "s.tar.gz", "w:gz") as packed:
        packed.add(shards / "s-0.tar", "x.png")
    (shards / "gz.tar").write_bytes((shards / "s.tar.gz").read_bytes())
    address = pattern if ":" in pattern else f"{shards}/{pattern}"
    with pytest.raises(DataError, match=message) as caught:
        open_data(f"wds:{address}").ids()
    assert caught.value.hint


def test_braces_are_written_out():
    assert braces("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert braces("{x,y}/{8..10}") == ["x/8", "x/9", "x/10", "y/8", "y/9", "y/10"]
    assert braces("plain") == ["plain"]


def test_groups_of_shards_and_of_stored_rows(shards: Path):
    for address in (f"wds:{shards}/*.tar", str(stored(shards / "one.parquet"))):
        source = open_data(address)
        assert "site" in source.columns()  # pyright: ignore
        grouped = with_groups(source, ("site",))
        assert grouped.batch(grouped.ids(), View(), NAMES).groups == {"site": tuple("xyxyxyx")}
        with pytest.raises(UnknownName):
            with_groups(source, ("age",))


@pytest.mark.parametrize("name", ["test.parquet", "test.arrow"])
def test_rows_with_the_bytes_of_pictures(name: str, tmp_path: Path):
    stored(tmp_path / name, note=CLASSES, **({"row_group_size": 3} if "parquet" in name else {}))
    source = same(f"hf:{tmp_path}:test", ())
    assert source.ids() == tuple("0123456")
    assert source.label_names() == NAMES


def test_a_parquet_file_alone_and_bytes_without_a_path(tmp_path: Path):
    same(str(stored(tmp_path / "one.parquet")))
    table = pa.table({"img": [png(k) for k in range(7)], "thumb": [b""] * 7, "fine": list(Y)})
    pq.write_table(table, tmp_path / "two.parquet")
    with pytest.raises(DataError, match="2 columns of pictures") as caught:
        same(str(tmp_path / "two.parquet"))
    assert "?image=img" in caught.value.hint
    same(f"{tmp_path / 'two.parquet'}?image=img&label=fine")


def test_pictures_by_path_beside_the_file(tmp_path: Path):
    (tmp_path / "0.png").write_bytes(png(0))
    pq.write_table(
        pa.table({"image": [{"bytes": None, "path": "0.png"}, {"bytes": png(1), "path": None}]}),
        tmp_path / "a.parquet",
    )
    source = open_data(str(tmp_path / "a.parquet"))
    torch.testing.assert_close(source.batch(source.ids(), View()).x, X[:2] / 255)


def test_a_bad_row_is_a_row_with_its_error(tmp_path: Path):
    cells = [
        {"bytes": png(0), "path": ""},
        {"bytes": b"torn", "path": ""},
        {"bytes": None, "path": None},
        {"bytes": None, "path": "x.png"},
    ]
    pq.write_table(pa.table({"image": cells}), tmp_path / "a.parquet")
    source = open_data(str(tmp_path / "a.parquet"))
    batch = source.batch(source.ids(), View())
    assert [i in batch.errors for i in batch.ids] == [False, True, True, True]
    assert "has no picture" in batch.errors["2"]
    assert batch.y.tolist() == [-1] * 4  # without a column of labels


def test_a_page_that_cannot_be_read_is_the_error_of_its_rows_alone(tmp_path: Path):
    path = stored(tmp_path / "a.parquet", row_group_size=3, compression="none")
    start = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    source = open_data(str(path))
    batch = source.batch(source.ids(), View())
    assert set(batch.errors) == {"3", "4", "5"}
    torch.testing.assert_close(batch.x[6], X[6] / 255)


LAYOUTS = {
    "data/test-00000-of-00002.parquet": "data/test-00001-of-00002.parquet",
    "test/0000.parquet": "test/0001.parquet",
    "plain_text/test-00000.parquet": "plain_text/test-00001.parquet",
    "default/0.0.0/abc/my-test-00000-of-00002.arrow": "default/0.0.0/abc/my-test-00001-of-00002.arrow",
    "test/data-00000-of-00002.arrow": "test/data-00001-of-00002.arrow",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_files_is_understood(layout: str, tmp_path: Path):
    for name, rows in ((layout, range(3)), (LAYOUTS[layout], range(3, 7))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        stored(tmp_path / name, rows)
        other = tmp_path / name.replace("test", "train")
        other.parent.mkdir(parents=True, exist_ok=True)
        stored(other, range(1))
    same(f"hf:{tmp_path}:test")
    with pytest.raises(UnknownName, match=r"no split of .* is called 'tset'") as caught:
        open_data(f"hf:{tmp_path}:tset")
    assert "test" in caught.value.hint


def test_the_hubs_cache_and_that_of_datasets(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = tmp_path / "hub" / "datasets--me--digits"
    stored(hub / "snapshots" / "abc" / "data" / "validation-00000-of-00001.parquet")
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("abc")
    same("hf:me/digits:validation")
    same("hf:me/digits:val")
    made = tmp_path / "datasets" / "me___other" / "default" / "0.0.0" / "x"
    made.mkdir(parents=True)
    stored(made / "other-test.arrow")
    same("hf:me/other:test")
    with pytest.raises(DataError, match="no data set me/none on this machine") as caught:
        open_data("hf:me/none:test")
    assert "hf:FOLDER:split" in caught.value.hint


def test_what_the_hub_has_is_fetched_and_no_network_is_one_sentence(tmp_path: Path, monkeypatch: Any):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    asked = []

    def snapshot(name: str, revision: str, **how: Any) -> str:
        asked.append((name, revision))
        if revision == "main":
            (tmp_path / "main").mkdir(exist_ok=True)
            return str(tmp_path / "main")  # nothing but a script
        stored(tmp_path / "converted" / "default" / "test" / "0000.parquet")
        return str(tmp_path / "converted")

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    same("hf:me/digits:test")
    assert asked == [("me/digits", "main"), ("me/digits", "refs/convert/parquet")]

    def fails(*args: Any, **how: Any) -> str:
        raise ConnectionError("no route to host\nat all")

    monkeypatch.setattr(hub, "snapshot_download", fails)
    with pytest.raises(
        DataError, match="cannot fetch me/digits from the Hugging Face hub: no route to host at all"
    ):
        open_data("hf:me/digits:test")


def test_several_configurations_are_told_apart(tmp_path: Path):
    for name in ("red", "blue"):
        stored(tmp_path / name / "test-00000.parquet", range(7) if name == "red" else range(2))
    with pytest.raises(DataError, match="configurations blue, red"):
        open_data(f"hf:{tmp_path}:test")
    same(f"hf:{tmp_path}:test?config=red")
    with pytest.raises(UnknownName):
        open_data(f"hf:{tmp_path}:test?config=green")


def test_one_large_row_group_is_never_held_whole(tmp_path: Path):
    rng = np.random.default_rng(0)
    cells = [rng.bytes(400_000) for _ in range(200)]  # 80 MB
    table = pa.table({"image": cells, "label": [0] * 200})
    pq.write_table(
        table, tmp_path / "a.parquet", row_group_size=200, write_batch_size=8
    )  # pages of about 1 MB
    del cells, table
    source: Any = open_data(str(tmp_path / "a.parquet"))
    pa.default_memory_pool().release_unused()
    before, most = pa.total_allocated_bytes(), 0
    from unfool.data import stored as module

    own = module._picture

    def watched(cell: Any) -> Any:
        nonlocal most
        most = max(most, pa.total_allocated_bytes() - before)
        return own(cell)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_picture", watched)
        source.prepare(["199", "3", "100"])
    assert 0 < most < 30e6


def test_a_column_that_is_not_there_names_those_that_are(tmp_path: Path):
    path = stored(tmp_path / "a.parquet")
    for option in ("image=picture", "label=class"):
        source = open_data(f"{path}?{option}")
        with pytest.raises(UnknownName):
            source.batch(source.ids(), View())
