"""Whether a map is where the thing is, as masks or boxes say."""

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from ..rows import column
from ..spec import Bound, Fraction, Natural
from .grading import Asked, Measure


class Pointing(Measure):
    """1 where a map's most relevant position lies on the thing, or near it (Zhang et al., 2018).

    Of the images that show what is explained. A map that is the same everywhere points nowhere and misses.
    """

    masks: ClassVar[bool] = True
    tolerance: Natural = 0
    """How many pixels it may be off; the benchmarks of photographs use 15."""

    def grade(self, asked: Asked) -> Tensor:
        masks = there(asked)
        place = asked.order[:, 0]
        hit = (nearest(place, masks) <= self.tolerance) & ~asked.empty
        return hit.double().where(shown(masks), torch.nan)


class Overlap(Measure):
    """The intersection over union of a thresholded map and a mask (Saporta et al., 2022).

    The map's positive part is spread over [0, 1] and cut by Otsu's threshold or a given one. A map whose class is less
    probable than ``cutoff`` marks nothing.
    """

    masks: ClassVar[bool] = True
    threshold: Annotated[float, Bound(0, 1)] | None = None
    """None is Otsu's, of each map its own."""
    cutoff: Fraction = 0.0
    """The least probability of the class."""
    over: Literal["true positives", "all"] = "true positives"
    """The images where mask and map both mark something, or all where either does."""

    def grade(self, asked: Asked) -> Tensor:
        masks = there(asked)
        marked = self._marked(asked)
        both, either = (t.flatten(1).double().sum(1) for t in (marked & masks, marked | masks))
        iou = both / either.where(either > 0, torch.nan)
        if self.over == "all":
            return iou
        return iou.where(shown(masks) & shown(marked), torch.nan)

    def _marked(self, asked: Asked) -> Tensor:
        marked = hot(asked.maps.seen, self.threshold)
        return marked & column(asked.before >= self.cutoff, marked) if self.cutoff else marked


def hot(heat: Tensor, threshold: float | None = None) -> Tensor:
    """Where a map's positive part, spread over [0, 1], is above a threshold, by default Otsu's: [B, 1, *] bool.

    Nowhere, where it is the same everywhere.
    """
    unit, flat = unit_range(heat.clamp_min(0))
    least = otsu(unit) if threshold is None else torch.full_like(unit[:, 0], threshold)
    return ((unit > least[:, None]) & ~flat[:, None]).view_as(heat)


def there(asked: Asked) -> Tensor:
    assert asked.masks is not None
    return asked.masks


def shown(masks: Tensor) -> Tensor:
    return masks.flatten(1).any(1)


def unit_range(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Each map spread over [0, 1], and which are the same everywhere: [B, *] -> [B, P], [B]."""
    flat = heat.flatten(1).double()
    low, high = (t[:, None] for t in flat.aminmax(dim=1))
    room = high - low
    return (flat - low) / room.where(room > 0, 1), (room == 0)[:, 0]


def otsu(values: Tensor) -> Tensor:
    """The threshold that parts each row best in two: what is above it, and the rest (Otsu, 1979): [B, P] -> [B].

    Exact: of all places between two values the one with the largest variance between the parts; no histogram.
    """
    ordered = values.double().sort(1).values
    n = ordered.shape[1]
    if n < 2:
        return ordered[:, 0]
    below = torch.arange(1, n, dtype=torch.float64, device=values.device)
    total = ordered.cumsum(1)
    first = total[:, :-1] / below
    second = (total[:, -1:] - total[:, :-1]) / (n - below)
    between = below * (n - below) * (first - second).square()
    split = between.where(ordered[:, 1:] > ordered[:, :-1], -1.0).argmax(1, keepdim=True)
    return ordered.gather(1, split)[:, 0]


def nearest(place: Tensor, masks: Tensor) -> Tensor:
    """How far a position is from the nearest one of a mask; infinite where the mask is empty: [B], [B, 1, *] -> [B]."""
    space = masks.shape[2:]
    axes = [torch.arange(n, device=masks.device, dtype=torch.float64) for n in space]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # [dims, P]
    square = (grid[:, None] - grid[:, place][:, :, None]).square().sum(0)  # [B, P]
    return square.sqrt().where(masks.flatten(1), torch.inf).amin(1)
