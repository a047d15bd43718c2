"""What a result looks like by itself: a row an image, as many as fit on a screen."""

from PIL import Image
from torch import Tensor

from ..attacks.base import Attacked
from ..attributions.base import Explained
from ..defences.certificate import Certified
from ..pictured import Drawer
from ..synthesis.base import Synthesised
from .certified import certified_share
from .grid import Panel, panel_row, stacked
from .heat import map_picture, overlay, spanned

ROWS, LINE = 6, 6
"""How many images, and of images made how many in a line."""


def attacked(found: Attacked) -> Image.Image:
    """The image, the change with grey for none and its largest as white or black, and what it became."""
    return stacked([panel_row(_attacked(found, k)) for k in range(min(ROWS, len(found.x)))])


def _attacked(found: Attacked, k: int) -> list[Panel]:
    was, now = found.origin[k].cpu().float(), found.x[k].cpu().float()
    change, most = now - was, float(found.linf[k])
    told = f"{'fooled: now ' if found.success[k] else 'holds: '}{int(found.label[k])}, {float(found.confidence[k]):.0%}"
    size = f"change, at most {most:.3g} ({255 * most:.1f}/255), L2 {float(found.l2[k]):.3g}"
    return [("image", was), (size, 0.5 + change / (2 * most or 1.0)), (told, now)]


def explained(found: Explained) -> Image.Image:
    """The image, its map and the map over it."""
    return stacked([panel_row(_explained(found, k)) for k in range(min(ROWS, len(found.x)))])


def _explained(found: Explained, k: int) -> list[Panel]:
    image, heat = found.x[k].cpu().float(), found.map[k, 0].cpu().float()
    what = f"{_unit(found.target, k)}, score {float(found.score[k]):.3g}"
    return [
        ("image", image),
        (f"{what}: {spanned(heat)}", map_picture(heat)),
        ("overlay", overlay(image, heat)),
    ]


def synthesised(found: Synthesised) -> Image.Image:
    """The images side by side, with what the network says of their 8-bit files."""
    panels = [
        (
            f"{_unit(found.y, k)}: score {float(found.score_saved[k]):.3g}, "
            f"class {int(found.label[k])} {float(found.confidence_saved[k]):.0%}",
            image,
        )
        for k, image in enumerate(found.x[: ROWS * LINE].cpu().float())
    ]
    return stacked([panel_row(panels[k : k + LINE], 160) for k in range(0, len(panels), LINE)])


def _unit(units: Tensor, k: int) -> str:
    return " ".join(map(str, units[k].reshape(-1).tolist()))


PICTURES: dict[type, Drawer] = {
    Attacked: attacked,
    Certified: certified_share,
    Explained: explained,
    Synthesised: synthesised,
}
