"""Changing how a network's operators pass gradients back while a query looks; nothing of it is left afterwards."""

import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from ..errors import InputError
from ..query import Query
from ..spec import Spec
from .activations import Called, reachable

Clock = Callable[[], int]


class Mode(TorchFunctionMode, ABC):
    """Sees every call of a function; ``met`` counts what it changed, by pass and kind, what it let be as 0."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock = clock
        self.met: dict[int, Counter[str]] = {}

    @abstractmethod
    def called(self, called: Called) -> Any:
        """What the call gives instead."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self.called(Called(func, args, kwargs or {}))

    def count(self, kind: str, changed: bool = True) -> None:
        self.met.setdefault(self.clock(), Counter())[kind] += changed

    def most(self) -> dict[str, int]:
        """How many of each kind were changed in one pass."""
        kinds = sorted({kind for seen in self.met.values() for kind in seen})
        return {kind: max(seen[kind] for seen in self.met.values()) for kind in kinds}


class Rule(Spec, ABC):
    """How a network's operators pass gradients back."""

    @abstractmethod
    def mode(self, clock: Clock) -> Mode:
        """What changes them; ``clock`` tells one pass from the next."""


M = TypeVar("M", bound=Mode)


@contextmanager
def following(rule: Callable[[Clock], M], query: Query, name: str) -> Generator[M]:
    """Every pass inside follows a rule; what it met is noted, and an error if that is nothing."""
    query.model.need("gradients", query.who)
    reachable(query.model, name)
    with rule(lambda: query.cost["forward"]) as mode:
        yield mode
    met = mode.most()
    report(name, met)
    for kind, n in met.items():
        query.notes[f"{kind}_met"] = torch.full((len(query),), n)


def report(name: str, met: dict[str, int]) -> None:
    """Raise where a rule met nothing, warn where it left something as it was."""
    left = [kind for kind, n in met.items() if not n]
    if not any(met.values()):
        what = (
            f"only {' and '.join(left)}, which it does not cover"
            if left
            else "nothing on the way that it changes"
        )
        raise InputError(
            f"{name} met {what}", "extend=True covers them" if left else "Gradient() explains such a score"
        )
    if left:
        counts = ", ".join(f"{kind} {n}" for kind, n in met.items())
        warnings.warn(f"{name} met {counts}: extend=True covers the others too", stacklevel=5)
