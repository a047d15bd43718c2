"""A copy of a network that can learn, laid out for speed, and what is put back where passes must leave nothing."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..borrow import copied
from ..errors import InputError
from ..fast import channels_last
from ..model import Model


class Swift(nn.Module):
    """A network given its images in the layout that suits it, with products in bfloat16 where ``mixed``."""

    def __init__(self, net: nn.Module, mixed: bool, last: bool):
        super().__init__()
        self.net, self.mixed, self.last = net, mixed, last

    def forward(self, x: Tensor) -> Any:
        if self.last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed):
            return self.net(x)


def trainable(model: Model) -> nn.Module:
    """A copy of a model's network that can learn, in float32 at least."""
    model.need("gradients", "training")
    net = copied(model.net)
    if any(p.dtype in (torch.bfloat16, torch.float16) for p in net.parameters()):
        net = net.float()
    if not any(p.requires_grad and p.is_floating_point() for p in net.parameters()):
        raise InputError(f"{model.name} has no weights that may change", "net.requires_grad_(True)")
    return net.train()


def laid(net: nn.Module, x: Tensor) -> tuple[nn.Module, bool]:
    """The network with its weights in the layout that a GPU is quick in, where it can work so, and whether it does.

    A processor's layout is the model's own affair.
    """
    if x.device.type != "cuda" or x.ndim != 4:
        return net, False
    swift = channels_last(net.eval(), x.to(next(net.parameters()).dtype))
    return swift.train(), swift is not net


@contextmanager
def buffers_kept(net: nn.Module) -> Generator[None]:
    """Whatever passes there are, running means are as before when the block ends."""
    kept = [(buffer, buffer.clone()) for buffer in net.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)
