"""Clusters of points in two dimensions."""

from matplotlib.axes import Axes
from torch import Tensor

from .chart import colours, drawn


def scatter(view: Tensor, label: Tensor, filled: Tensor | None = None) -> str:
    """Points [N, 2] in their cluster's colour; those not ``filled`` are rings."""

    def draw(axes: Axes) -> None:
        for k in range(int(label.max()) + 1):
            own = label == k
            for kind in (False, True) if filled is not None else (True,):
                some = own if filled is None else own & (filled == kind)
                axes.scatter(
                    view[some, 0].tolist(),
                    view[some, 1].tolist(),
                    s=22,
                    facecolors=colours(k) if kind else "none",
                    edgecolors=[colours(k)],
                    linewidths=1,
                    label=f"cluster {k + 1} ({int(own.sum())})" if kind else None,
                )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)

    return drawn(draw, width=5.6, height=3.8)
