"""What is proven, what attacks leave, and the room between."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ..defences.certificate import Certified
from .chart import GREY, Interval, colours, drawn
from .grades import chart


def certified_curves(
    radii: Sequence[float],
    proofs: Mapping[str, Sequence[Interval]],
    attack: tuple[str, Sequence[float], Sequence[Interval]],
    control: tuple[str, Sequence[Interval]],
    axis: str,
) -> str:
    """Accuracy against radius: proofs from below, the attack at its own radii from above, the control dotted.

    Where the truth lies, between the highest proof and the attack, is grey.
    """
    name, places, held = attack

    def draw(axes: Axes) -> None:
        for k, (proof, rates) in enumerate(proofs.items()):
            _band(axes, radii, rates, colours(k), proof)
        _band(axes, places, held, colours(len(proofs)), name, "o" if len(places) < 20 else "")
        axes.plot(list(radii), [r[0] for r in control[1]], color=GREY, linestyle=":", label=control[0])
        over = [max(rates[i][0] for rates in proofs.values()) for i in range(len(radii))]
        top = np.maximum(over, np.interp(radii, places, [r[0] for r in held]))
        axes.fill_between(radii, over, top, color=GREY, alpha=0.12, linewidth=0, label="not known")
        axes.set(xlabel=axis, ylabel="share right", ylim=(-0.02, 1.02), xlim=(0, max(radii)))
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)

    return drawn(draw, width=8.2, height=3.8)


def certified_share(found: Certified) -> Image.Image:
    """The share of images with a proof of at least each radius, whether their labels are right or not."""
    known = found.label.cpu() >= 0
    proven = torch.where(known, found.radius.cpu().double(), -torch.inf)
    radii = torch.linspace(0, max(0.0, float(proven.max())) or 1.0, 101).double()

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        share = (proven[:, None] >= radii).double().mean(0)
        axes.step(radii.tolist(), share.tolist(), where="post", color=colours(0))
        told = f"{int(known.sum())} of {len(proven)} images have a proof"
        axes.set(xlabel="radius", ylabel="share with a proof", ylim=(-0.02, 1.02), title=told)

    return Image.open(io.BytesIO(chart(draw, 5.6, 3.2).png))


def _band(
    axes: Axes,
    x: Sequence[float],
    rates: Sequence[Interval],
    colour: tuple[float, float, float],
    name: str,
    marker: str = "",
) -> None:
    values, lows, highs = (list(part) for part in zip(*rates, strict=True))
    axes.plot(list(x), values, color=colour, label=name[:44], marker=marker, markersize=3)
    axes.fill_between(list(x), lows, highs, color=colour, alpha=0.13, linewidth=0)
