"""What ``unfool train`` has taught, by the folder or by the file in it."""

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from safetensors import SafetensorError, safe_open

from ..data.address import split_address
from ..errors import DataError
from ..spec import parse
from ..views import View

FILE = "model.safetensors"


class Taught(NamedTuple):
    """A network's address with what it was taught as its weights, its classes and how its pictures are cut."""

    address: str
    classes: tuple[str, ...] | None
    view: View | None


def is_taught(place: str) -> bool:
    """Whether an address is of something that was taught."""
    path = Path(place)
    return path.suffix == ".safetensors" or (path / FILE).is_file()


def taught(path: Path) -> Taught:
    """What a folder or a file of weights says of itself."""
    path = path / FILE if path.is_dir() else path
    told = _note(path)
    place, options = split_address(told["model"])
    options["weights"] = str(path)
    address = f"{place}?{urlencode(options, safe='/,:')}"
    view = parse(told["view"], View) if told["view"] else None
    return Taught(address, tuple(told["classes"]) or None, view)


def _note(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            told: dict[str, Any] = json.loads((file.metadata() or {})["unfool"])
            return {key: told[key] for key in ("model", "classes", "view")}
    except (OSError, SafetensorError, KeyError, ValueError):
        raise DataError(
            f"{path} does not say whose weights it holds", f"name the network: file.py:factory?weights={path}"
        ) from None
