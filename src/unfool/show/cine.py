"""Charts of series: a map's profile under the signal, and what is left once frames go."""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from torch import Tensor

from .chart import GREY, SETTINGS, Interval, colours

TINTS = {"salient": 1, "random": 6, "least": 0}
NAMES = {"salient": "most salient frames", "random": "random frames", "least": "least salient frames"}


def profiles(signals: Mapping[str, Tensor], shares: Mapping[str, Tensor]) -> str:
    """The signal of each region over time, and under it every method's share in each frame, as SVG text."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 1.7 + 1.1 * len(shares)), layout="constrained")
        above, *below = figure.subplots(
            1 + len(shares), 1, sharex=True, height_ratios=(1.4, *[1] * len(shares))
        )
        for k, (name, curve) in enumerate(signals.items()):
            above.plot(range(1, len(curve) + 1), curve, color=colours((0, 2, 3, 4)[k % 4]), label=name)
        above.set_ylabel("brightness")
        above.legend(frameon=False, fontsize=8)
        for axes, (name, share) in zip(below, shares.items(), strict=True):
            axes.bar(range(1, len(share) + 1), share.tolist(), color=colours(1), width=0.8)
            axes.axhline(1 / len(share), color=GREY, linewidth=0.8, linestyle=":")
            axes.set_title(name, fontsize=9, color=GREY, loc="left")
            axes.set(ylabel="share", xlim=(0.4, len(share) + 0.6))
        below[-1].set_xlabel("frame (dotted: equal shares)")
        for axes in (above, *below):
            axes.spines[["top", "right"]].set_visible(False)
            axes.patch.set_visible(False)
        return _svg(figure)


def deletions(sides: Sequence[tuple[str, Sequence[int], Mapping[str, Sequence[Interval]]]], axis: str) -> str:
    """What is left by the number of frames replaced, one method beside the other, with 95 % intervals."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(1.2 + 3.3 * len(sides), 3.2), layout="constrained")
        grid = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
        for axes, (title, frames, left) in zip(grid, sides, strict=True):
            for order, points in left.items():
                values, lows, highs = (list(part) for part in zip(*points, strict=True))
                tint = colours(TINTS[order])
                axes.plot(frames, values, color=tint, marker="o", markersize=3, label=NAMES[order])
                axes.fill_between(frames, lows, highs, color=tint, alpha=0.15, linewidth=0)
            axes.set(xlabel="frames replaced", ylim=(-0.03, 1.03))
            axes.set_xticks(list(frames))
            axes.set_title(title, fontsize=9, color=GREY)
            axes.spines[["top", "right"]].set_visible(False)
            axes.patch.set_visible(False)
        grid[0].set_ylabel(axis)
        grid[0].legend(frameon=False, fontsize=8, loc="lower left")
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
