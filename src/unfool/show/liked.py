"""Pictures of what units like: each beside the real images it is to be compared with, or many on one sheet."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor

from .chart import GREY, colours, drawn
from .grid import Panel, save_panels

TRIPLES, WIDE = 60, 12
"""With more units than this, only the made images are on the sheet; so many in a row."""


def save_liked(path: Path, made: Sequence[Panel], real: Sequence[Sequence[Panel]], side: int = 96) -> None:
    """Made images, each followed by its real ones, as one PNG; of many units the made ones alone."""
    if len(made) > TRIPLES:
        save_panels(path, [made[k : k + WIDE] for k in range(0, len(made), WIDE)], side=side)
        return
    panels = [panel for own, others in zip(made, real, strict=True) for panel in (own, *others)]
    width = (1 + len(real[0])) * max(1, WIDE // (1 + len(real[0])) - 1)
    save_panels(path, [panels[k : k + width] for k in range(0, len(panels), width)], side=side)


def score_by_step(history: Tensor, best: Tensor) -> str:
    """The score at each step [N, T] in units of the best real image's: the median over units and the quartiles.

    Units that no real image brings above zero are left out; where there are no others it is the score itself.
    """
    alive = best > 0
    share = history[alive] / best[alive, None] if alive.any() else history

    def draw(axes: Axes) -> None:
        low, middle, high = (torch.quantile(share.double(), q, dim=0).tolist() for q in (0.25, 0.5, 0.75))
        steps = range(share.shape[1])
        axes.fill_between(steps, low, high, color=colours(0), alpha=0.15, linewidth=0, label="quartiles")
        axes.plot(steps, middle, color=colours(0), label=f"median of {len(share)}, seen through changes")
        axes.set(xlabel="step", ylabel="score")
        if alive.any():
            axes.axhline(1, color=GREY, linewidth=0.8, linestyle=":", label="best real image")
            axes.set(ylabel="score, in units of the best real image's")
        axes.legend(frameon=False, loc="lower right")

    return drawn(draw)
