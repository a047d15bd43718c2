"""Bounds of a network's scores over a region: by intervals, and by planes below and above (IBP and CROWN)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..derivatives import pulled
from ..regions import L2, Linf, Norm
from ..rows import column
from .graph import Step

ROOM = 8_000_000
"""So many coefficients are held at a time."""


class Between(NamedTuple):
    """Numbers below and above each value [B, *]."""

    low: Tensor
    high: Tensor


class Area(NamedTuple):
    """Images [B, C, *] and each one's radius in a norm; [0, 1] bounds them, too."""

    norm: type[Norm]
    x: Tensor
    eps: Tensor

    @property
    def box(self) -> Between:
        """The smallest box around it."""
        eps = column(self.eps, self.x)
        return Between((self.x - eps).clamp_min(0), (self.x + eps).clamp_max(1))

    def least(self, slope: Tensor) -> Tensor:
        """The least of linear functions of slopes [S, B, C, *] over it, or less: [S, B]."""
        low, high = self.box
        flat = slope.flatten(2)
        middle, half = ((low + high) / 2).flatten(1), ((high - low) / 2).flatten(1)
        inside = (flat * middle).sum(2) - (flat.abs() * half).sum(2)
        if self.norm is Linf:
            return inside
        size = flat.norm(dim=2) if self.norm is L2 else flat.abs().amax(2)
        return torch.maximum(inside, (flat * self.x.flatten(1)).sum(2) - self.eps * size)


def intervals(steps: Sequence[Step], area: Area) -> list[Between]:
    """Bounds of every step's values, each from those of the steps before (interval bound propagation)."""
    found: list[Between] = []
    for step in steps:
        before = [found[k] for k in step.inputs]
        if step.kind == "input":
            found.append(area.box)
        elif step.kind == "affine":
            middle = step.make(*((b.low + b.high) / 2 for b in before))
            half = step.spread(*((b.high - b.low) / 2 for b in before))
            found.append(Between(middle - half, middle + half))
        else:
            found.append(Between(step.make(before[0].low), step.make(before[0].high)))
    return found


def planes(steps: Sequence[Step], area: Area) -> list[Between]:
    """The same, where what is rectified is bounded by planes in the image (CROWN, Zhang et al., 2018).

    Never looser than intervals: of two bounds the better counts.
    """
    found = intervals(steps, area)
    for k, step in enumerate(steps):
        if step.kind in ("relu", "max") and not _plain(steps, step.inputs[0], area):
            at = step.inputs[0]
            found[at] = _tightened(steps, area, found, at)
            found[k] = Between(step.make(found[at].low), step.make(found[at].high))
    return found


def _plain(steps: Sequence[Step], at: int, area: Area) -> bool:
    """Whether a value is one affine layer over a box, of which intervals are exact."""
    ahead, weighted = [at], 0
    while ahead:
        step = steps[ahead.pop()]
        if step.kind in ("relu", "max"):
            return False
        weighted += step.kind == "affine"
        ahead += step.inputs
    return area.norm is Linf and weighted <= 2  # the images' own normalisation, and a layer


def _tightened(steps: Sequence[Step], area: Area, found: list[Between], at: int) -> Between:
    """Better bounds of the values of one step that may be of either sign."""
    low, high = (t.flatten(1).clone() for t in found[at])
    unsure = ((low < 0) & (high > 0)).any(0).nonzero()[:, 0]
    if not len(unsure):
        return found[at]
    shape, n = found[at].low.shape[1:], low.shape[1]
    for some in unsure.split(max(1, ROOM // max(1, len(low) * _widest(found)))):
        chosen = F.one_hot(some, n).to(low).view(len(some), 1, *shape).expand(-1, len(low), *shape)
        low[:, some] = torch.maximum(low[:, some], least(steps, area, found, at, chosen).T)
        high[:, some] = torch.minimum(high[:, some], -least(steps, area, found, at, -chosen).T)
    return Between(low.view_as(found[at].low), high.view_as(found[at].high))


def _widest(found: list[Between]) -> int:
    return max(b.low[0].numel() for b in found)


def least(steps: Sequence[Step], area: Area, found: Sequence[Between], at: int, weights: Tensor) -> Tensor:
    """A number below weighted sums of one step's values, weights [S, B, *]: [S, B]."""
    slopes, constant = {at: weights}, weights.new_zeros(weights.shape[:2])
    for k in range(at, 0, -1):
        if (slope := slopes.pop(k, None)) is None:
            continue
        step = steps[k]
        before = [found[i] for i in step.inputs]
        back = {"affine": _through_affine, "relu": _through_relu, "max": _through_max}[step.kind]
        passed, more = back(step, before, slope)
        constant = constant + more
        for i, part in zip(step.inputs, passed, strict=True):
            slopes[i] = slopes[i] + part if i in slopes else part
    return constant + area.least(slopes[0])


Passed = tuple[Sequence[Tensor], Tensor]


def _through_affine(step: Step, before: Sequence[Between], slope: Tensor) -> Passed:
    """The same sums as sums of what the step is made of, and a constant."""
    rows = slope.shape[0] * slope.shape[1]
    zeros = [torch.zeros((rows, *b.low.shape[1:]), dtype=slope.dtype, device=slope.device) for b in before]
    found = pulled(step.make, zeros, lambda made: slope.reshape(made.shape))
    with torch.no_grad():
        own = step.make(*(zero[:1] for zero in zeros))
    constant = (slope * own).flatten(2).sum(2)
    return [t.view(*slope.shape[:2], *t.shape[1:]) for t in found], constant


def _through_relu(step: Step, before: Sequence[Between], slope: Tensor) -> Passed:
    """Where a value may be of either sign: the chord above it; below it nothing, or itself where that is nearer."""
    low, high = before[0]
    unsure = (low < 0) & (high > 0)
    sure = (low >= 0).to(slope)
    steep = torch.where(unsure, high / (high - low).clamp_min(1e-300), sure)
    below = torch.where(unsure, (high > -low).to(slope), sure)
    up, down = slope.clamp_min(0), slope.clamp_max(0)
    constant = (down * torch.where(unsure, -low * steep, 0.0)).flatten(2).sum(2)
    return [up * below + down * steep], constant


def _through_max(step: Step, before: Sequence[Between], slope: Tensor) -> Passed:
    """The largest of a window is at least the one whose lower bound is largest, at most the largest upper bound.

    Where that one is never below the others it is the largest.
    """
    low, high = before[0]
    best, where = _largest(step, low)
    others = _largest(step, high.flatten(2).scatter(2, where.flatten(2), -torch.inf).view_as(high))[0]
    certain = ((best >= others) & _apart(step)).to(slope)
    up, down = slope.clamp_min(0), slope.clamp_max(0)
    kept = up + down * certain
    top = step.make(high)
    constant = (down * (1 - certain) * top).flatten(2).sum(2)
    index = where.flatten(2).expand(*slope.shape[:1], *where.flatten(2).shape)
    empty = slope.new_zeros(*slope.shape[:2], low.shape[1], low[0, 0].numel())
    return [empty.scatter_add(3, index, kept.flatten(3)).view(*slope.shape[:2], *low.shape[1:])], constant


def _apart(step: Step) -> bool:
    """Whether no position is in two windows."""
    side, stride = (_several(getattr(step.make, name)) for name in ("kernel_size", "stride"))
    return all(s <= t for s in side for t in stride) and set(_several(getattr(step.make, "dilation"))) == {1}  # noqa: B009


def _several(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _largest(step: Step, values: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each window and where it is, as an index into all positions."""
    module = step.make
    pool = getattr(F, f"max_pool{values.ndim - 2}d")
    how = {name: getattr(module, name) for name in ("stride", "padding", "dilation", "ceil_mode")}
    return pool(values, module.kernel_size, **how, return_indices=True)  # pyright: ignore[reportFunctionMemberAccess]


def margins(steps: Sequence[Step], area: Area, found: Sequence[Between], y: Tensor, linear: bool) -> Tensor:
    """A number below the score of class ``y`` less that of every other: [B, K], infinite at ``y`` itself."""
    last, scores = len(steps) - 1, found[-1]
    own = F.one_hot(y, scores.low.shape[1]).bool()
    below = scores.low.gather(1, y[:, None]) - scores.high
    if linear:
        unit = torch.eye(scores.low.shape[1]).to(scores.low)
        weights = own.to(scores.low)[None] - unit[:, None]
        below = torch.maximum(below, least(steps, area, found, last, weights).T)
    return below.masked_fill(own, torch.inf)
