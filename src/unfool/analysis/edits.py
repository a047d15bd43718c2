"""Put a cue into images or take it out, and see whether the answer changes, beside edits of equal size."""

import math
from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..model import Model
from ..objectives import label_of
from ..rows import stable_number
from .rates import Rate, mean_of, rate

Kind = Literal["insert", "remove"]
DECIDES: dict[Kind, str] = {"insert": "other pixels", "remove": "elsewhere"}
"""The control that a cue is held against: the same shape in the same place with pixels of other images, or moved."""


class Cue(NamedTuple):
    """What is put into images, one row a donor: pixels [D, C, *space] and where they count: bool [D, 1, *space]."""

    pixels: Tensor
    mask: Tensor

    @property
    def area(self) -> float:
        """The share of the image, on average."""
        return float(self.mask.double().mean())


class Edit(NamedTuple):
    """One kind of edit on some images: how many it changes, beside its controls, and by how much more."""

    kind: Kind
    changed: dict[str, Rate]
    more: dict[str, tuple[float, float, float]]
    """By how much more the cue changes than each control: the paired difference with its 95 % interval."""
    before: Tensor
    after: Tensor
    control: Tensor
    """A few images before, after, and after the control that decides."""
    labels: Tensor
    """What the model takes them for: [n, 3]."""

    @property
    def decides(self) -> tuple[float, float, float]:
        return self.more[DECIDES[self.kind]]


def insert(model: Model, x: Tensor, cue: Cue, target: int, seed: int, shown: int = 3) -> Edit:
    """Each image with the cue of some donor: changed where it becomes ``target``. None of ``x`` is taken for it.

    Controls: the same pixels moved to a random position, and pixels of another of these images in the same place.
    """
    pick = _numbers(len(x), seed, "donor") % len(cue.mask)
    pixels, mask = cue.pixels[pick], cue.mask[pick]
    away = moves(mask, mask, seed)
    edits = {
        "cue": torch.where(mask, pixels, x),
        "elsewhere": torch.where(shifted(mask, away), shifted(pixels, away), x),
        "other pixels": torch.where(mask, x.roll(1, 0), x),
    }
    return _edit("insert", model, x, edits, lambda label: label == target, shown)


def remove(model: Model, x: Tensor, mask: Tensor, target: int, seed: int, shown: int = 3) -> Edit:
    """Each image without what is in its mask: changed where it is ``target`` no more. All of ``x`` are taken for it.

    Hidden pixels are filled in from around them. Controls: the same shape moved to a random position, and as many
    pixels anywhere.
    """
    masks = {
        "cue": mask,
        "elsewhere": shifted(mask, moves(mask, mask, seed)),
        "scattered": _scattered(mask, seed),
    }
    edits = {place: filled(x, one) for place, one in masks.items()}
    return _edit("remove", model, x, edits, lambda label: label != target, shown)


def _edit(
    kind: Kind,
    model: Model,
    x: Tensor,
    edits: dict[str, Tensor],
    changes: Callable[[Tensor], Tensor],
    shown: int,
) -> Edit:
    labels = {place: predicted(model, edited) for place, edited in edits.items()}
    flags = {place: changes(label) for place, label in labels.items()}
    control = DECIDES[kind]
    rows = (flags["cue"].long() * 2 - flags[control].long()).argsort(descending=True, stable=True)[:shown]
    told = torch.stack([predicted(model, x[rows]), labels["cue"][rows], labels[control][rows]], 1)
    more = {place: difference(flags["cue"], flags[place]) for place in edits if place != "cue"}
    rates = {place: rate(flag) for place, flag in flags.items()}
    return Edit(kind, rates, more, x[rows], edits["cue"][rows], edits[control][rows], told)


def difference(a: Tensor, b: Tensor) -> tuple[float, float, float]:
    """Of two rates over the same images, with the 95 % interval of the mean of paired differences.

    Where all pairs are alike the interval is that of a rate of 0 in n to either side.
    """
    if not len(a):
        return 0.0, -1.0, 1.0
    apart = a.double() - b.double()
    if (apart == apart[0]).all():
        most = rate(apart != apart).high
        return float(apart.mean()), float(apart.mean()) - most, float(apart.mean()) + most
    found = mean_of(apart.tolist())
    return found.mean, found.low, found.high


def predicted(model: Model, x: Tensor, at_once: int = 256) -> Tensor:
    if not len(x):
        return torch.zeros(0, dtype=torch.long)
    return torch.cat([label_of(model(part)).cpu() for part in x.split(at_once)])


def _scattered(mask: Tensor, seed: int) -> Tensor:
    """As many pixels, anywhere."""
    out = torch.zeros_like(mask)
    for k, one in enumerate(mask):
        stream = torch.Generator().manual_seed(stable_number(seed, "scattered", k))
        out[k].view(-1)[torch.randperm(one.numel(), generator=stream)[: int(one.sum())]] = True
    return out


Shift = tuple[int, ...]
TRIES = 40


def shifted(t: Tensor, by: list[Shift]) -> Tensor:
    """Images or masks [N, C, *], each moved as far."""
    return torch.stack([_rolled(one, shift) for one, shift in zip(t, by, strict=True)]) if len(t) else t


def _rolled(t: Tensor, by: Shift) -> Tensor:
    return torch.roll(t, by, tuple(range(1, t.ndim)))


def moves(mask: Tensor, held: Tensor, seed: int) -> list[Shift]:
    """For each mask a random shift that keeps it whole in the image and touches ``held`` the least of some tries."""
    rows = enumerate(zip(mask, held, strict=True))
    return [_move(one, other, stable_number(seed, "moved", k)) for k, (one, other) in rows]


def _move(mask: Tensor, held: Tensor, seed: int) -> Shift:
    room = _room(mask)
    if room is None:
        return (0,) * (mask.ndim - 1)
    rng, best, least = Random(seed), (0,) * len(room), math.inf
    places = mask[0].nonzero()
    for _ in range(TRIES):
        by = tuple(rng.randrange(low, high) for low, high in room)
        touched = int(held[0][tuple((places + torch.tensor(by)).T)].sum())
        if touched < least:
            best, least = by, touched
        if not least:
            break
    return best


def _room(mask: Tensor) -> list[tuple[int, int]] | None:
    """From where to where a mask [1, *space] may be shifted along each dimension; None where it is empty."""
    if not mask.any():
        return None
    places = mask[0].nonzero()
    low, high = places.amin(0).tolist(), places.amax(0).tolist()
    return [(-a, n - b) for a, b, n in zip(low, high, mask.shape[1:], strict=True)]


def filled(x: Tensor, mask: Tensor, steps: int = 200) -> Tensor:
    """Images with what is masked filled in smoothly from around it.

    Every hidden pixel becomes the mean of its neighbours (the discrete Laplace equation), solved by ``steps`` sweeps
    that start at the mean of what is seen.
    """
    seen = (~mask).to(x.dtype)
    dims = tuple(range(2, x.ndim))
    mean = (x * seen).sum(dims, keepdim=True) / seen.sum(dims, keepdim=True).clamp_min(1)
    out = torch.where(mask, mean, x)
    for _ in range(steps):
        out = torch.where(mask, _neighbours(out), x)
    return out


def _neighbours(x: Tensor) -> Tensor:
    """The mean of each pixel's neighbours along every dimension, borders repeated."""
    total = torch.zeros_like(x)
    for d in range(2, x.ndim):
        first, last = x.narrow(d, 0, 1), x.narrow(d, x.shape[d] - 1, 1)
        wide = torch.cat([first, x, last], d)
        total += wide.narrow(d, 0, x.shape[d]) + wide.narrow(d, 2, x.shape[d])
    return total / (2 * (x.ndim - 2))


def _numbers(n: int, seed: int, what: str) -> Tensor:
    return torch.tensor([stable_number(seed, what, k) % 2**31 for k in range(n)], dtype=torch.long)
