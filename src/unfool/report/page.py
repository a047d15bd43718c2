"""What ``unfool inspect`` found of any subject: figures, numbers and one self-contained page in a folder."""

import json
import shlex
import sys
from collections.abc import Container, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from PIL import Image

from ..errors import DataError
from ..runs.work import atomically
from ..show.image import data_uri, encoded
from .live import script
from .looks import Case, sheets
from .summary import clean


class Figure(NamedTuple):
    """A chart as SVG text or panels as a picture, and the control that is in it."""

    name: str
    drawn: str | Image.Image
    caption: str
    control: str
    """What in the figure is the control; a figure without one is not written."""


class Grid(NamedTuple):
    """A table of texts; the first column names its rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    grey: Container[int] = ()
    """Rows that say too little to count."""


class Section(NamedTuple):
    """Figures and tables under one heading."""

    heading: str
    text: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Grid] = ()


def class_name(classes: Sequence[str], label: int) -> str:
    """A class as people call it, by its number where it has no name."""
    return classes[label] if 0 <= label < len(classes) else str(label)


class Page(NamedTuple):
    """A subject as people read it: one sentence of what it shows, the evidence, and what it does not show."""

    title: str
    sentence: str
    sections: Sequence[Section]
    limits: Sequence[str]
    recipe: str
    numbers: dict[str, Any]
    """What goes into the file of numbers."""
    links: Sequence[tuple[str, str]] = ()
    """Other pages: what they are called and where they are, seen from this one."""
    cases: Sequence[Case] = ()
    """Images with what was found of each, the worst first."""
    order: str = ""
    """What is shown of them, and in which order."""

    @property
    def figures(self) -> list[Figure]:
        return [figure for section in self.sections for figure in section.figures]

    def save(self, folder: Path | str) -> None:
        """The page, its numbers and its figures as files."""
        write_page(self, Path(folder), "")

    def _repr_html_(self) -> str:
        return framed(self.texts("", "inspect.json")[0][1])

    def texts(self, command: str, name: str) -> list[tuple[str, str]]:
        """Its files by their names."""
        template, parts = _template(), sheets(self.cases)
        held = {"page": self, "command": command, "name": name, "parts": parts}
        return [
            (part.name, template.render(script=script() if part.cases else "", part=part, **held))
            for part in parts
        ]


def typed() -> str:
    """The command that makes the page, as it was typed."""
    return shlex.join(["unfool", *sys.argv[1:]])


def write_page(page: Page, folder: Path, command: str, name: str = "inspect.json") -> None:
    """Write ``report.html``, the numbers by that ``name`` and every figure as a file of its own.

    Very many images go on in ``report-2.html`` and so on.

    Raises :class:`DataError` where a figure has no control.
    """
    check_figures(page.figures)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make {folder}: {error.strerror}", "give another with --out") from None
    for figure in page.figures:
        write_figure(figure, folder)
    told = {"title": page.title, "sentence": page.sentence, "recipe": page.recipe, **page.numbers}
    text = json.dumps(clean(told), indent=1, allow_nan=False)
    atomically(folder / name, lambda draft: draft.write_text(text, encoding="utf-8"))
    for old in folder.glob("report-[0-9]*.html"):
        old.unlink()
    for place, html in page.texts(command, name):
        atomically(folder / place, lambda draft, html=html: draft.write_text(html, encoding="utf-8"))


def framed(html: str) -> str:
    """A whole page inside another, such as a notebook's: it can show itself and do nothing else."""
    look = "width: 100%; height: 46rem; border: 1px solid #8884; border-radius: 6px"
    return f'<iframe sandbox="allow-scripts" style="{look}" srcdoc="{escape(html)}"></iframe>'


def check_figures(figures: Sequence[Figure]) -> None:
    for figure in figures:
        if not figure.control.strip():
            raise DataError(f"figure {figure.name!r} has no control", "no figure ships without one")


def write_figure(figure: Figure, folder: Path) -> None:
    drawn = figure.drawn
    if isinstance(drawn, str):
        whole = f'<?xml version="1.0" encoding="utf-8"?>\n{drawn}'
        atomically(folder / f"{figure.name}.svg", lambda draft: draft.write_text(whole, encoding="utf-8"))
    else:
        atomically(folder / f"{figure.name}.png", lambda draft: draft.write_bytes(encoded(drawn)))


def shown(drawn: str | Image.Image) -> str:
    """A figure as the page holds it."""
    return drawn if isinstance(drawn, str) else f'<img src="{data_uri(encoded(drawn))}" alt="">'


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("unfool.report", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["shown"] = shown
    return environment.get_template("inspect.html")
