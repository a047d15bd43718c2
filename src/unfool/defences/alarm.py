"""Alarms: how suspicious an image is, whether it was made to fool; and a network with its alarm as one network."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..method import Columns, Fit, checked_model
from ..model import Model
from ..scores import mean_scores

Ear = Callable[[Tensor, Tensor], Tensor]
"""How suspicious images [B, C, *] with their logits [B, K] are: [B], with a slope where the images want one."""

ALARM = "alarm"
"""The name of the output that a guarded network has behind its classes."""


class Alarm(Fit, ABC):
    """Tells how suspicious images are, the higher the more: learned from harmless ones (y = 0) and others (y = 1)."""

    harmless_alone: ClassVar[bool] = False
    """Whether it learns from harmless images alone."""

    @abstractmethod
    def listening(self, learned: Columns, model: Model) -> Ear:
        """What this has learned, ready to be asked about images shown to the network."""

    @abstractmethod
    def passage(self, model: Model, x: Tensor) -> str:
        """How an attack's slope passes through it, for people: images ``x`` show what there is to pass."""


def harmless(x: Tensor, y: Tensor) -> Tensor:
    """The images that were not made to fool."""
    return x[y == 0]


class Guarded(nn.Module):
    """A network with one output more: by how much its alarm is above the threshold, suspicious from 0 on.

    It sees images as 8-bit files hold them, so that what gets past it still does once it is saved; slopes pass by that.
    """

    def __init__(self, model: Model, ear: Ear, threshold: float):
        super().__init__()
        self.net, self.ear, self.threshold = model.net, ear, threshold
        self.ask = lambda x: model.trace(x)["output"]

    def forward(self, x: Tensor) -> Tensor:
        x = x + ((x.clamp(0, 1) * 255).round() / 255 - x).detach()
        logits = mean_scores(self.ask(x))
        above = self.ear(x, logits) - self.threshold
        return torch.cat([logits, above[:, None].to(logits)], 1)


def guarded(model: Model, alarm: Alarm, learned: Columns, threshold: float) -> Model:
    """The network and its alarm as one, to be attacked together; the last of its classes is :data:`ALARM`."""
    checked_model(model)
    model.need("gradients", type(alarm).__name__)
    net = Guarded(model, alarm.listening(learned, model), threshold)
    names = model.classes or tuple(map(str, range(model.width or 0)))
    name = f"{model.name} with {type(alarm).__name__}"
    both = Model(
        net, classes=(*names, ALARM) if names else (), outputs="logits", device=model.device, name=name
    )
    both.view, both.capacity = model.view, model.capacity
    return both


@torch.no_grad()
def suspicion(model: Model, ear: Ear, x: Tensor) -> Tensor:
    """How suspicious images are, any number of them: [N] on the CPU."""
    with model.settled():
        parts = [
            ear(some, mean_scores(model.trace(some)["output"])).cpu()
            for some in x.to(model.device).split(model.capacity)
        ]
    return torch.cat(parts)
