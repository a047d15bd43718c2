"""Triggers beside each other: how small each class's is, and how far the smallest stands out in networks known."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from .chart import GREY, colours, drawn


def size_bars(
    names: Sequence[str],
    sizes: Sequence[float],
    suspects: Sequence[bool],
    middle: float,
    wide: float,
    limit: float,
) -> str:
    """One bar a class; the grey band is the median and ``limit`` standard deviations, within which none stands out."""

    def draw(axes: Axes) -> None:
        axes.axhspan(
            max(0.0, middle - limit * wide), middle + limit * wide, color=GREY, alpha=0.15, linewidth=0
        )
        axes.axhline(middle, color=GREY, linewidth=0.8, linestyle=":")
        tints = [colours(1) if suspect else colours(0) for suspect in suspects]
        axes.bar(range(len(names)), list(sizes), 0.7, color=tints, linewidth=0)
        axes.set_xticks(
            range(len(names)), [name[:12] for name in names], rotation=45 if len(names) > 12 else 0
        )
        axes.set(ylabel="pixels covered", ylim=(0, None))

    return drawn(draw, width=max(5.0, 1.2 + 0.5 * len(names)), height=3.2)


def index_dots(kinds: Mapping[str, Sequence[float]], limit: float) -> str:
    """Of every network the anomaly index of the class that needs least, one line a kind of network."""

    def draw(axes: Axes) -> None:
        for k, (name, values) in enumerate(kinds.items()):
            at = len(kinds) - 1 - k
            axes.plot(list(values), [at] * len(values), "o", color=colours(k), alpha=0.7, label=name)
        axes.axvline(limit, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(kinds)), [*kinds][::-1])
        axes.set(
            xlabel="anomaly index of the smallest trigger", ylim=(-0.6, len(kinds) - 0.4), xlim=(0, None)
        )

    return drawn(draw, width=6.4, height=1.1 + 0.4 * len(kinds))
