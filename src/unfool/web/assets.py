"""The page's own files, by a table made once: what is not in it does not exist."""

from importlib.resources import files
from typing import NamedTuple

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    kind: str
    content: bytes


def assets(page: str = "unfool.web") -> dict[str, Asset]:
    """Every file under ``static`` by its address, those of another package's ``page`` too; the page itself is "/"."""
    found: dict[str, Asset] = {}
    for file in (one for place in ("unfool.web", page) for one in files(place).joinpath("static").iterdir()):
        suffix = file.name[file.name.rfind(".") :]
        address = "/" if file.name == "index.html" else f"/{file.name}"
        if suffix in KINDS:
            found[address] = Asset(KINDS[suffix], file.read_bytes())
    return found
