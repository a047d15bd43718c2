"""Bars in groups, each with its interval."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from .chart import GREY, Interval, colours, drawn


def bars(
    groups: Sequence[str], series: Mapping[str, Sequence[Interval]], y: str, floor: float, told: str
) -> str:
    """Bars of every series in each group, from 0 to 1, with a line that is the floor."""
    wide = 0.8 / len(series)

    def draw(axes: Axes) -> None:
        for k, (name, values) in enumerate(series.items()):
            at = [g + (k - (len(series) - 1) / 2) * wide for g in range(len(values))]
            means = [v[0] for v in values]
            spans = [[max(0.0, v[0] - v[1]) for v in values], [max(0.0, v[2] - v[0]) for v in values]]
            axes.bar(at, means, 0.92 * wide, color=colours(k), alpha=0.85, label=name)
            axes.errorbar(at, means, yerr=spans, fmt="none", ecolor=GREY, elinewidth=1.2, capsize=2)
            for place, value in zip(at, means, strict=True):
                axes.text(place, 0.02, f"{100 * value:.0f}", ha="center", fontsize=8, color="white")
        axes.axhline(floor, color=GREY, linestyle=":", linewidth=1)
        axes.text(len(groups) - 0.4, floor, f" {told}", ha="left", va="center", fontsize=8, clip_on=False)
        axes.set(ylabel=y, ylim=(0, 1.02), xlim=(-0.6, len(groups) - 0.4))
        axes.set_xticks(range(len(groups)), list(groups))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series))

    return drawn(draw, width=7.2, height=3.8)
