"""Success over angles and sizes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from .chart import colours, drawn

Cell = tuple[float, float, float]
"""A rate with the ends of its interval."""


def pose_map(
    degrees: Sequence[float],
    scales: Sequence[float],
    cells: Sequence[Sequence[Cell]],
    n: int,
    known: tuple[float, float],
) -> str:
    """Rates as a map, sizes down and angles across; inside the frame is what was learned on.

    ``known`` are the largest angle and the largest share by which the size differed then.
    """

    def draw(axes: Axes) -> None:
        values = [[cell[0] for cell in row] for row in cells]
        image = axes.imshow(values, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        for i, row in enumerate(cells):
            for j, (value, low, high) in enumerate(row):
                text = f"{100 * value:.0f}\n{100 * low:.0f}–{100 * high:.0f}"
                axes.text(
                    j,
                    i,
                    text,
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="black" if value > 0.5 else "white",
                )
        axes.set_xticks(range(len(degrees)), [f"{d:g}°" for d in degrees])
        axes.set_yticks(range(len(scales)), [f"{s:g}" for s in scales])
        axes.set(xlabel=f"turned by; n = {n} in each cell, below each rate its 95 % interval", ylabel="size")
        _frame(axes, degrees, scales, known)
        axes.spines[:].set_visible(False)
        bar = axes.figure.colorbar(image, ax=axes)
        bar.set_label("share that reaches the goal")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue, reportOptionalMemberAccess]

    return drawn(draw, width=1.6 + 0.8 * len(degrees), height=1.1 + 0.55 * len(scales))


def _frame(axes: Axes, degrees: Sequence[float], scales: Sequence[float], known: tuple[float, float]) -> None:
    across = [k for k, d in enumerate(degrees) if abs(d) <= known[0] + 1e-9]
    down = [k for k, s in enumerate(scales) if abs(s - 1) <= known[1] + 1e-9]
    if across and down:
        corner = (across[0] - 0.5, down[0] - 0.5)
        size = len(across), len(down)
        frame = Rectangle(corner, *size, fill=False, edgecolor=colours(1), linewidth=2)
        axes.add_patch(frame)
