"""Class activation maps that ask the network again: without a channel, through it, or with one position alone."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..grids import Grid
from ..maps import resize
from ..objectives import LogProb
from ..query import Query
from ..rows import copies
from .cam import LayerMap, Weighed, share_positive, weighted_sum
from .cam_linear import Head, head_of
from .layers import grid_at, maps_at

TOGETHER = 16
"""How many channels are brought to the image's size at a time."""


class Live(NamedTuple):
    """The channels that are not the same everywhere, those of each row first: [B, K], and which of them are: [B, K]."""

    order: Tensor
    there: Tensor

    @classmethod
    def among(cls, lives: Tensor) -> "Live":
        order = lives.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
        most = int(lives.sum(1).amax())
        return cls(order[:, :most], lives.gather(1, order)[:, :most])

    def put(self, values: Tensor, channels: int) -> Tensor:
        """One value per live channel as one per channel, zero for the others: [B, n] -> [B, K]."""
        out = values.new_zeros(len(values), channels)
        return out.scatter(1, self.order, values.where(self.there, 0))


class AblationCAM(LayerMap):
    """Each channel weighted by the share of the score that is lost without it (Desai & Ramaswamy, 2020).

    The share is of the score's size, so that its sign stays. One pass where the head is a mean and a linear layer;
    elsewhere what follows the layer runs again for each channel.
    """

    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        wanted = ("output",) if "output" in query.objective.reads else ()
        seen = query.activations((*layers, *wanted), x)
        return [self._weighed(query, x, layer, seen) for layer in layers]

    def _weighed(self, query: Query, x: Tensor, layer: str, seen: dict[str, Tensor]) -> Weighed:
        grid = grid_at(query, layer, seen[layer], x, self.grid)
        maps = grid.maps(seen[layer])
        live = Live.among((maps != 0).flatten(2).any(2))
        score, without = self._ablated(query, x, layer, seen, grid, live)
        size = score.abs()
        lost = (score[:, None] - without) / size.where(size > 0, 1)[:, None]
        weights = live.put(lost.to(maps), maps.shape[1]).view(*maps.shape[:2], *[1] * (maps.ndim - 2))
        return Weighed(weighted_sum(weights, maps), share_positive(weights))

    def _ablated(
        self, query: Query, x: Tensor, layer: str, seen: dict[str, Tensor], grid: Grid, live: Live
    ) -> tuple[Tensor, Tensor]:
        """The score, and that without each live channel: [B], [B, n]."""
        if query.objective.reads == ("output",):
            head = head_of(query, layer, seen[layer], seen["output"], x, self.grid)
            if isinstance(head, Head):
                score = query.objective.score({"output": head.logits, **query.fixed}, query.y)
                return score, head.without(query, live.order).T
        return _asked(query, x, layer, grid, live)


def _asked(query: Query, x: Tensor, layer: str, grid: Grid, live: Live) -> tuple[Tensor, Tensor]:
    tail = query.tail(layer, x)
    scores, rows = [tail.ask(tail.activation)], torch.arange(len(x), device=x.device)
    room = max(1, query.model.capacity // len(x))
    for channels in live.order.T.split(room):
        whole = copies(tail.activation, len(channels))
        maps = grid.maps(whole).clone()
        maps[torch.arange(len(maps), device=x.device), channels.flatten()] = 0
        scores.append(tail.ask(grid.put(maps, whole)))
    found = torch.cat(scores)
    return found[0], found[1:, rows].T


class ScoreCAM(LayerMap):
    """Each channel weighted by the score of the image seen through it, against all others (Wang et al., 2020).

    One pass for each channel that is not the same everywhere. What a channel hides turns black.
    """

    weighting: Literal["softmax", "probability"] = "softmax"
    """"softmax" over the channels' scores, as in the paper; "probability" of the class, as in its authors' program."""

    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        found = maps_at(query, layers, x, self.grid)
        return [self._weighed(query, x, maps) for maps in found.values()]

    def _weighed(self, query: Query, x: Tensor, maps: Tensor) -> Weighed:
        low, high = maps.flatten(2).aminmax(dim=2)
        live = Live.among(high > low)
        asked = query if self.weighting == "softmax" else query.instead(LogProb())
        scores = list(asked.packed(lambda q, v: q.ask(v).score, self._seen(x, maps, live)))
        if not scores:
            return Weighed(torch.zeros_like(maps[:, :1]), maps.new_zeros(len(x)))
        each = torch.stack(scores, 1).masked_fill(~live.there, -torch.inf)
        shares = each.softmax(1).nan_to_num(0.0) if self.weighting == "softmax" else each.exp()
        weights = live.put(shares.to(maps), maps.shape[1])
        weights = weights.view(*maps.shape[:2], *[1] * (maps.ndim - 2))
        return Weighed(weighted_sum(weights, maps), share_positive(weights))

    def _seen(self, x: Tensor, maps: Tensor, live: Live) -> Iterator[Tensor]:
        """The images through each live channel, brought to [0, 1] and to their size."""
        rows = torch.arange(len(x), device=x.device)[:, None]
        for some in live.order.split(TOGETHER, 1) if live.order.numel() else ():
            masks = resize(maps[rows, some], tuple(x.shape[2:]))
            low, high = (t.view(*some.shape, *[1] * (x.ndim - 2)) for t in masks.flatten(2).aminmax(dim=2))
            span = high - low
            scale = span.where(span > 0, 1).reciprocal()
            yield from (
                x * mask[:, None] for mask in torch.addcmul(-low * scale, masks, scale).to(x).unbind(1)
            )


class ReciproCAM(LayerMap):
    """What one position of a layer adds to the score by itself, all others being zero (Byun & Lee, 2022).

    The score with every position at zero counts as nothing. What follows the layer runs once for each position.
    """

    soft: bool = False
    """Let a position's neighbours through as well, at half its strength in each direction."""

    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        return [self._weighed(query, x, layer) for layer in layers]

    def _weighed(self, query: Query, x: Tensor, layer: str) -> Weighed:
        tail = query.tail(layer, x)
        grid = grid_at(query, layer, tail.activation, x, self.grid)
        maps = grid.maps(tail.activation)
        room = max(1, query.model.capacity // len(x))
        masks = self._masks(tuple(maps.shape[2:])).to(maps)
        scores: list[Tensor] = []
        for some in masks.split(room):
            whole = copies(tail.activation, len(some))
            seen = grid.maps(whole) * some.repeat_interleave(len(x), 0)[:, None]
            scores.append(tail.ask(grid.put(seen, whole)))
        nothing, *each = torch.cat(scores).unbind(0)
        heat = torch.stack([one - nothing for one in each], 1).view(len(x), 1, *maps.shape[2:])
        return Weighed(heat, share_positive(heat))

    def _masks(self, sides: tuple[int, ...]) -> Tensor:
        """Nothing, then one position each: [1 + N, *sides]."""
        lines = [torch.arange(side, dtype=torch.float64) for side in sides]
        masks = torch.zeros(1, *sides, dtype=torch.float64)
        each = [masks]
        for place in product(*lines):
            one = torch.ones(sides, dtype=torch.float64)
            for d, (line, at) in enumerate(zip(lines, place, strict=True)):
                near = (1 - (line - at).abs() * (0.5 if self.soft else 1.0)).clamp_min(0)
                one = one * near.view(-1, *[1] * (len(sides) - d - 1))
            each.append(one[None])
        return torch.cat(each)
