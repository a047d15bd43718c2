"""Where a sample of a medical file lies in the patient: what a map needs to go back there."""

from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor

from ..views import View

Axis = Literal["slice", "volume", "series"]


class Frame(NamedTuple):
    """One plane of a DICOM file, with what its header says of it."""

    path: str
    plane: int = 0
    """Which plane of its file."""
    size: tuple[int, int] = (0, 0)
    position: tuple[float, ...] | None = None
    """Of the first pixel's middle, in mm to the left, the back and the head."""
    orientation: tuple[float, ...] | None = None
    spacing: tuple[float, float] | None = None
    """Between rows, between columns."""
    thick: float = 1.0
    times: tuple[float | None, ...] = ()
    """What may order planes at one position: trigger, given order, acquisition, content, number."""
    window: tuple[float, float] | None = None
    inverse: bool = False
    colour: bool = False
    planes: int = 1
    """How many its file has."""


class Place(NamedTuple):
    """The grid of a sample, before a view cuts it, and where that grid is in the patient."""

    axis: Axis
    space: tuple[int, ...]
    """[H, W], of a volume [D, H, W], of a series [T, H, W]."""
    affine: Any
    """From column, row and slice to mm to the right, the front and the head, as NIfTI has it: [4, 4]."""
    view: View
    frames: tuple[Frame, ...] = ()
    """Of a sample from DICOM, each plane; none from NIfTI."""
    step: float = 0.0
    """Seconds between the moments of a series; 0 where that is unknown."""
    stored: str = ""
    """How the axes of a NIfTI file run where they were turned in reading, such as RAS."""

    @property
    def spacing(self) -> tuple[float, ...]:
        """In mm, between columns, rows and slices."""
        return tuple(float(side) for side in np.linalg.norm(self.affine[:3, :3], axis=0))

    def back(self, heat: Tensor) -> Tensor:
        """A map [C, *] of what the network saw, on this grid: [C, *space]."""
        return self.view.back(heat, (self.space[-1], self.space[-2]))


def moved(affine: Any, k: int) -> Any:
    """The affine of slice ``k`` alone."""
    found = np.array(affine, dtype=np.float64)
    found[:3, 3] += found[:3, 2] * k
    return found
