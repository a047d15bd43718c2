"""No figure ships without its control; a page asks nothing of any other host; what is infinite is null in JSON."""

import json
import re
from html import unescape

import pytest
from PIL import Image

from unfool.errors import DataError
from unfool.report.page import Figure, Grid, Page, Section, write_page
from unfool.show.lines import Radii, Series, lines, radius_histogram
from unfool.show.matrix import Answers, Cells, answer_strip, heat_map


def page(control: str = "random signs") -> Page:
    chart = lines([Series("one", [1, 2], [0.1, 0.2], [0, 0.1], [0.2, 0.3])], "x", "y", share=True)
    figures = [
        Figure("chart", chart, "A chart.", control),
        Figure("panel", Image.new("RGB", (4, 4)), "A panel.", "grey"),
    ]
    section = Section("Part <1>", "Text.", figures, [Grid("A table", ["", "a"], [["row", "1 < 2"]])])
    return Page(
        "A title",
        "It shows one thing.",
        [section],
        ["Anything else."],
        "Recipe()",
        {"n": 3, "far": float("inf")},
    )


def test_a_page_its_numbers_and_its_figures_are_written(tmp_path):
    write_page(page(), tmp_path / "new", "unfool inspect this")
    assert {p.name for p in (tmp_path / "new").iterdir()} == {
        "report.html",
        "inspect.json",
        "chart.svg",
        "panel.png",
    }
    found = json.loads((tmp_path / "new" / "inspect.json").read_text())
    assert found == {
        "title": "A title",
        "sentence": "It shows one thing.",
        "recipe": "Recipe()",
        "n": 3,
        "far": None,
    }
    html = (tmp_path / "new" / "report.html").read_text()
    assert "Part &lt;1&gt;" in html
    assert "Anything else." in html
    assert "random signs" in html
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)


def test_a_page_shows_itself_in_a_notebook_and_can_do_nothing_else(tmp_path):
    shown = page()._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts" ')
    held = unescape(re.search(r'srcdoc="([^"]*)"', shown)[1])  # pyright: ignore[reportOptionalSubscript]
    page().save(tmp_path / "page")
    assert held == (tmp_path / "page" / "report.html").read_text()


def test_a_figure_without_its_control_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no control"):
        write_page(page(" "), tmp_path, "")
    assert not (tmp_path / "report.html").exists()


def test_a_heat_map_shows_every_number():
    cells = Cells(
        ["a", "b"], ["x", "y"], [[0.125, 1.0], [0.0, 0.5]], [[True, False], [False, False]], apart=1
    )
    drawn = heat_map(cells, "rows", "columns")
    assert all(f">{n}</text>" in drawn for n in ("12", "100", "0", "50"))
    strip = answer_strip(Answers(["image"], ["x", "y"], [["3 99 %", "8"]], [[False, True]]))
    assert ">3 99 %</text>" in strip


def test_radii_that_never_flip_are_drawn():
    import torch

    drawn = radius_histogram([Radii("signs", torch.tensor([0.1, 0.2, torch.inf]))], "eps", 1.0)
    assert "never" in drawn
