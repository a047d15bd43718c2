"""Row-wise things: whatever has one entry per sample and can be cut to some of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, TypeVar, cast, overload

import torch
from torch import Tensor

from .errors import InputError

Rows = TypeVar("Rows")


def take(rows: Rows, keep: Tensor) -> Rows:
    """The same (nested) named tuple with every tensor cut to the rows in ``keep``."""
    if rows is None:
        return rows
    if isinstance(rows, Tensor):
        return cast(Rows, rows[keep])
    return type(rows)(*(take(part, keep) for part in cast(Any, rows)))


def column(t: Tensor, like: Tensor) -> Tensor:
    """A per-row vector shaped to multiply ``like``: [B] -> [B, 1, 1, 1]."""
    return t.reshape(-1, *[1] * (like.ndim - 1))


def copies(t: Tensor, n: int) -> Tensor:
    """``n`` copies of the rows, one after the other: [B, ...] -> [n * B, ...]."""
    return t.repeat(n, *[1] * (t.ndim - 1))


def per_row(value: float | Sequence[float] | Tensor, like: Tensor, what: str = "a per-row number") -> Tensor:
    """One number per image of ``like``, from one for all or one for each: [B]."""
    t = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if t.ndim > 1 or (t.ndim == 1 and len(t) != len(like)):
        raise InputError(
            f"{what} must be one number or one for each of {len(like)} images, not {list(t.shape)}"
        )
    return t.expand(len(like))


class Rng:
    """One random stream per row, seeded by (seed, row id).

    A row draws the same numbers whatever its batch, shard or neighbours, so runs can be cut, resumed and spread. Drawn
    on the ``device`` "cpu", they are the same for images on any other.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu"):
        self.seeds, self.device, self.copies = seeds, device, 0

    @classmethod
    def seeded(cls, seed: int, ids: Sequence[Any], device: torch.device | str = "cpu") -> "Rng":
        return cls([stable_number(seed, i) for i in ids], device)

    @cached_property
    def streams(self) -> list[torch.Generator]:
        return [torch.Generator(self.device).manual_seed(seed) for seed in self.seeds]

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, keep: Tensor) -> "Rng":
        kept = torch.arange(len(self))[keep.cpu()].tolist()
        cut = Rng([self.seeds[i] for i in kept], self.device)
        cut.streams, cut.copies = [self.streams[i] for i in kept], self.copies
        return cut

    def twin(self) -> "Rng":
        """Streams that give once more what these are about to give."""
        twin = Rng(self.seeds, self.device)
        twin.streams, twin.copies = [stream.clone_state() for stream in self.streams], self.copies
        return twin

    def tile(self, n: int) -> "Rng":
        """Streams for ``n`` more copies of the rows, each of its own: the same however many are made at once."""
        first, self.copies = self.copies, self.copies + n
        return Rng(Copies(self.seeds, first, n), self.device)

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers in the shape of ``like``."""
        return self._fill(like, lambda row, stream: row.normal_(generator=stream))

    def uniform(self, like: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
        return self._fill(like, lambda row, stream: row.uniform_(low, high, generator=stream))

    def sign(self, like: Tensor) -> Tensor:
        """-1 or 1, each as likely."""
        return self._fill(like, lambda row, stream: row.random_(0, 2, generator=stream)) * 2 - 1

    def _fill(self, like: Tensor, draw: Callable[[Tensor, torch.Generator], Any]) -> Tensor:
        out = torch.empty_like(like, memory_format=torch.contiguous_format, device=self.device)
        for row, stream in zip(out, self.streams, strict=True):
            draw(row, stream)  # in place: ten times faster than stacking torch.randn
        return out.to(like.device)


class Copies(Sequence[int]):
    """The seeds of ``n`` copies of rows, worked out when somebody draws: most copies are only looked at."""

    def __init__(self, seeds: Sequence[int], first: int, n: int):
        self.seeds, self.first, self.n = seeds, first, n

    def __len__(self) -> int:
        return self.n * len(self.seeds)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            return [self[k] for k in range(len(self))[index]]
        copy, row = divmod(range(len(self))[index], len(self.seeds))
        return stable_number(self.seeds[row], self.first + copy)


def stable_number(*parts: Any) -> int:
    """A 63-bit number that depends on the parts alone, the same in every process."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1


@dataclass(frozen=True)
class Batch:
    """Some samples of a source: stable ids, images in [0, 1], and what is known of them.

    ``y`` is -1 where no label is known. ``masks`` [B, 1, *] are bool, or whole numbers: maps of classes. ``objects``
    are boxes with their classes (left, top, right, bottom in pixels, class), as many rows for every image, filled with
    class -1: [B, n, 5]. ``errors`` has the samples that could not be read: their rows of ``x`` are zeros and no method
    sees them.
    """

    ids: tuple[str, ...]
    x: Tensor
    y: Tensor
    masks: Tensor | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    errors: dict[str, str] = field(default_factory=dict[str, str])
    objects: Tensor | None = None
    artefacts: Tensor | None = None
    """Where there is something that has nothing to do with the label, such as a tube: bool [B, 1, *space]."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def victims(self) -> Tensor:
        """Each image's first object: [B, 5]."""
        if self.objects is None:
            raise InputError("the data have no boxes", "unfool:scenes, or a .json of COCO's form")
        return self.objects[:, 0]

    def readable(self) -> "Batch":
        """The same batch without the samples that could not be read."""
        keep = torch.tensor([i not in self.errors for i in self.ids], dtype=torch.bool)
        return self if keep.all() else self[keep]

    def __getitem__(self, keep: Tensor) -> "Batch":
        """Some of the rows; their errors come along."""
        where = torch.arange(len(self))[keep].tolist()
        ids = tuple(self.ids[i] for i in where)
        return Batch(
            ids,
            self.x[keep],
            self.y[keep],
            None if self.masks is None else self.masks[keep],
            {name: tuple(values[i] for i in where) for name, values in self.groups.items()},
            {i: self.errors[i] for i in ids if i in self.errors},
            None if self.objects is None else self.objects[keep],
            None if self.artefacts is None else self.artefacts[keep],
        )
