"""Images in [0, 1] as a network wants them: its device, range, normalisation, precision and layout."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .errors import InputError


class Dress(NamedTuple):
    """``scale * x + offset`` per channel, where that changes anything."""

    device: torch.device
    dtype: torch.dtype
    scale: Tensor
    offset: Tensor | None
    channels_last: bool
    """Up to a third off every pass of convolutions on a processor."""

    @classmethod
    def of(
        cls,
        net: nn.Module,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        box: tuple[float, float],
        device: str | torch.device | None,
    ) -> "Dress":
        low, high = box
        if not low < high or np.any(np.asarray(std) <= 0):
            raise InputError(f"the box {box} must have a width and std {std} must be positive")
        first = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
        place = first.device if device is None else _checked(torch.device(device), net)
        centre, spread = (torch.as_tensor(v, dtype=torch.float64, device=place) for v in (mean, std))
        scale, offset = torch.broadcast_tensors((high - low) / spread, (low - centre) / spread)
        changes = bool((offset != 0).any() or (scale != 1).any())
        return cls(place, first.dtype, scale, offset if changes else None, _last(net, place))

    def on(self, net: nn.Module, device: torch.device) -> "Dress":
        """The same on another device, where the network is now."""
        offset = None if self.offset is None else self.offset.to(device)
        return Dress(device, self.dtype, self.scale.to(device), offset, _last(net, device))

    def of_precision(self, net: nn.Module) -> "Dress":
        """The same for another network."""
        return self._replace(
            dtype=next((p.dtype for p in net.parameters() if p.is_floating_point()), self.dtype)
        )

    def zero(self, x: Tensor) -> Tensor:
        """The images' value that comes to zero."""
        offset = torch.zeros_like(self.scale) if self.offset is None else self.offset
        return (-offset / self.scale).to(x).view(-1, *[1] * (x.ndim - 2))

    def __call__(self, x: Tensor) -> Tensor:
        dressed = x.to(self.device)
        if self.offset is not None:
            if self.offset.numel() not in (1, x.shape[1]):
                known = f"mean and std are for {self.offset.numel()} channels"
                raise InputError(f"{known}, images of shape {list(x.shape)} have {x.shape[1]}")
            shape = (-1, *[1] * (x.ndim - 2))
            offset, scale = (t.to(dressed).view(shape) for t in (self.offset, self.scale))
            dressed = torch.addcmul(offset, dressed, scale)
        dressed = dressed.to(self.dtype)
        if self.channels_last and x.ndim == 4:
            dressed = dressed.contiguous(memory_format=torch.channels_last)
            if (
                x.shape[1] == 1
            ):  # one channel has both layouts: its strides must say which, or pooling is slow
                dressed = dressed[:, 0, ..., None].movedim(-1, 1)
        shared = dressed.data_ptr() == x.data_ptr()
        return dressed.clone() if shared else dressed  # the network may work in place on what it is given


def _checked(place: torch.device, net: nn.Module) -> torch.device:
    """Where images go, if the network has weights there: it is used as it is, never moved."""
    homes = {p.device.type for p in net.parameters()}
    if homes and place.type not in homes:
        home = " and ".join(sorted(homes))
        raise InputError(
            f"the network is on {home}, not on {place}", f"net.to({str(place)!r}), then Model(net)"
        )
    return place


def _last(net: nn.Module, device: torch.device) -> bool:
    return device.type == "cpu" and any(isinstance(module, nn.Conv2d) for module in net.modules())
