"""A picture at its true size on paper: a PNG that says its resolution, and a PDF page."""

from pathlib import Path

import matplotlib as mpl
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from ..errors import DataError
from ..views import to_picture
from .image import drawable

INCH = 2.54
DPI = 300
A4 = (21.0, 29.7)
MARGIN = 1.5


def save_printable(picture: Tensor, width_cm: float, stem: Path) -> tuple[Path, Path]:
    """``stem.png`` and ``stem.pdf`` of an image [C, H, W], so wide; pixels are squares, never smoothed."""
    sharp = _sharp(drawable(picture.detach().cpu()), width_cm)
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    dots = sharp.shape[2] / width_cm * INCH
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        to_picture(sharp).save(png, dpi=(dots, dots))
        _page(sharp, width_cm).savefig(
            pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None}
        )
    except OSError as error:
        raise DataError(f"cannot write {stem}: {error.strerror or error}", "is the disk full?") from None
    return png, pdf


def _sharp(picture: Tensor, width_cm: float) -> Tensor:
    """Every pixel as a square of so many dots that there are 300 to the inch or more."""
    factor = max(1, -(-int(DPI * width_cm / INCH) // picture.shape[2]))
    return F.interpolate(picture[None].clamp(0, 1), scale_factor=factor, mode="nearest")[0]


def _page(picture: Tensor, width_cm: float) -> Figure:
    """One page, A4 or as large as it needs to be, with the picture and a rule of one centimetre steps below it."""
    height_cm = width_cm * picture.shape[1] / picture.shape[2]
    width, height = max(A4[0], width_cm + 2 * MARGIN), max(A4[1], height_cm + 4 * MARGIN)
    left, bottom = (width - width_cm) / 2, height - MARGIN - height_cm
    with mpl.rc_context({"image.composite_image": False, "pdf.compression": 9}):
        figure = Figure(figsize=(width / INCH, height / INCH))
        place = (left / width, bottom / height, width_cm / width, height_cm / height)
        axes = figure.add_axes(place)
        colours = picture.expand(3, -1, -1).permute(1, 2, 0).numpy()
        axes.imshow(colours, interpolation="none", aspect="auto")
        axes.set_axis_off()
        rule = figure.add_axes((left / width, (bottom - 0.9) / height, width_cm / width, 0.25 / height))
        rule.set(xlim=(0, width_cm), ylim=(0, 1), yticks=[], xticks=range(int(width_cm) + 1))
        rule.tick_params(labelsize=6, length=3)
        rule.spines[["top", "left", "right"]].set_visible(False)
        told = f"{width_cm:.4g} cm wide: print at 100 %, not fitted to the page, and check with the rule"
        figure.text(left / width, (bottom - 1.9) / height, told, fontsize=7)
    return figure
