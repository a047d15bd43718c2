"""The smallest change that crosses a plane inside [0, 1], exactly, by sorting; one row beside the other."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..regions import L0, L1, L2, Linf, Norm
from ..rows import column


def crossing(norm: type[Norm], x: Tensor, slope: Tensor, gap: Tensor, mask: Tensor | None = None) -> Tensor:
    """The smallest change of ``x`` inside [0, 1] that raises ``slope * change`` to each row's ``gap``.

    Every value moves in its own sign's direction as far as it has room. Where all together cannot reach the gap, the
    change is the one that comes nearest to it. A negative gap is a change downhill.
    """
    way = slope * column(gap.sign(), x)
    room = torch.where(way > 0, 1 - x, x) * (way != 0)
    room = room if mask is None else room * mask
    return _AMOUNTS[norm](way.abs(), room, gap.abs()) * way.sign()


def _linf(speed: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """All values move by the same amount, or by all the room they have."""
    speeds, rooms = speed.flatten(1), room.flatten(1)
    amount = _level(rooms, speeds * rooms, speeds, gap)
    return torch.minimum(column(amount, room), room)


def _l2(speed: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """All values move in proportion to their slope, or by all the room they have."""
    speeds, rooms = speed.flatten(1), room.flatten(1)
    full = torch.where(speeds > 0, rooms / speeds.clamp_min(torch.finfo(speeds.dtype).tiny), 0)
    amount = _level(full, speeds * rooms, speeds.square(), gap)
    return torch.minimum(column(amount, room) * speed, room)


def _level(full: Tensor, gain: Tensor, rate: Tensor, gap: Tensor) -> Tensor:
    """Where a sum of ramps reaches the gap: each rises at its ``rate`` up to its ``gain``, at the level ``full``: [B].

    Where it never does, the highest level.
    """
    full, order = full.sort(1)
    gain, rate = gain.gather(1, order), rate.gather(1, order)
    rising = rate.flip(1).cumsum(1).flip(1)  # the rate of all that are not full before k
    before = gain.cumsum(1) - gain
    reached = before + full * rising >= gap[:, None]
    k = reached.long().argmax(1, keepdim=True)
    tiny = torch.finfo(full.dtype).tiny
    level = (gap - before.gather(1, k)[:, 0]) / rising.gather(1, k)[:, 0].clamp_min(tiny)
    return torch.where(reached.any(1), torch.minimum(level, full.gather(1, k)[:, 0]), full[:, -1])


def _l1(speed: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """The steepest values move by all the room they have, the last by what is left."""
    speeds, order = speed.flatten(1).sort(1, descending=True)
    gain = speeds * room.flatten(1).gather(1, order)
    left = (gap[:, None] - (gain.cumsum(1) - gain)).clamp_min(0)
    share = (left / gain.clamp_min(torch.finfo(gain.dtype).tiny)).clamp_max(1)
    return torch.zeros_like(share).scatter(1, order, share).view_as(room) * room


def _l0(speed: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """The positions that can gain most move by all the room they have."""
    gain, order = (speed * room).sum(1).flatten(1).sort(1, descending=True)
    wanted = (gain.cumsum(1) - gain < gap[:, None]).to(room.dtype)
    return torch.zeros_like(gain).scatter(1, order, wanted).view_as(room[:, :1]) * room


_AMOUNTS: dict[type[Norm], Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    L0: _l0,
    L1: _l1,
    L2: _l2,
    Linf: _linf,
}
