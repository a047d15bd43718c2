"""WebDataset shards: plain tar files, in which files of one name and several endings are one sample."""

import glob
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..views import View
from .base import Sample, Source
from .folder import SUFFIXES, decoded
from .remembered import remembered, stamp_of

LABELS = ("label", "cls", "class")
"""Under which names a label is looked for in a sample's .json."""


class Shards(Source):
    """Samples of several tar files: a picture (.jpg, .png, …) with .cls, or .json, which has a label and groups."""

    paths: tuple[str, ...]
    label_key: str = ""
    """What the label is called in .json; by default .cls is looked for first, then label, cls or class in .json."""
    group_columns: tuple[str, ...] = ()
    """What is known of a sample in its .json that makes groups."""

    def ids(self) -> tuple[str, ...]:
        found = [f"{name}/{key}" for name, path in _named(self.paths).items() for key in _index(path).keys]
        if not found:
            raise DataError(
                f"{self.paths[0]} holds no samples", "pictures with .cls or .json in plain tar files"
            )
        return tuple(found)

    def sample(self, id: str, view: View) -> Sample:
        path, key = self._place(id)
        picture = self._bytes(path, key, "picture")
        if picture is None:
            raise DataError(f"{id} has no picture among its files", f"such as {key}.jpg or {key}.png")
        return Sample(view(decoded(BytesIO(picture), id)))

    def label(self, id: str) -> str | int | None:
        path, key = self._place(id)
        if not self.label_key and (told := self._bytes(path, key, "cls")) is not None:
            return _label(told.decode(errors="replace").strip())
        known = self._json(path, key)
        names = (self.label_key,) if self.label_key else LABELS
        return next((_label(known[name]) for name in names if known.get(name) is not None), None)

    def label_names(self) -> tuple[str, ...]:
        return _names(self, tuple(stamp_of(Path(path)) for path in self.paths))

    def columns(self) -> tuple[str, ...]:
        """What the first sample's .json tells beside its label."""
        return tuple(
            name for name in self._json(*self._place(self.ids()[0])) if name not in (self.label_key, *LABELS)
        )

    def groups(self, id: str) -> dict[str, str]:
        known = self._json(*self._place(id)) if self.group_columns else {}
        return {name: str(known.get(name, "")) for name in self.group_columns}

    def _place(self, id: str) -> tuple[str, str]:
        name, _, key = id.partition(".tar/")
        return _named(self.paths)[f"{name}.tar"], key

    def _json(self, path: str, key: str) -> dict[str, Any]:
        told = self._bytes(path, key, "json")
        try:
            known = json.loads(told) if told else {}
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}

    def _bytes(self, path: str, key: str, kind: str) -> bytes | None:
        """One file of a sample, None where there is none."""
        index = _index(path)
        begin, size = index.places[kind][index.keys[key]].tolist()
        if begin == 0:
            return None
        with open(path, "rb") as file:
            file.seek(begin)
            found = file.read(size)
        if len(found) < size:
            raise DataError(f"{path} ends in the middle of {key}: the file was cut short", "copy it anew")
        return found


@lru_cache(8)
def _named(paths: tuple[str, ...]) -> dict[str, str]:
    """What each shard is called in ids: its file's name, or where two have one its whole path."""
    names = [Path(path).name for path in paths]
    return dict(zip(names if len({*names}) == len(names) else paths, paths, strict=True))


class _Index(NamedTuple):
    """Where in a tar file each sample's files begin, and how long they are: 0, 0 where there is none."""

    keys: dict[str, int]
    places: dict[str, np.ndarray]


@remembered
def _index(path: str) -> _Index:
    keys, places = dict[str, int](), {kind: list[tuple[int, int]]() for kind in ("picture", "cls", "json")}
    for member in _members(path):
        folder, _, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        kind = "picture" if f".{ending.lower()}" in SUFFIXES else ending.lower()
        if not stem or kind not in places:
            continue
        key = f"{folder}/{stem}" if folder else stem
        row = keys.setdefault(key, len(keys))
        for rows in places.values():
            rows.extend([(0, 0)] * (len(keys) - len(rows)))
        places[kind][row] = member.offset_data, member.size
    return _Index(keys, {kind: np.array(rows).reshape(-1, 2) for kind, rows in places.items()})


def _members(path: str) -> Iterator[tarfile.TarInfo]:
    """The files of a tar file; one that was cut short ends with the file that was cut."""
    seen = 0
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                shard.members = []  # pyright: ignore[reportAttributeAccessIssue]  it would keep them all
                seen += 1
                if member.isfile():
                    yield member
    except tarfile.ReadError as error:
        if not seen:
            reason = " ".join(str(error).split())[:120]
            raise DataError(
                f"{path} is no plain tar file ({reason})", "gunzip it, if it is a .tar.gz"
            ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None


def _label(told: Any) -> str | int | None:
    text = str(told)
    return int(text) if re.fullmatch(r"-?\d+", text) else text or None


@cache
def _names(source: Shards, stamps: object) -> tuple[str, ...]:
    """The classes of all shards: one in which a class is missing does not number the others anew."""
    del stamps
    ids = source.ids()
    if not isinstance(source.label(ids[0]), str):
        return ()
    return tuple(sorted({str(y) for i in ids if (y := source.label(i)) is not None}))


def shards_at(pattern: str) -> tuple[str, ...]:
    """The files that ``shard-{000..009}.tar`` or ``shards/*.tar`` mean, in order."""
    if re.match(r"(pipe|https?|s3|gs|hdfs):", pattern):
        raise DataError(
            f"shards are read from files, not from {pattern}", "copy them, and give wds:folder/*.tar"
        )
    paths = [
        p for one in braces(pattern) for p in (sorted(glob.glob(one)) if re.search(r"[*?\[]", one) else [one])
    ]
    if missing := [path for path in paths if not Path(path).is_file()] or ([] if paths else [pattern]):
        raise DataError(f"there is no shard {missing[0]}", f"{len(paths) - len(missing)} others are there")
    if odd := [path for path in paths if not path.endswith(".tar")]:
        raise DataError(f"{odd[0]} is no .tar file", "shards are plain tar files, without compression")
    return tuple(paths)


def braces(pattern: str) -> Sequence[str]:
    """``a-{08..10}`` and ``{x,y}`` written out."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    inner = found[1]
    ends = re.fullmatch(r"(\d+)\.\.(\d+)", inner)
    if ends is None:
        words = inner.split(",")
    else:
        width = len(ends[1]) if ends[1].startswith("0") or len(ends[1]) == len(ends[2]) else 0
        words = [f"{k:0{width}d}" for k in range(int(ends[1]), int(ends[2]) + 1)]
    return [one for word in words for one in braces(pattern[: found.start()] + word + pattern[found.end() :])]
