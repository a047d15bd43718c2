"""Alarms beside each other: who gets past them, and what they take for suspicious at every threshold."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from .chart import GREY, Interval, colours, drawn


def beside(names: Sequence[str], series: Mapping[str, Sequence[Interval]], axis: str) -> str:
    """One line a name, on it a dot with its interval for each series; the last series is grey."""
    told, apart = list(series.items()), 0.6 / max(1, len(series) - 1)

    def draw(axes: Axes) -> None:
        for k, (label, rates) in enumerate(told):
            tint = GREY if k == len(told) - 1 else colours(k)
            for i, (value, low, high) in enumerate(rates):
                at = len(names) - 1 - i + 0.3 - apart * k
                axes.plot([low, high], [at, at], color=tint, linewidth=1.4)
                axes.plot(
                    [value],
                    [at],
                    marker="o",
                    markersize=5,
                    color=tint,
                    linestyle="none",
                    label="" if i else label,
                )
        axes.set_yticks(range(len(names)), [name[:40] for name in reversed(names)])
        axes.set(xlabel=axis, xlim=(-0.02, 1.02), ylim=(-0.6, len(names) - 0.4))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9)

    return drawn(draw, width=7.2, height=1.2 + 0.5 * len(names))


def roc(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], at: float, title: str) -> str:
    """Found against false alarms, each curve with its name; chance is the diagonal, ``at`` the rate asked for."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
        for k, (name, (x, y)) in enumerate(curves.items()):
            axes.plot(list(x), list(y), color=colours(k), label=name, alpha=0.9)
        axes.axvline(at, color=GREY, linewidth=0.8)
        axes.set(xlabel="harmless images called suspicious", ylabel="found", title=title)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.title.set_fontsize(10)
        axes.legend(frameon=False, loc="lower right", fontsize=8)

    return drawn(draw, width=4.7, height=4.2)
