"""Hugging Face data sets: the parquet or Arrow files of a folder, of the caches on this machine, or of the hub."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DataError, UnknownName
from .stored import Stored

WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("validation", "valid", "val", "dev"),
}
"""What files of a split may be called by."""


def hub_data(name: str, split: str, options: dict[str, str]) -> Stored:
    """``hf:NAME:split``: the rows of a split, from a folder called so, the hub's caches, or else from the hub.

    ``config`` chooses between several configurations, ``image``, ``label`` and ``groups`` between columns.
    """
    files = _files(name, split, options.get("config", ""))
    groups = tuple(part for part in options.get("groups", "").split(",") if part)
    return Stored(tuple(map(str, files)), options.get("image", ""), options.get("label", ""), groups)


def _files(name: str, split: str, config: str) -> list[Path]:
    seen: list[str] = []
    for home in (_places(name), _downloaded(name)):
        for root in home:
            if files := _of_config(name, _of_split(root, split, seen), root, config):
                return files
        if seen:
            raise UnknownName(f"split of {name}", split, seen)
    raise DataError(f"there is no data set {name} on this machine", "hf:FOLDER:split of its parquet files")


def _places(name: str) -> Iterator[Path]:
    """Where a data set may lie: a folder, what the hub's client has fetched, what ``datasets`` has made of it."""
    if Path(name).is_dir():
        yield Path(name)
        return
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = (
        Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
        / f"datasets--{name.replace('/', '--')}"
    )
    for ref in sorted(p for p in (hub / "refs").rglob("*") if p.is_file()):  # main, then what was converted
        yield hub / "snapshots" / ref.read_text().strip()
    yield Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets")).expanduser() / name.replace("/", "___")


def _of_split(root: Path, split: str, seen: list[str]) -> list[Path]:
    """The files of a split below a folder, in order; ``seen`` is told which there are."""
    found = sorted(root.rglob("*.parquet")) or sorted(
        p for p in root.rglob("*.arrow") if not p.name.startswith("cache-")
    )
    splits = {path: _split_of(path.relative_to(root)) for path in found}
    seen += sorted({*splits.values()} - {*seen})
    wanted = next((known for known, words in WORDS.items() if split in words), split)
    if not split and len({*splits.values()}) == 1:
        return found
    return [path for path, own in splits.items() if own == wanted]


def _split_of(path: Path) -> str:
    """What split a file is of, by its name, or else by its folders'."""
    for part in (path.stem, *reversed(path.parts[:-1])):
        if (known := _known(part)) is not None:
            return known
    numbered = re.fullmatch(r"(\d+|data(-\d+-of-\d+)?)", path.stem)
    return (path.parent.name if numbered else re.split(r"[-_.]", path.stem)[-1]) or "data"


def _known(part: str) -> str | None:
    """The usual split that a part of a path names at its beginning or end."""
    tokens = re.split(r"[-_.]", re.sub(r"-\d+-of-\d+$", "", part).lower())
    return next((known for known, words in WORDS.items() if tokens[0] in words or tokens[-1] in words), None)


def _of_config(name: str, files: Sequence[Path], root: Path, config: str) -> list[Path]:
    """Those of one configuration, which is a folder above the files."""
    homes: dict[str, list[Path]] = {}
    for path in files:
        parts = [part for part in path.relative_to(root).parts[:-1] if _known(part) is None]
        homes.setdefault(parts[0] if parts else "", []).append(path)
    if config and homes and config not in homes:
        raise UnknownName(f"configuration of {name}", config, homes)
    if len(homes) > 1 and not config:
        raise DataError(f"{name} has the configurations {', '.join(sorted(homes))}", f"?config={min(homes)}")
    return homes[config] if config and homes else [*files]


def _downloaded(name: str) -> Iterator[Path]:
    """What the hub has: the data set's own parquet files, or those it was converted to."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or os.environ.get("HF_HUB_OFFLINE", "0") not in (
        "0",
        "",
    ):
        return
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise DataError(
            f"there is no data set {name} on this machine",
            "pip install 'unfool[hub]' fetches it; or hf:FOLDER:split of its parquet files",
        ) from None
    for revision in ("main", "refs/convert/parquet"):
        try:
            yield Path(
                huggingface_hub.snapshot_download(
                    name, repo_type="dataset", revision=revision, allow_patterns="*.parquet", etag_timeout=10
                )
            )
        except Exception as error:  # of the network, of the hub, of who may see what
            reason = " ".join(str(error).split())[:160]
            raise DataError(
                f"cannot fetch {name} from the Hugging Face hub: {reason}",
                "hf:FOLDER:split of its parquet files",
            ) from None
