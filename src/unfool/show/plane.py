"""Regions of a plane, and where the images lie in it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from torch import Tensor

from .chart import drawn


def regions(
    points: Tensor, labels: Tensor, cells: Tensor, low: Tensor, high: Tensor, names: Sequence[str]
) -> str:
    """A plane [side, side] of classes with points [N, 2] in it, each class a colour, its name at its points' mean."""
    shades = _shades(len(names))
    ends = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))

    def draw(axes: Axes) -> None:
        pale = ListedColormap(0.35 * shades + 0.65)
        axes.imshow(
            cells.numpy(),
            cmap=pale,
            vmin=-0.5,
            vmax=len(names) - 0.5,
            extent=ends,
            origin="lower",
            aspect="auto",
        )
        axes.scatter(*points.numpy().T, c=shades[labels.numpy()], s=5, linewidths=0, rasterized=True)
        for k, name in enumerate(names):
            if bool((labels == k).any()):
                x, y = points[labels == k].mean(0).tolist()
                axes.text(x, y, name[:16], ha="center", va="center", weight="bold", color="black", fontsize=9)
        axes.set(xlabel="first main direction", ylabel="second", xticks=[], yticks=[])

    return drawn(draw, width=6, height=4.6)


def _shades(n: int) -> np.ndarray:
    """As many colours as there are classes, as far apart as may be: [n, 3]."""
    from matplotlib import colormaps

    known = colormaps["tab10" if n <= 10 else "turbo"]
    return np.array([known(k if n <= 10 else k / (n - 1))[:3] for k in range(n)])
