"""Images that differ from others in one window each: the door to what only recomputes what the window changes."""

import torch
from torch import Tensor, nn

from . import layout as _layout
from . import pointwise as _pointwise
from . import windows as _windows
from .changed import Base, Changed

KNOWN = (_layout, _pointwise, _windows)
"""Importing them is what makes their functions known."""


def changed(base: Base, row: Tensor, at: Tensor, crop: Tensor, net: nn.Module) -> Tensor:
    """Images like ``base``'s rows ``row`` [P] but for windows ``crop`` [P, C, *window] at ``at`` [P, dims].

    A compiled or scripted network, or a function, is given plain tensors.
    """
    images = Changed(base, row, at, crop)
    return images if all(map(is_eager, net.modules())) else images.dense()


def is_eager(module: nn.Module) -> bool:
    return not isinstance(module, torch.jit.ScriptModule) and type(module).__name__ not in (
        "OptimizedModule",
        "BlackBox",
    )
