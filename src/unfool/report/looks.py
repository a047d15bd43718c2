"""The images of a run in a page, each with what was found of it; the page is cut where it is too large to send."""

from collections.abc import Sequence
from typing import NamedTuple

from ..show.grid import Panel
from ..show.heat import Laid
from ..show.image import colour, data_uri, enlarged, png
from .live import Numbers, numbers

SIDE = 160
"""How wide a picture is drawn."""
MOST = 8_000_000
"""Of the pictures in one file, in bytes: with all the rest it stays under 10 MB."""


class Look(NamedTuple):
    """One picture of an image."""

    text: str
    uri: str
    live: Numbers | None = None
    """Of a map over the first picture: its numbers, from which the page draws it."""


class Case(NamedTuple):
    """An image, or what became of it: its pictures, of which the first is what maps are laid over."""

    id: str
    title: str
    looks: Sequence[Look]

    @property
    def size(self) -> int:
        return sum(len(look.uri) + len(look.live.uri if look.live else "") for look in self.looks)


def case(id: str, title: str, panels: Sequence[Panel]) -> Case:
    return Case(id, title, [look(panel) for panel in panels])


def look(panel: Panel) -> Look:
    uri = data_uri(png(enlarged(colour(panel[1]), SIDE)))
    if isinstance(panel, Laid) and panel.heat.any():
        return Look(panel.text, uri, numbers(panel.heat, panel.top, panel.signed))
    return Look(panel[0], uri)


class Sheet(NamedTuple):
    """The images in one file; ``first`` counts them through all files."""

    name: str
    first: int
    cases: Sequence[Case]


def sheets(cases: Sequence[Case], most: int = MOST) -> list[Sheet]:
    """Images in their order, so many a file that none is too large; always at least one file."""
    parts, size = [list[Case]()], 0
    for one in cases:
        if parts[-1] and size + one.size > most:
            parts.append([])
            size = 0
        parts[-1].append(one)
        size += one.size
    names = [f"report{f'-{k + 1}' if k else ''}.html" for k in range(len(parts))]
    starts = [1 + sum(map(len, parts[:k])) for k in range(len(parts))]
    return [Sheet(*told) for told in zip(names, starts, parts, strict=True)]
