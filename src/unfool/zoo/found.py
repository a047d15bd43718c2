"""What a source of networks knows of one."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from ..views import View


class Found(NamedTuple):
    """A network with its normalisation, class names and view, where they are known."""

    net: nn.Module
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0
    classes: Sequence[str] = ()
    view: View | None = None
    boxes: bool = False
    """Whether it is a detector, that answers as torchvision's do."""
