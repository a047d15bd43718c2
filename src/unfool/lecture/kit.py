"""What slides are made with: the embedded models and images, opened once, with every pass counted."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..data.address import open_data
from ..data.base import Source
from ..detections import finds_boxes
from ..hooks import counted
from ..model import Model
from ..rows import Batch
from ..zoo.address import load

T = TypeVar("T")


class Kit:
    """Models and images by their addresses, and a folder for runs.

    ``small`` divides how many images slides look at, for a quick look that proves nothing but that they run.
    """

    def __init__(self, folder: Path, small: int = 1, step: Callable[[], None] = lambda: None):
        self.root, self.small, self.step = folder, small, step
        self.source: Callable[[str], Source] = cache(open_data)
        self.passes: Counter[str] = Counter()
        self._models: dict[str, Model] = {}
        self._made: dict[str, Any] = {}
        self._counting: ExitStack | None = None

    def model(self, address: str) -> Model:
        if address not in self._models:
            model = load(address)
            self._first_asked(address, model)
            model.before_pass = lambda: self.step()
            self._models[address] = model
            if self._counting is not None:
                self._counting.enter_context(counted(model.net, self.passes))
        return self._models[address]

    def _first_asked(self, address: str, model: Model) -> None:
        """One image, so that what a model has to learn of itself is in no slide's cost."""
        first = self.batch(address.partition("?")[0], 1, model).x
        if not finds_boxes(model):
            model(first)
            if model.access == "gradients":
                model.spatial_layers(first)

    def batch(self, address: str, n: int | Sequence[str], model: Model | None = None) -> Batch:
        """The first images of some data, or those of some ids, as a model sees them."""
        source = self.source(address)
        ids = source.ids()[: self.few(n)] if isinstance(n, int) else n
        view = None if model is None else model.view
        return source.batch(ids, view, source.label_names() if model is None else model.classes)

    def right(self, model: Model, address: str, n: int) -> Batch:
        """The first images that the model has right."""
        held = self.batch(address, 4 * n, model)
        return held[(model(held.x).argmax(1) == held.y).nonzero()[: self.few(n), 0]]

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What does not depend on a slide's sliders, made the first time; what it cost counts each time."""
        if key in self._made:
            found, spent = self._made[key]
            self.passes.update(spent)
        else:
            before = self.passes.copy()
            found = make()
            self._made[key] = found, self.passes - before
        return found

    def ran(self, plan: Any, run: Callable[[Path], T]) -> T:
        """What a run found in a folder of its own; once for every plan."""
        return self.once(repr(plan), lambda: run(self.folder(plan)))

    def few(self, n: int, least: int = 4) -> int:
        return max(min(n, least), n // self.small)

    def folder(self, plan: Any) -> Path:
        """The folder of a run, its own for every plan."""
        return self.root / sha256(repr(plan).encode()).hexdigest()[:16]

    @contextmanager
    def counting(self) -> Generator[Counter[str]]:
        """Every image that goes through the kit's models meanwhile."""
        self.passes.clear()
        with ExitStack() as stack:
            for model in self._models.values():
                stack.enter_context(counted(model.net, self.passes))
            self._counting = stack
            try:
                yield self.passes
            finally:
                self._counting = None

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)
