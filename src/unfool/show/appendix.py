"""A page for an appendix: one row an image, one column a landmark, and a control; as PDF and PNG."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from .chart import colours
from .image import colour

SHADES, CONTROL = (1, 0, 2, 4, 5), 3
"""Of the palette, for landmarks in turn, and for the control."""
PAGE: Any = {"font.family": "sans-serif", "font.size": 8, "pdf.fonttype": 42, "pdf.compression": 9}


class Row(NamedTuple):
    """One image: its maps, first of "no landmark" then of each landmark [1 + K, H, W], and where each is found."""

    told: str
    image: Tensor
    maps: Tensor
    places: Tensor
    probability: Tensor
    truth: Tensor


def appendix(rows: Sequence[Row], names: Sequence[str], title: str, caption: str) -> dict[str, bytes]:
    """The page as files by their ending: pdf and png."""
    wide, ratio = 7.2, rows[0].image.shape[-2] / rows[0].image.shape[-1]
    tall = len(rows) * ((wide - 0.3) / (len(names) + 2) * ratio + 0.12) + 0.4
    below = 0.15 * (caption.count("\n") + 1)
    with mpl.rc_context(PAGE):
        figure = Figure(figsize=(wide, tall + below), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.03, w_pad=0.02, hspace=0, wspace=0)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
        parts: Any = figure.subfigures(2, 1, height_ratios=(tall, below))
        body, text = parts
        grid = body.subplots(len(rows), len(names) + 2, squeeze=False)
        for row, axes in zip(rows, grid, strict=True):
            _row(axes, row, names)
        for axes, name in zip(grid[0], ["image", *names, "control: none"], strict=True):
            axes.set_title(name, fontsize=8)
        body.suptitle(title, fontsize=9, x=0.01, ha="left", weight="bold")
        text.text(0.01, 0.98, caption, fontsize=7, va="top", ha="left", linespacing=1.25)
        return {kind: _saved(figure, kind) for kind in ("pdf", "png")}


def _row(axes: Sequence[Axes], row: Row, names: Sequence[str]) -> None:
    grey = colour(row.image).mean(0).numpy()
    for one in axes:
        one.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        one.set_xticks([])
        one.set_yticks([])
    axes[0].set_ylabel(row.told, fontsize=7)
    for k in range(len(names)):
        tint = colours(SHADES[k % len(SHADES)])
        _over(axes[1 + k], row.maps[1 + k], tint)
        for one in (axes[0], axes[1 + k]):
            _mark(one, row.places[k], row.truth[k], tint)
        told = f"p = {float(row.probability[k]):.2f}, up to {float(row.maps[1 + k].abs().max()):.2g}"
        axes[1 + k].set_xlabel(told, fontsize=6.5, labelpad=2)
    _over(axes[-1], row.maps[0], colours(CONTROL))
    axes[-1].set_xlabel(f"up to {float(row.maps[0].abs().max()):.2g}", fontsize=6.5, labelpad=2)


def _over(axes: Axes, heat: Tensor, tint: tuple[float, float, float]) -> None:
    """A map in one colour, the more opaque the stronger; divided by its 99.5th percentile, an empty one stays empty."""
    sizes = heat.abs()
    top = float(sizes.flatten().quantile(0.995)) or float(sizes.max()) or 1.0
    shades = LinearSegmentedColormap.from_list("one", [(*tint, 0.0), (*tint, 0.95)])
    axes.imshow(
        (sizes / top).clamp(0, 1).sqrt().numpy(), cmap=shades, vmin=0, vmax=1, interpolation="nearest"
    )


def _mark(axes: Axes, place: Tensor, truth: Tensor, tint: tuple[float, float, float]) -> None:
    """A cross where the landmark is found, a ring where it is known to be."""
    row, column = place.tolist()
    axes.plot([column], [row], marker="+", color="white", markersize=9, markeredgewidth=2.2)
    axes.plot([column], [row], marker="+", color=tint, markersize=8, markeredgewidth=1.1)
    if torch.isfinite(truth).all():
        row, column = truth.tolist()
        axes.plot(
            [column],
            [row],
            marker="o",
            color=tint,
            markersize=10,
            markerfacecolor="none",
            markeredgewidth=0.8,
        )


def _saved(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    told = (
        {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None} if kind == "pdf" else None
    )
    figure.savefig(buffer, format=kind, dpi=200, facecolor="white", metadata=told)
    return buffer.getvalue()
