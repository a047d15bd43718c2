"""A model and the images it is shown with, opened when somebody looks at them."""

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..analysis.sanity import Badge
from ..data.base import Source
from ..detections import finds_boxes
from ..errors import UnknownName
from ..model import Model
from ..objectives import Objective
from ..regions import Region
from ..rows import Batch
from ..runs.begin import chosen, first_image
from ..targets import Segment
from .own import Fitted, Own, fitted


class Setting(NamedTuple):
    """What ``unfool studio`` was started with."""

    models: tuple[str, ...]
    public: frozenset[str]
    """The names that ``from unfool import`` knows."""
    load: Callable[[str], Model]
    data: Callable[[str], str]
    """The address of the images a model is shown with."""
    region: Callable[[str], Region]
    """The change that is allowed where none is asked for."""
    flags: str = ""
    """What a command has to be given so that it loads the models alike."""
    runs: tuple[Path, ...] = ()
    given: frozenset[str] = frozenset()
    """Models by their names that nothing loads: whoever started it holds them."""


KEPT = 16
"""Of how many images the tensors are kept."""


class Room:
    """One model, its images, and those that were dropped on the page, as it sees them."""

    def __init__(self, setting: Setting, address: str, source: Callable[[str], Source], own: dict[str, Own]):
        self.address, self.data, self.own, self.public = address, setting.data(address), own, setting.public
        self.source = source(self.data)
        self.given = address in setting.given
        self.model, self.region = setting.load(address), setting.region(address)
        self.vectors: dict[str, Any] = {}
        self.held: dict[str, Any] = {}
        """What took long, by the text of what was asked for."""
        self.slices: dict[str, tuple[str, ...]] = {}
        """Images drawn around on a map, by the names of the slices."""
        self.badges: dict[tuple[str, str], Badge] = {}
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._fitted: dict[str, Fitted] = {}

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return self.source.ids()

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.ids)

    @cached_property
    def first(self) -> Tensor:
        """The first image that can be read [C, *space]; the network has answered about it."""
        image = first_image(self.source, self.ids, self.model.view, self.model)
        self.model(image[None])
        return image

    @property
    def small(self) -> bool:
        """Whether an image is so small that a pass over one costs next to nothing."""
        return self.first.numel() < 60_000

    @property
    def kind(self) -> str:
        """What the model tells: boxes, a map of scores, or classes."""
        if finds_boxes(self.model):
            return "boxes"
        assert len(self.first)
        return "maps" if self.model.maps else "classes"

    @property
    def objective(self) -> Objective | None:
        """What is explained where nothing else is asked for: of a map of scores a class's region."""
        return Segment() if self.kind == "maps" else None

    def fitted(self, id: str) -> Fitted:
        """A dropped picture as this model sees it. Raises where it cannot be shown to it."""
        if id not in self._fitted:
            self._fitted[id] = fitted(self.own[id], self.model, self.first)
        return self._fitted[id]

    def batch(self, id: str) -> Batch:
        """One image that this server has listed, with all that is known of it."""
        if id not in self._batches:
            self._batches[id] = self._read(id)
            while len(self._batches) > KEPT:
                self._batches.popitem(last=False)
        self._batches.move_to_end(id)
        return self._batches[id]

    def _read(self, id: str) -> Batch:
        if id in self.own:
            return Batch((self.own[id].name,), self.fitted(id).x[None], torch.tensor([-1]))
        if id not in self.known:
            raise UnknownName("image", id[:80], self.ids[:8])
        return self.source.batch([id], self.model.view, self.model.classes)

    def few(self, n: int) -> Batch:
        """Some images that can be read, always the same."""
        ids = chosen(self.ids, n, 0)
        return self.source.batch(ids, self.model.view, self.model.classes).readable()
