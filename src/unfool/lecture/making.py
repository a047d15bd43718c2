"""A slide made: what a page shows of it, as plain data."""

import base64
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from time import perf_counter
from typing import Any

from ..errors import UnfoolError
from ..report.page import Figure, Grid, Page, check_figures
from ..show.image import encoded
from .kit import Kit
from .slide import Cost, Made, Settings, Slide

DIGITS = 6
"""So many of a number are kept: what comes after them may depend on the processor."""


def outline(number: int, slide: Slide) -> dict[str, Any]:
    """All that is known of a slide before it is made."""
    return {
        "number": number,
        "key": slide.key,
        "title": slide.title,
        "requirements": slide.requirements,
        "shows": slide.shows,
        "shows_not": slide.shows_not,
        "sliders": [one.told() for one in slide.sliders],
        "errata": [dict(one.__dict__) for one in slide.errata],
        "printed": slide.drawn_as_printed,
        "seed": slide.seed,
    }


def made(slide: Slide, kit: Kit, settings: Settings) -> dict[str, Any]:
    """One state of a slide; what fails becomes its sentence."""
    python, command = slide.lines(settings)
    known = {"settings": dict(settings), "python": python, "command": command}
    began = perf_counter()
    try:
        with kit.counting():
            found = slide.make(kit, settings)
        check_figures(found.figures)
        told = {
            "says": found.says,
            "figures": [picture(figure) for figure in found.figures],
            "tables": [table(one) for one in found.tables],
            "numbers": plain(found.numbers),
            "cost": [plain(one._asdict()) for one in found.cost],
        }
    except UnfoolError as error:
        told = {"error": str(error), "hint": error.hint}
    except Exception as error:  # one slide that fails is not the end of the lecture
        first = (str(error).splitlines() or [""])[0][:300]
        told = {"error": f"{type(error).__name__}: {first}", "hint": "the other slides are not touched by it"}
    return {**known, **told, "seconds": round(perf_counter() - began, 2)}


def picture(figure: Figure) -> dict[str, Any]:
    """A figure as a page holds it: SVG or PNG as an address with the data in it."""
    if isinstance(figure.drawn, str):
        kind, content = "image/svg+xml", figure.drawn.encode()
    else:
        kind, content = "image/png", encoded(figure.drawn)
    address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return {"name": figure.name, "src": address, "caption": figure.caption, "control": figure.control}


def table(grid: Grid) -> dict[str, Any]:
    return {"title": grid.title, "header": list(grid.header), "rows": [list(row) for row in grid.rows]}


def plain(value: Any) -> Any:
    """Numbers as JSON has them, to so many digits; tensors as lists; what is infinite or undefined is none."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if isfinite(value) else None
    return value


def cost_of(what: str, found: Any, n: int) -> Cost:
    """What a method's results say they cost, for each of ``n`` images."""
    return Cost(what, found.cost.get("forward", 0) / n, found.cost.get("backward", 0) / n)


def counted_cost(what: str, kit: Kit, n: int) -> Cost:
    """What has gone through the kit's models since the slide began, for each of ``n`` images."""
    return Cost(what, kit.passes["forward"] / n, kit.passes["backward"] / n)


def from_page(
    page: Page,
    names: Sequence[str],
    cost: Sequence[Cost] = (),
    tables: Callable[[Grid], bool] = lambda grid: False,
) -> Made:
    """A slide of some figures of a page of ``unfool inspect``."""
    figures = [figure for name in names for figure in page.figures if figure.name == name]
    grids = [grid for section in page.sections for grid in section.tables if tables(grid)]
    return Made(page.sentence, figures, page.numbers, cost, grids)
