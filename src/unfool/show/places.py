"""A map as a chart whose axes can be read, by class."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from torch import Tensor

from .chart import GREY, drawn
from .thumbs import class_tint

MOST = 30
"""So many classes are in the legend at most."""


def places(view: Tensor, y: Tensor, classes: Sequence[str], lasso: Sequence[float] = ()) -> str:
    """Points [N, 2] in the colour of their class, and the polygon that was drawn around some."""

    def draw(axes: Axes) -> None:
        known = sorted(set(y.tolist()))
        for k in known:
            own = view[y == k]
            tint = tuple(v / 255 for v in class_tint(k, max(len(classes), max(known) + 1)))
            name = "no label" if k < 0 else classes[k] if k < len(classes) else str(k)
            told = name[:24] if len(known) <= MOST else None
            axes.scatter(own[:, 0].tolist(), own[:, 1].tolist(), s=9, color=[tint], linewidths=0, label=told)
        if lasso:
            xs, ys = list(lasso[::2]), list(lasso[1::2])
            axes.plot([*xs, xs[0]], [*ys, ys[0]], color=GREY, linewidth=1.2)
        axes.set(xlabel="x", ylabel="y")
        axes.set_aspect("equal", "datalim")
        if len(known) <= MOST:
            axes.legend(
                frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, markerscale=1.8
            )

    return drawn(draw, width=8, height=5.6)
