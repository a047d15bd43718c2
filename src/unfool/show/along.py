"""All logits along a straight line, and the loss under them."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .chart import GREY, SETTINGS, colours


class Along(NamedTuple):
    """One image's logits [points, K] and losses [points], as such and kept in [0, 1]."""

    amplitudes: Tensor
    free: Tensor
    clipped: Tensor
    loss: Tensor
    loss_clipped: Tensor
    label: int


NAMED = 3
"""How many other classes get a colour: those on top at most places first."""


def logits_and_loss(sides: Sequence[tuple[str, Along]], classes: Sequence[str]) -> str:
    """Directions side by side on the same axes, as SVG text."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(9.6, 4.4), layout="constrained")
        grid = figure.subplots(
            2, len(sides), sharex=True, sharey="row", height_ratios=(2.4, 1), squeeze=False
        )
        rivals = _rivals(sides[0][1])
        for (above, below), (title, along) in zip(grid.T, sides, strict=True):
            for axes in (above, below):
                axes.spines[["top", "right"]].set_visible(False)
                axes.patch.set_visible(False)
                axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
            above.set_title(title, fontsize=10, color=GREY)
            _logits(above, along, classes, rivals)
            _loss(below, along)
        grid[0, 0].set_ylabel("logits")
        grid[1, 0].set_ylabel("cross-entropy")
        for axes, title in zip(grid[:, -1], ("class", None), strict=True):
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, title=title)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _logits(axes: Axes, along: Along, classes: Sequence[str], rivals: list[int]) -> None:
    for k in range(along.free.shape[1]):
        own, bold = k == along.label, k == along.label or k in rivals
        shade = colours(0 if own else 1 + rivals.index(k)) if bold else GREY
        name = (classes[k] if k < len(classes) else str(k)) if bold else None
        how: dict[str, Any] = {"color": shade, "alpha": 1.0 if bold else 0.6}
        axes.plot(
            along.amplitudes,
            along.free[:, k],
            linewidth=2.0 if own else 1.4 if bold else 0.6,
            label=name,
            **how,
        )
        if bold:
            axes.plot(along.amplitudes, along.clipped[:, k], linewidth=0.9, linestyle="--", **how)


def _rivals(along: Along) -> list[int]:
    top = along.free.argmax(1).tolist()
    order = sorted(range(along.free.shape[1]), key=lambda k: (-top.count(k), -float(along.free[:, k].max())))
    return [k for k in order if k != along.label][:NAMED]


def _loss(axes: Axes, along: Along) -> None:
    axes.plot(along.amplitudes, along.loss, color=GREY, linewidth=1.4, label="as such")
    axes.plot(
        along.amplitudes, along.loss_clipped, color=GREY, linewidth=0.9, linestyle="--", label="in [0, 1]"
    )
    axes.set_xlabel("eps")
