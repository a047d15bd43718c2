"""Charts as SVG: labelled where the lines are, in colours the colour-blind can tell apart, on any background."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from .image import PALETTE

GREY = "#7f7f7f"
Interval = tuple[float, float, float]
"""A value with the ends of its interval."""

SETTINGS: Any = {
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
    with mpl.rc_context(SETTINGS):
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
    radii: Mapping[float, str], curves: Mapping[str, Sequence[Interval]], eps: float, axis: str
) -> str:
    """Accuracy against the size of the change (with its text), each curve with its 95 % band."""
    sizes = list(radii)

    def draw(axes: Axes) -> None:
        for k, (name, rates) in enumerate(curves.items()):
            values, lows, highs = (list(part) for part in zip(*rates, strict=True))
            axes.plot(sizes, values, color=colours(k), marker="o", markersize=3, label=name)
            axes.fill_between(sizes, lows, highs, color=colours(k), alpha=0.15, linewidth=0)
        axes.axvline(eps, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel=axis, ylabel="share still right", ylim=(-0.02, 1.02))
        least = sizes[1] if len(sizes) > 1 else 1.0
        axes.set_xscale("symlog", linthresh=least, linscale=0.4)
        axes.set_xticks(sizes, list(radii.values()))
        axes.set_xlim(-0.06 * least, 1.06 * max(sizes[-1], least))
        axes.minorticks_off()
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    return drawn(draw, width=7, height=3.8)


def distributions(values: Mapping[str, Tensor], axis: str, eps: float | None = None) -> str:
    """How large a share of images has flipped by each size; what never flips keeps a curve below 1."""

    def draw(axes: Axes) -> None:
        for k, (name, sizes) in enumerate(values.items()):
            finite = sizes[sizes.isfinite() & (sizes > 0)].sort().values
            share = (torch.arange(len(finite)) + 1) / max(1, int((sizes > 0).sum()))
            axes.step(finite.tolist(), share.tolist(), where="post", color=colours(k), label=name)
        if eps is not None:
            axes.axvline(eps, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel=axis, ylabel="share flipped", ylim=(-0.02, 1.02))
        if any((sizes.isfinite() & (sizes > 0)).any() for sizes in values.values()):
            axes.set_xscale("log")
        else:
            axes.set_xticks([])
            axes.text(0.5, 0.5, "no image that was right has flipped", ha="center", transform=axes.transAxes)
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
        axes.plot(amplitudes, free[:, label], color=colours(0), linewidth=2, label=name[:28])
        axes.plot(amplitudes, clipped[:, label], color=colours(0), linestyle="--", label="kept in [0, 1]")
        axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel="± times the sign of the gradient", ylabel="logit")
        axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)

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


def confidence_by_step(history: Tensor, sure: float) -> str:
    """How sure a network becomes, as the odds against it: the median over rows [N, T], and its quartiles."""

    def draw(axes: Axes) -> None:
        doubt = (1 - history.double()).clamp_min(1e-7)
        low, middle, high = (torch.quantile(doubt, q, dim=0).tolist() for q in (0.25, 0.5, 0.75))
        steps = range(history.shape[1])
        axes.fill_between(steps, low, high, color=colours(0), alpha=0.15, linewidth=0, label="quartiles")
        axes.plot(steps, middle, color=colours(0), label=f"median of {len(history)}")
        axes.axhline(1 - sure, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel="step or generation", ylabel="confidence", yscale="log", ylim=(1.2, 0.8e-7))
        ticks = [1.0, 0.1, 1e-2, 1e-4, 1e-6]
        axes.set_yticks(ticks, ["0", "90 %", "99 %", "99.99 %", "99.9999 %"])
        axes.minorticks_off()
        axes.legend(frameon=False, loc="lower right")

    return drawn(draw)


def climb(probability: Tensor, l2: Tensor, goal: str) -> str:
    """The goal's probability and the distance from the image at each state of one attack."""

    def draw(axes: Axes) -> None:
        seen = probability.isfinite()
        steps = range(int(seen.sum()))
        axes.plot(steps, probability[seen].tolist(), color=colours(0))
        axes.set(xlabel="step", ylim=(-0.02, 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(f"probability of {goal}", color=colours(0))
        far = axes.twinx()
        far.spines[["top"]].set_visible(False)
        far.plot(steps, l2[seen].tolist(), color=colours(1), linestyle="--")
        far.set_ylabel("L2 distance from the image", color=colours(1))
        far.set_ylim(bottom=0)

    return drawn(draw, width=5.6, height=3)


def price_of_distance(prices: Sequence[float], success: Sequence[Interval], distance: Sequence[float]) -> str:
    """How success, with its interval, and distance fall as distance gets dearer."""

    def draw(axes: Axes) -> None:
        values, lows, highs = (list(part) for part in zip(*success, strict=True))
        axes.plot(prices, values, color=colours(0), marker="o", markersize=3)
        axes.fill_between(prices, lows, highs, color=colours(0), alpha=0.15, linewidth=0)
        axes.set(xlabel="price of distance (lambda)", ylim=(-0.02, 1.02))
        axes.set_ylabel("share that succeeds", color=colours(0))
        axes.set_xscale("symlog", linthresh=min(p for p in prices if p > 0))
        axes.set_xticks(list(prices), [f"{p:.3g}" for p in prices])
        axes.minorticks_off()
        far = axes.twinx()
        far.spines[["top"]].set_visible(False)
        far.plot(prices, distance, color=colours(1), marker="s", markersize=3, linestyle="--")
        far.set_ylabel("mean L2 of those", color=colours(1))
        far.set_ylim(bottom=0)

    return drawn(draw, width=5.6, height=3)
