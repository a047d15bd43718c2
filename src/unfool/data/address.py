"""Data by address."""

from pathlib import Path
from urllib.parse import parse_qsl

from ..errors import DataError, UnknownName, suggestion
from .arrays import Arrays
from .base import Source
from .coco import Coco
from .embedded import NAMES, Embedded
from .folder import SUFFIXES, Folder
from .hub import hub_data
from .only import Only
from .scans import Scans, is_scan, scan_for, scans_in
from .shards import Shards, shards_at
from .stored import Stored, picture_columns
from .table import Table
from .torchvision import TorchvisionData


def open_data(address: str) -> Source:
    """What an address holds: a folder, a picture, .csv, .parquet, .npz, ``torchvision:NAME:split``, ``unfool:NAME``,
    ``hf:NAME:split`` of Hugging Face, ``wds:shard-{000..009}.tar`` of WebDataset.

    DICOM and NIfTI files and folders take ``?as=volume``, ``?window=40,400`` and others of :class:`Scan`.
    A .json of COCO's form has boxes; ``?images=folder`` says where its pictures are, if not beside it.
    Any of them with ``?only=slice.txt`` is cut to the ids that the file lists, one a line,
    with ``?id=NAME`` to one sample.

    Raises :class:`UnknownName` or :class:`DataError` where there is nothing of the kind.
    """
    place, options = split_address(address)
    only, id = options.pop("only", None), options.pop("id", None)
    found = _opened(place, options)
    found = found if only is None else Only(found, only)
    return found if id is None else Only(found, id=id)


def _opened(place: str, options: dict[str, str]) -> Source:
    if place.startswith("unfool:"):
        return _embedded(place.removeprefix("unfool:"), options)
    if place.startswith("torchvision:"):
        name, _, split = place.removeprefix("torchvision:").partition(":")
        return TorchvisionData(name, split or "test", options.get("root", "data"))
    if place.startswith("hf:"):
        name, _, split = place.removeprefix("hf:").partition(":")
        return hub_data(name, split, options)
    if place.startswith("wds:"):
        groups = tuple(part for part in options.get("groups", "").split(",") if part)
        return Shards(shards_at(place.removeprefix("wds:")), options.get("label", ""), groups)
    return _file(Path(place), options)


def split_address(address: str) -> tuple[str, dict[str, str]]:
    """``place?key=value&key=value`` in its two halves."""
    place, _, query = address.partition("?")
    return place, dict(parse_qsl(query, keep_blank_values=True))


def _embedded(name: str, options: dict[str, str]) -> Source:
    if name not in NAMES:
        raise UnknownName("embedded data set", f"unfool:{name}", [f"unfool:{known}" for known in NAMES])
    if "tag" in options and name != "digits":
        raise DataError(f"unfool:{name} has no images with a tag", f"unfool:digits?tag={options['tag']}")
    shortcut = options.get("shortcut", "1") not in ("0", "false", "no")
    return Embedded(name, options.get("split", "test"), shortcut, options.get("tag"))  # pyright: ignore[reportArgumentType]  checked there


def _file(path: Path, options: dict[str, str]) -> Source:
    suffix = path.suffix.lower()
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"there is nothing at {path}", suggestion(path.name, beside) if beside else "")
    if is_scan(path) or (path.is_dir() and scans_in(str(path))):
        return _scans(path, options)
    if path.is_dir() or suffix in SUFFIXES:
        return Folder(str(path))
    if suffix == ".parquet" and picture_columns(str(path)):
        groups = tuple(part for part in options.get("groups", "").split(",") if part)
        return Stored((str(path),), options.get("image", ""), options.get("label", ""), groups)
    if suffix in (".csv", ".parquet"):
        return Table(str(path), scan=scan_for(options))
    if suffix == ".npz":
        return Arrays(str(path))
    if suffix == ".json":
        return Coco(str(path), options.get("images", ""))
    raise DataError(
        f"{path} is no data that can be read",
        "a folder, a picture, .csv, .parquet, .npz, .json, .dcm, .nii or .nii.gz",
    )


def _scans(path: Path, options: dict[str, str]) -> Scans:
    """Medical files; among pictures one cannot know which are meant."""
    if path.is_dir() and any(p.suffix.lower() in SUFFIXES for p in path.rglob("*")):
        raise DataError(f"{path} holds both pictures and medical files", "give each a folder of its own")
    return Scans(str(path), scan_for(options))
