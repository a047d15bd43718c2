"""Groups beside each other: a dot and its interval each, and where groups drawn at random would lie."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from .chart import GREY, Interval, colours, drawn


class Dot(NamedTuple):
    """One group: its rate, where 19 of 20 random groups of its size lie, and whether it is too small to count."""

    name: str
    rate: Interval
    usual: tuple[float, float] | None = None
    few: bool = False


def dot_plot(rows: Sequence[Dot], axis: str, overall: float | None = None, colour: int = 0) -> str:
    """One line a group, the first on top; the grey bars are the control, the dotted line all images together."""

    def draw(axes: Axes) -> None:
        for k, row in enumerate(reversed(rows)):
            if row.usual is not None:
                low, high = row.usual
                axes.barh(k, max(high - low, 1e-3), 0.55, low, color=GREY, alpha=0.25, linewidth=0)
            tint = GREY if row.few else colours(colour)
            value, low, high = row.rate
            axes.plot([low, high], [k, k], color=tint, linewidth=1.4)
            axes.plot([value], [k], marker="o", markersize=5, color=tint, linestyle="none")
        if overall is not None:
            axes.axvline(overall, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(rows)), [_short(row.name) for row in reversed(rows)])
        axes.set(xlabel=axis, ylim=(-0.6, len(rows) - 0.4))
        _shares(axes, max([row.rate[2] for row in rows] + [(row.usual or (0, 0))[1] for row in rows]))

    return drawn(draw, width=6.4, height=1.0 + 0.34 * len(rows))


def _shares(axes: Axes, most: float) -> None:
    axes.set_xlim(-0.02 * most, min(1.02, 1.05 * most) or 1)
    axes.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")


def _short(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"


class Bar(NamedTuple):
    """One system and its rate on each group, in the order of the groups."""

    name: str
    rates: Sequence[Interval]
    usual: Sequence[tuple[float, float]]
    """Where 19 of 20 random groups of those sizes lie."""


def bar_chart(groups: Sequence[str], bars: Sequence[Bar], axis: str) -> str:
    """Systems side by side within each group, every bar with its value and interval."""
    wide = 0.8 / len(bars)

    def draw(axes: Axes) -> None:
        for k, bar in enumerate(bars):
            at = [g - 0.4 + wide * (k + 0.5) for g in range(len(groups))]
            values, lows, highs = (list(part) for part in zip(*bar.rates, strict=True))
            axes.bar(at, values, wide * 0.8, color=colours(k), label=bar.name, linewidth=0)
            for x, (low, high) in zip(at, bar.usual, strict=True):
                axes.bar(x, high - low, wide * 0.96, low, color=GREY, alpha=0.2, linewidth=0, zorder=0)
            for x, value, low, high in zip(at, values, lows, highs, strict=True):
                axes.plot([x, x], [low, high], color=GREY, linewidth=1.2)
                if len(groups) * len(bars) <= 40:
                    text = f"{100 * value:.1f}"
                    axes.annotate(
                        text, (x, high), (0, 2), textcoords="offset points", ha="center", fontsize=8
                    )
        axes.set_xticks(range(len(groups)), [_short(name) for name in groups])  # two lines: its name and n
        axes.set(ylabel=axis, ylim=(0, None))
        axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(5, len(bars)))

    return drawn(draw, width=max(6.0, 1.2 + 0.48 * len(groups) * len(bars)), height=4)
