"""Grades with their intervals, a method beside what knows nothing of the network; sanity layer by layer; badges."""

import io
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from .chart import GREY, SETTINGS, Interval, colours
from .grid import LEADING, caption_font, wrapped
from .image import colour as colour_of
from .image import enlarged


class Chart(NamedTuple):
    """A chart as SVG text and as a PNG file on white."""

    svg: str
    png: bytes


class Panel(NamedTuple):
    """One measure: its title, and each method's mean with its interval."""

    title: str
    rows: Sequence[tuple[str, Interval]]


COLUMNS = 4
"""Measures side by side."""


def dot_plot(panels: Sequence[Panel], note: str = "") -> Chart:
    """A small chart for each measure; the first method in colour, the baselines grey, its interval as a band."""
    wide = min(COLUMNS, len(panels))
    high = -(-len(panels) // wide)
    tall = 0.62 + 0.24 * max(len(panel.rows) for panel in panels)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(high, wide, squeeze=False, sharey=True)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _dots(axes, panel)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        names = [textwrap.fill(name, 32) for name, _ in panels[0].rows]
        grid[0, 0].set_yticks(range(len(names)), names)
        grid[0, 0].set_ylim(len(names) - 0.5, -0.5)
        figure.supxlabel(note, fontsize=9, color=GREY)

    return chart(draw, 1.5 + 2.2 * wide, 0.4 + tall * high)


def _dots(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, fontsize=10, color=GREY, loc="left")
    _, low, high = panel.rows[0][1]
    axes.axvspan(low, high, color=colours(0), alpha=0.12, linewidth=0)
    for k, (_, (value, least, most)) in enumerate(panel.rows):
        shade = colours(0) if k == 0 else GREY
        span = [[max(0.0, value - least)], [max(0.0, most - value)]]
        axes.errorbar([value], [k], xerr=span, fmt="o", markersize=5, color=shade, linewidth=1.6)
    axes.locator_params(axis="x", nbins=4)
    axes.margins(x=0.12)


class Steps(NamedTuple):
    """The correlation with the trained network's maps after each step down the network."""

    name: str
    values: Sequence[Interval]


def layer_plot(names: Sequence[str], lines: Sequence[Steps], passed: float, failed: float) -> Chart:
    """How far maps stay as they are while weights are drawn anew, from the output down."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhline(passed, color=colours(2), linewidth=0.9, linestyle="--")
        axes.axhline(failed, color=colours(1), linewidth=0.9, linestyle="--")
        axes.text(len(names) - 0.85, passed, f"green up to {passed}", fontsize=8, va="center")
        axes.text(len(names) - 0.85, failed, f"red above {failed}", fontsize=8, va="center")
        for k, one in enumerate(lines):
            values, low, high = (list(part) for part in zip(*one.values, strict=True))
            places, shade = list(range(len(values))), colours((0, 4)[k % 2])
            axes.plot(places, values, marker="o", markersize=4, color=shade, label=one.name)
            axes.fill_between(places, low, high, color=shade, alpha=0.15, linewidth=0)
        axes.set_xlim(-0.2, len(names) - 0.9)
        axes.set_xticks(range(len(names)), [name[-24:] for name in names], rotation=35, ha="right")
        axes.set(ylabel="rank correlation", ylim=(min(-0.1, axes.get_ylim()[0]), 1.02))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    return chart(draw, 3.2 + 0.5 * len(names), 3.6)


def chart(draw: Callable[[Figure], None], width: float, height: float) -> Chart:
    """What is drawn into a figure of so many inches."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
            axes.patch.set_visible(False)
        text, picture = io.StringIO(), io.BytesIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        figure.savefig(picture, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    svg = text.getvalue()
    return Chart(svg[svg.index("<svg") :], picture.getvalue())


BADGES = {"pass": (0, 110, 80), "weak": (150, 95, 0), "fail": (176, 42, 0), "unknown": (90, 90, 90)}
"""Green, amber, red and grey, dark enough for white letters; each says in words what it means, too."""
BAND = 22
"""Height of the band that carries the badge."""


def badged(picture: Tensor, verdict: str, text: str, side: int = 224) -> Tensor:
    """A map's picture with its badge in a band under it, in as many lines as it takes: [3, H, W] in [0, 1]."""
    large = enlarged(colour_of(picture), side)
    width = large.shape[2]
    told = wrapped(text, width - 10, caption_font())
    band = Image.new("RGB", (width, BAND + LEADING * (len(told) - 1)), BADGES[verdict])
    for k, line in enumerate(told):
        ImageDraw.Draw(band).text((5, 4 + LEADING * k), line, fill="white", font=caption_font())
    strip = torch.from_numpy(np.asarray(band).copy()).permute(2, 0, 1) / 255
    return torch.cat([large, strip.to(large)], 1)
