"""A user's network, borrowed: used in evaluation mode with frozen weights, given back as it was."""

import copy
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn

from .errors import InputError

MODAL = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
"""Modules that answer otherwise in training mode."""


def trains(net: nn.Module) -> bool:
    """Whether any part of the network would answer otherwise than in evaluation mode."""
    return any(module.training and isinstance(module, MODAL) for module in net.modules())


def copied(net: nn.Module) -> nn.Module:
    """A network of its own with the same weights; one whose parts or hooks cannot be copied is an error."""
    try:
        return copy.deepcopy(net)
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{type(net).__name__} cannot be copied: {reason}", "are there hooks left on it?"
        ) from error


@contextmanager
def borrowed(net: nn.Module, device: torch.device) -> Generator[None]:
    """Evaluation mode, frozen weights and random numbers of its own; afterwards everything is as it was."""
    training = [module for module in net.modules() if module.training]
    wanted = [p for p in net.parameters() if p.requires_grad]
    random = [torch.random.get_rng_state()]
    if device.type == "cuda":
        random.append(torch.cuda.get_rng_state(device))
    try:
        for module in training:
            module.training = False
        for p in wanted:
            p.requires_grad_(False)
        torch.default_generator.manual_seed(
            0
        )  # a network that draws at random answers the same way every time
        yield
    finally:
        for module in training:
            module.training = True
        for p in wanted:
            p.requires_grad_(True)
        torch.random.set_rng_state(random[0])
        if len(random) > 1:
            torch.cuda.set_rng_state(random[1], device)
