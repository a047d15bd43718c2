"""Watching a network while it runs. The only file that touches hooks; every hook is gone when its ``with`` ends."""

from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Hook = Callable[[nn.Module, Any, Any], Any]


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Hook]]) -> Generator[None]:
    """Each hook sees (and may replace) what its module gives back, until the block ends."""
    with ExitStack() as stack:
        for module, hook in hooks:
            stack.callback(module.register_forward_hook(hook).remove)
        yield


class Call(NamedTuple):
    """One use of a module: what it was given first and what it gave back."""

    module: nn.Module
    given: Any
    made: Any


@torch.no_grad()
def observed_calls(run: Callable[[], Any], modules: Iterable[nn.Module]) -> list[Call]:
    """Every use of ``modules`` while ``run`` runs, in the order in which they finish."""
    calls: list[Call] = []

    def hook(module: nn.Module, args: Any, out: Any) -> None:
        calls.append(Call(module, args[0] if args else None, out))

    with hooked((module, hook) for module in modules):
        run()
    return calls


def has_positions(call: Call, ndim: int) -> bool:
    """Whether a module gave back a map [B, C, *space] of more than one position."""
    made = call.made
    return isinstance(made, Tensor) and made.ndim == ndim and made[0, 0].numel() > 1
