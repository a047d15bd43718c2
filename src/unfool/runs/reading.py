"""Batches for those who go over the same data again and again: held in memory where they fit, else read ahead."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ..data.base import Source
from ..model import Model
from ..rows import Batch
from ..views import from_uint8, to_uint8
from .work import Progress

MOST_HELD = 2 << 30
"""How many bytes of images are held at most."""
AHEAD = 4
"""How many batches are read while another is learned from."""
CHUNK = 512


class Read(Protocol):
    """What gives a batch by its ids, without samples that cannot be read."""

    def __call__(self, ids: Sequence[str]) -> Batch: ...


class Held(NamedTuple):
    """Samples on the device, as bytes where those lose nothing."""

    x: Tensor
    y: Tensor
    masks: Tensor | None
    place: dict[str, int]
    errors: dict[str, str]

    def __call__(self, ids: Sequence[str]) -> Batch:
        known = tuple(i for i in ids if i in self.place)
        rows = torch.tensor([self.place[i] for i in known], dtype=torch.long, device=self.x.device)
        x = self.x[rows]
        x = from_uint8(x) if x.dtype == torch.uint8 else x
        return Batch(known, x, self.y[rows], None if self.masks is None else self.masks[rows])


class Reader(NamedTuple):
    """Batches of a source as a model wants them."""

    source: Source
    model: Model

    def __call__(self, ids: Sequence[str]) -> Batch:
        return self.source.batch(ids, self.model.view, self.model.classes).readable()


def held(
    source: Source, model: Model, ids: Sequence[str], progress: Progress = lambda n: None
) -> Held | None:
    """All of these samples in memory; None where they would take too much of it."""
    parts = list[Batch]()
    for k in range(0, len(ids), CHUNK):
        batch = source.batch(ids[k : k + CHUNK], model.view, model.classes)
        batch = replace(batch, x=_small(batch.x))
        if batch.x[0].numel() * batch.x.element_size() * len(ids) > MOST_HELD:
            return None
        parts.append(batch)
        progress(len(batch))
    return _joined(parts, model)


def _small(x: Tensor) -> Tensor:
    """Images as bytes where those lose nothing."""
    small = to_uint8(x)
    return small if from_uint8(small).equal(x) else x


def _joined(parts: Sequence[Batch], model: Model) -> Held:
    errors = {i: e for part in parts for i, e in part.errors.items()}
    kept = [some for part in parts if len(some := part.readable())]
    alike = len({some.x.dtype for some in kept}) < 2
    images = [some.x if alike or some.x.is_floating_point() else from_uint8(some.x) for some in kept]
    x = torch.cat(images) if kept else parts[0].x[:0]
    y = torch.cat([some.y for some in kept]) if kept else parts[0].y[:0]
    masks = [some.masks for some in kept if some.masks is not None]
    place = {i: k for k, i in enumerate(i for some in kept for i in some.ids)}
    where = torch.cat(masks).to(model.device) if masks and len(masks) == len(kept) else None
    return Held(x.to(model.device), y.to(model.device), where, place, errors)


Asked = TypeVar("Asked")


def ahead(read: Read, lessons: Iterable[tuple[Asked, Sequence[str]]]) -> Iterator[tuple[Asked, Batch]]:
    """What is asked, and its batch; where they are read from files, the next ones are read meanwhile."""
    if isinstance(read, Held):
        yield from ((asked, read(ids)) for asked, ids in lessons)
        return
    coming = deque[tuple[Asked, Future[Batch]]]()
    with ThreadPoolExecutor(AHEAD) as pool:
        for asked, ids in lessons:
            coming.append((asked, pool.submit(read, ids)))
            if len(coming) > AHEAD:
                first, batch = coming.popleft()
                yield first, batch.result()
        for first, batch in coming:
            yield first, batch.result()
