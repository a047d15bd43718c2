"""How far things are apart, as histograms over one logarithmic axis."""

import math
from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from torch import Tensor

from .chart import GREY, colours, drawn


def distances(found: Mapping[str, Tensor], axis: str, threshold: float, bins: int = 36) -> str:
    """Distances of several kinds with a threshold; those that are 0 stand at the left end."""
    every = torch.cat([values.double() for values in found.values()])
    some = every[every > 0]
    low = min(float(some.min()) if len(some) else threshold, threshold) / 1.5
    high = max(float(every.max()) if len(every) else 1.0, 2 * threshold) * 1.05
    edges = torch.logspace(math.log10(low), math.log10(high), bins + 1, dtype=torch.float64)

    def draw(axes: Axes) -> None:
        for k, (name, values) in enumerate(found.items()):
            counts = torch.histogram(values.double().clamp_min(low), edges).hist / max(1, len(values))
            axes.stairs(counts.tolist(), edges.tolist(), fill=True, color=colours(k), alpha=0.2)
            axes.stairs(counts.tolist(), edges.tolist(), color=colours(k), linewidth=1.4, label=name)
        axes.axvline(threshold, color=GREY, linestyle=":", linewidth=1)
        axes.text(threshold, axes.get_ylim()[1], " suspected", ha="right", va="bottom", fontsize=8)
        axes.set(xlabel=axis, ylabel="share of images", xscale="log")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)

    return drawn(draw, width=8.4, height=3.2)
