"""Charts as SVG: labelled where the lines are, in colours the colour-blind can tell apart, on any background."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .image import PALETTE

GREY = "#7f7f7f"
Interval = tuple[float, float, float]
"""A value with the ends of its interval."""

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unfool",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "text.color": GREY,
}


def colours(k: int) -> tuple[float, float, float]:
    red, green, blue = PALETTE[k % len(PALETTE)]
    return red / 255, green / 255, blue / 255


def drawn(draw: Callable[[Axes], None], width: float = 6.4, height: float = 3.6) -> str:
    """One chart as SVG text; the process's matplotlib settings stay as they are."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.patch.set_visible(False)
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def accuracy_curves(
    radii: Sequence[float], curves: Mapping[str, Sequence[Interval]], eps: float, axis: str
) -> str:
    """Accuracy against the size of the change, each curve with its 95 % band."""

    def draw(axes: Axes) -> None:
        for k, (name, rates) in enumerate(curves.items()):
            values, lows, highs = (list(part) for part in zip(*rates, strict=True))
            axes.plot(radii, values, color=colours(k), marker="o", markersize=3, label=name)
            axes.fill_between(radii, lows, highs, color=colours(k), alpha=0.15, linewidth=0)
        axes.axvline(eps, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel=axis, ylabel="share still right", ylim=(-0.02, 1.02))
        axes.set_xscale("symlog", linthresh=radii[1] if len(radii) > 1 else 1.0)
        axes.set_xticks(list(radii), [f"{r:.3g}" for r in radii], rotation=30)
        axes.minorticks_off()
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))

    return drawn(draw, width=8)


def distributions(values: Mapping[str, Tensor], axis: str, eps: float | None = None) -> str:
    """How large a share of images has flipped by each size; what never flips keeps a curve below 1."""

    def draw(axes: Axes) -> None:
        for k, (name, sizes) in enumerate(values.items()):
            finite = sizes[sizes.isfinite() & (sizes > 0)].sort().values
            share = (torch.arange(len(finite)) + 1) / max(1, int((sizes > 0).sum()))
            axes.step(finite.tolist(), share.tolist(), where="post", color=colours(k), label=name)
        if eps is not None:
            axes.axvline(eps, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel=axis, ylabel="share flipped", ylim=(-0.02, 1.02), xscale="log")
        axes.legend(frameon=False, loc="upper left")

    return drawn(draw)


def logits_along(amplitudes: Tensor, free: Tensor, clipped: Tensor, label: int, name: str) -> str:
    """Every logit along a straight line, the label's emphasised, dashed where pixels are kept in [0, 1]."""

    def draw(axes: Axes) -> None:
        others = [k for k in range(free.shape[1]) if k != label]
        best = max(others, key=lambda k: float(free[:, k].max()))
        for k in others[:40]:
            axes.plot(amplitudes, free[:, k], color=GREY, linewidth=0.6, alpha=0.5)
        axes.plot(amplitudes, free[:, best], color=colours(1), linewidth=1.4, label="strongest other")
        axes.plot(amplitudes, free[:, label], color=colours(0), linewidth=2, label=name)
        axes.plot(
            amplitudes, clipped[:, label], color=colours(0), linestyle="--", label=f"{name}, kept in [0, 1]"
        )
        axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel="± times the sign of the gradient", ylabel="logit")
        axes.legend(frameon=False, fontsize=8)

    return drawn(draw, width=4.8, height=3)


def dots(rows: Sequence[tuple[str, Interval, Interval]]) -> str:
    """Clean and robust rates of groups with their intervals, one line each."""

    def draw(axes: Axes) -> None:
        for k, told in enumerate(("clean", "under attack")):
            values, lows, highs = (list(part) for part in zip(*(row[1 + k] for row in rows), strict=True))
            spans = [
                [max(0.0, v - low) for v, low in zip(values, lows, strict=True)],
                [max(0.0, high - v) for v, high in zip(values, highs, strict=True)],
            ]
            places = [len(rows) - 1 - i + 0.12 * (1 - 2 * k) for i in range(len(rows))]
            axes.errorbar(
                values, places, xerr=spans, fmt="o", markersize=4, color=colours(k), label=told, linewidth=1
            )
        axes.set_yticks(range(len(rows)), [row[0][:28] for row in reversed(rows)])
        axes.set(xlabel="share right", xlim=(-0.02, 1.02))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    return drawn(draw, height=1.2 + 0.3 * len(rows))


def success_against_queries(curves: Mapping[str, Sequence[tuple[float, Interval]]]) -> str:
    """The share of images fooled by each number of queries, each curve with its 95 % band."""

    def draw(axes: Axes) -> None:
        for k, (name, points) in enumerate(curves.items()):
            queries = [at for at, _ in points]
            values, lows, highs = (list(part) for part in zip(*(r for _, r in points), strict=True))
            axes.step(queries, values, where="post", color=colours(k), label=name)
            axes.fill_between(queries, lows, highs, step="post", color=colours(k), alpha=0.15, linewidth=0)
        axes.set(xlabel="queries per image", ylabel="share fooled", ylim=(-0.02, 1.02), xscale="log")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)

    return drawn(draw)


def class_grid(counts: Tensor, totals: Tensor, names: Sequence[str]) -> str:
    """How often each class (a row of ``totals`` images) was taken for each other one: counts [K, K]."""

    def draw(axes: Axes) -> None:
        shares = counts / totals.clamp_min(1)[:, None]
        axes.imshow(shares.numpy(), cmap="Oranges", vmin=0, vmax=max(float(shares.max()), 1e-9))
        for i, j in counts.nonzero().tolist() if len(names) <= 20 else []:
            dark = float(shares[i, j]) > 0.6 * float(shares.max())
            axes.text(
                j,
                i,
                f"{int(counts[i, j])}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
        ticks = [f"{name[:14]} ({int(n)})" for name, n in zip(names, totals, strict=True)]
        axes.set_xticks(range(len(names)), [name[:14] for name in names], rotation=45, ha="right")
        axes.set_yticks(range(len(names)), ticks)
        axes.set(xlabel="taken for, after the change", ylabel="class (number of images)")

    side = 2.2 + 0.32 * min(len(names), 40)
    return drawn(draw, width=side + 0.8, height=side)
