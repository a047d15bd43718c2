"""Lines, points and histograms that any subject may draw, each series with its interval."""

import math
import textwrap
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from matplotlib.axes import Axes
from torch import Tensor

from .chart import GREY, colours, drawn


class Series(NamedTuple):
    """Values over places; ``low`` and ``high`` are the ends of their intervals where there are any."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    style: Literal["line", "dots", "dashes", "control"] = "line"
    colour: int | None = None
    """Which of the palette; by default each series takes the next."""


STYLES = {
    "line": {"marker": "o", "markersize": 3},
    "dots": {"marker": "o", "markersize": 5, "linestyle": "none"},
    "dashes": {"linestyle": "--"},
    "control": {"marker": ".", "linestyle": ":"},
}


def lines(
    series: Sequence[Series],
    x: str,
    y: str,
    *,
    log: bool = False,
    share: bool = False,
    ticks: Sequence[float] = (),
    names: Sequence[str] = (),
    width: float = 7.2,
    height: float = 3.6,
) -> str:
    """Every series with its interval, labelled beside the axes; ``log`` on both axes, ``share`` from 0 to 1.

    ``ticks`` are marked on the first axis, as numbers or by their ``names``.
    """

    def draw(axes: Axes) -> None:
        for k, one in enumerate(series):
            _draw(axes, one, colours(k if one.colour is None else one.colour))
        axes.set(xlabel=x, ylabel=y)
        if log:
            axes.set(xscale="log", yscale="log")
        if share:
            axes.set_ylim(-0.02, 1.02)
        if ticks:
            told = [textwrap.fill(name, 14) for name in names] or [f"{t:g}" for t in ticks]
            axes.set_xticks(list(ticks), told)
            axes.minorticks_off()
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)

    return drawn(draw, width, height)


def _draw(axes: Axes, one: Series, colour: tuple[float, float, float]) -> None:
    axes.plot(list(one.x), list(one.y), color=colour, label=one.name, **STYLES[one.style])  # pyright: ignore[reportArgumentType]
    if not len(one.low):
        return
    if one.style == "dots":
        spans = [
            [max(0.0, v - low) for v, low in zip(one.y, one.low, strict=True)],
            [max(0.0, high - v) for v, high in zip(one.y, one.high, strict=True)],
        ]
        axes.errorbar(list(one.x), list(one.y), yerr=spans, fmt="none", color=colour, linewidth=1)
    else:
        axes.fill_between(list(one.x), list(one.low), list(one.high), color=colour, alpha=0.15, linewidth=0)


class Radii(NamedTuple):
    """The radii of one direction; infinite where nothing flipped."""

    name: str
    values: Tensor


def radius_histogram(found: Sequence[Radii], axis: str, limit: float, bins: int = 24) -> str:
    """Radii of several directions on one logarithmic axis, medians marked; what never flipped stands at the right."""
    finite = torch.cat([one.values[one.values.isfinite() & (one.values > 0)] for one in found])
    low = float(finite.min()) if len(finite) else limit / 100
    edges = torch.logspace(math.log10(low * 0.98), math.log10(limit * 1.02), bins + 1)
    beyond = limit * (limit / low) ** 0.08

    def draw(axes: Axes) -> None:
        for k, one in enumerate(found):
            some, n = one.values[one.values.isfinite()], max(1, len(one.values))
            counts = torch.histogram(some.float(), edges.float()).hist / n
            axes.stairs(counts.tolist(), edges.tolist(), fill=True, color=colours(k), alpha=0.35)
            axes.stairs(counts.tolist(), edges.tolist(), color=colours(k), linewidth=1.4, label=one.name)
            median = one.values.median()
            if median.isfinite():
                axes.axvline(float(median), color=colours(k), linestyle="--", linewidth=1)
            never = float(one.values.isinf().double().mean())
            axes.plot([beyond], [never], marker="D", color=colours(k), clip_on=False, linestyle="none")
        axes.axvline(limit * 1.02, color=GREY, linewidth=0.6)
        axes.set(xlabel=axis, ylabel="share of images", xscale="log")
        axes.text(beyond, axes.get_ylim()[1], "never\nflips", ha="center", va="bottom", fontsize=8)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)

    return drawn(draw, width=8)
