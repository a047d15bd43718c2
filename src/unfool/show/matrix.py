"""Tables of rates as a heat map with its numbers, and a strip of answers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from .chart import GREY, colours, drawn
from .heat import POSITIVE


class Cells(NamedTuple):
    """Rates in rows and columns; ``ringed`` are cells that say little, such as a model attacked by itself."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    ringed: Sequence[Sequence[bool]]
    apart: int = 0
    """How many of the last rows are controls, drawn apart."""


def heat_map(cells: Cells, rows: str, columns: str) -> str:
    """Every rate in percent on its colour, from white for none to dark for all."""
    shades = LinearSegmentedColormap.from_list("shades", [tuple(c / 255 for c in stop) for stop in POSITIVE])

    def draw(axes: Axes) -> None:
        places = _places(len(cells.rows), cells.apart)
        for at, values, ringed in zip(places, cells.values, cells.ringed, strict=True):
            for k, (value, own) in enumerate(zip(values, ringed, strict=True)):
                axes.add_patch(_tile(k, at, shades(value), own))
                ink = "white" if value > 0.55 else "#1d1d1f"
                axes.text(k, at, f"{100 * value:.0f}", ha="center", va="center", color=ink, fontsize=10)
        axes.set_xticks(
            range(len(cells.columns)), cells.columns, rotation=35, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(places, cells.rows)
        axes.set(xlim=(-0.55, len(cells.columns) - 0.45), ylim=(places[-1] + 0.55, -0.55))
        axes.set(xlabel=columns, ylabel=rows, aspect="equal")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    size = len(cells.columns), len(cells.rows)
    return drawn(draw, width=2.6 + 0.52 * size[0], height=1.6 + 0.5 * size[1])


def _places(n: int, apart: int) -> list[float]:
    return [k + (0.35 if k >= n - apart else 0.0) for k in range(n)]


def _tile(k: int, at: float, shade: tuple[float, float, float, float], ringed: bool) -> Rectangle:
    edge = {"edgecolor": colours(0), "linewidth": 2.0} if ringed else {"edgecolor": GREY, "linewidth": 0.3}
    half = 0.46 if ringed else 0.49
    return Rectangle((k - half, at - half), 2 * half, 2 * half, facecolor=shade, **edge)  # pyright: ignore[reportArgumentType]


class Answers(NamedTuple):
    """What each column says in each row: a text, and whether it is wrong."""

    rows: Sequence[str]
    columns: Sequence[str]
    texts: Sequence[Sequence[str]]
    wrong: Sequence[Sequence[bool]]


def answer_strip(answers: Answers) -> str:
    """Every model's answer to the same few images, wrong ones filled."""

    def draw(axes: Axes) -> None:
        for r, (texts, flags) in enumerate(zip(answers.texts, answers.wrong, strict=True)):
            for k, (text, wrong) in enumerate(zip(texts, flags, strict=True)):
                fill: dict[str, Any] = (
                    {"facecolor": colours(1), "alpha": 0.85} if wrong else {"facecolor": "none"}
                )
                axes.add_patch(Rectangle((k - 0.46, r - 0.42), 0.92, 0.84, edgecolor=GREY, **fill))
                axes.text(k, r, text, ha="center", va="center", fontsize=9, color="white" if wrong else GREY)
        axes.set_yticks(range(len(answers.rows)), answers.rows)
        axes.set_xticks(
            range(len(answers.columns)), answers.columns, rotation=35, ha="right", rotation_mode="anchor"
        )
        axes.set(xlim=(-0.55, len(answers.columns) - 0.45), ylim=(len(answers.rows) - 0.5, -0.5))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return drawn(draw, width=2.2 + 0.72 * len(answers.columns), height=1.3 + 0.55 * len(answers.rows))
