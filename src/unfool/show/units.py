"""What fires a unit: patches at one scale, and how its values lie."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import ImageDraw
from torch import Tensor

from ..views import as_tensor, to_picture
from .chart import GREY, colours, drawn
from .image import colour, drawable, fitted

BEYOND = (0.96, 0.90, 0.80)
"""What is beyond the border of an image."""


def in_frame(patch: Tensor, box: Sequence[slice], size: Sequence[int]) -> Tensor:
    """A patch [C, *] where it lies in a whole receptive field: another colour where the border cuts it off."""
    cut = colour(patch)
    high, wide = size[-2:]
    sides = max(high, cut.shape[1]), max(wide, cut.shape[2])
    frame = torch.tensor(BEYOND)[:, None, None].repeat(1, *sides)
    top, left = ((frame.shape[1 + d] - cut.shape[1 + d]) * (box[-2 + d].start == 0) for d in (0, 1))
    frame[:, top : top + cut.shape[1], left : left + cut.shape[2]] = cut
    return frame


def boxed(image: Tensor, box: Sequence[slice], side: int) -> Tensor:
    """An image with the part that is seen outlined: [3, H, W]."""
    large = fitted(colour(image), side)
    factor = large.shape[-1] / drawable(image).shape[-1]
    rows, columns = box[-2:]
    picture = to_picture(large)
    ends = [factor * end for end in (columns.start, rows.start, columns.stop, rows.stop)]
    ImageDraw.Draw(picture).rectangle(
        (ends[0], ends[1], ends[2] - 1, ends[3] - 1), outline=(213, 94, 0), width=2
    )
    return as_tensor(np.asarray(picture))


def projected(heat: Tensor) -> Tensor:
    """A signed projection [C, *] on grey, its largest value at the end of the scale."""
    heat = drawable(heat)
    return 0.5 + 0.5 * heat / heat.abs().amax().clamp_min(1e-12)


def mosaic(images: Sequence[Tensor], side: int, columns: int = 3) -> Tensor:
    """Images [3, H, W] in rows, the first at the top left, with a little white between: [3, side, side] at most."""
    gap = 3
    small = [fitted(image, side // columns - gap) for image in images]
    high, wide = (max(one.shape[d] for one in small) + gap for d in (1, 2))
    whole = torch.ones(3, high * -(-len(small) // columns), wide * columns)
    for k, one in enumerate(small):
        top, left = high * (k // columns), wide * (k % columns)
        whole[:, top : top + one.shape[1], left : left + one.shape[2]] = one
    return whole


def value_histogram(own: Tensor, all_units: Tensor, bins: int = 32) -> str:
    """How often a unit takes which value, beside all units of its layer: [n], [m]."""
    low, high = float(torch.minimum(own.min(), all_units.min())), float(own.max())
    high = max(high, float(all_units.quantile(0.99)) if len(all_units) < 1_000_000 else high)
    edges = torch.linspace(low, max(high, low + 1e-6), bins + 1)

    def draw(axes: Axes) -> None:
        for k, (name, values) in enumerate((("this unit", own), ("all units of the layer", all_units))):
            counts = torch.histogram(values.float(), edges).hist / max(1, len(values))
            tint = colours(0) if k == 0 else GREY
            axes.stairs(
                counts.tolist(),
                edges.tolist(),
                fill=k == 0,
                color=tint,
                alpha=0.5 if k == 0 else 1,
                label=name,
            )
        axes.set(xlabel="largest value in an image", ylabel="share of images")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)

    return drawn(draw, width=7.2, height=2.8)


def class_profile(names: Sequence[str], own: Sequence[float], layer: Sequence[float]) -> str:
    """The mean value of each class's images, beside the mean of all units of the layer."""

    def draw(axes: Axes) -> None:
        places = list(range(len(names)))
        axes.barh(places, list(own), color=colours(0), height=0.6, label="this unit")
        axes.plot(
            list(layer),
            places,
            "|",
            color=GREY,
            markersize=12,
            markeredgewidth=2,
            label="mean of the layer's units",
        )
        axes.set_yticks(places, [name[:28] for name in names])
        axes.invert_yaxis()
        axes.set(xlabel="mean of the largest values of its images")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)

    return drawn(draw, width=7.2, height=1 + 0.3 * len(names))
