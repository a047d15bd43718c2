"""The nearest of many vectors, exactly: a blocked product finds candidates, double precision decides.

The float32 product is off by a known amount at most. A row is done where no vector outside its candidates can be
nearer than the last one kept; the others are gone through one by one. So what is found is what brute force finds.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Metric = Literal["l2", "cosine"]

SPARE = 6
"""So many more candidates than wanted."""
ROOM = 25_000_000
"""So many products are held at a time."""
GROUP = 50
"""Candidates are first looked for among groups of so many: the best m vectors lie in the m best groups."""
UNIT = 2.0**-23
"""How far apart float32 numbers near 1 are."""


class Near(NamedTuple):
    """The nearest of each query, ascending, of two equally near the first: [Q, k] each; -1 and infinite are none."""

    distance: Tensor
    which: Tensor


class Keys(NamedTuple):
    """A number for each query and each vector of the gallery; those that share one are not compared."""

    queries: Tensor
    gallery: Tensor


def nearest(
    queries: Tensor, gallery: Tensor, k: int, metric: Metric = "l2", keys: Keys | None = None
) -> Near:
    """The ``k`` nearest vectors of a gallery [N, D] to each query [Q, D]; by cosine 1 minus it is the distance."""
    return Gallery(gallery, metric).nearest(queries, k, keys)


class Gallery:
    """Vectors [N, D] that are asked about more than once."""

    def __init__(self, vectors: Tensor, metric: Metric = "l2"):
        self.metric: Metric = metric
        self.vectors = F.normalize(vectors.double(), dim=1) if metric == "cosine" else vectors
        self.middle = self.vectors.mean(0)
        moved = (self.vectors - self.middle).float()
        half = moved.square().sum(1, keepdim=True) / 2
        self.most = float(half.max()) * 2
        self.shifted = even(torch.cat([moved, -half], 1))
        """Times (query, 1) it is largest where the distance is smallest."""

    def nearest(self, queries: Tensor, k: int, keys: Keys | None = None) -> Near:
        """The ``k`` nearest to each query [Q, D]."""
        if self.metric == "cosine":
            queries = F.normalize(queries.double(), dim=1)
        k, wide = min(k, len(self.vectors)), self.vectors.shape[1]
        rows = max(1, min(ROOM // len(self.vectors), ROOM // ((k + SPARE) * wide)))
        same = None if keys is None else keys.queries[:, None] == keys.gallery
        parts = [
            self._some(queries[at : at + rows], k, None if same is None else same[at : at + rows])
            for at in range(0, len(queries), rows)
        ]
        distance, index = (torch.cat(column) for column in zip(*parts, strict=True))
        return Near(distance.square() / 2 if self.metric == "cosine" else distance, index)

    def _some(self, queries: Tensor, k: int, same: Tensor | None) -> tuple[Tensor, Tensor]:
        moved = (queries - self.middle.to(queries.dtype)).float()
        score = product(even(F.pad(moved, (0, 1), value=1.0)), self.shifted)
        if same is not None:
            score = score.masked_fill_(same, -torch.inf)
        best, index = largest(score, min(k + SPARE, score.shape[1]))
        index = index.sort(1).values
        square = (queries[:, None].double() - self.vectors[index].double()).square().sum(2)
        square = square.masked_fill_(score.gather(1, index).isinf(), torch.inf)
        square, index = _first(square, index, k)
        if best.shape[1] < score.shape[1]:
            own = moved.double().square().sum(1)
            error = UNIT * (moved.shape[1] + 16) * (own + self.most)
            unsure = square[:, -1] > own - 2 * best[:, -1].double() - error
            for row in unsure.nonzero()[:, 0].tolist():
                square[row], index[row] = self._brute(queries[row], k, None if same is None else same[row])
        return square.sqrt(), index.masked_fill(square.isinf(), -1)

    def _brute(self, query: Tensor, k: int, same: Tensor | None) -> tuple[Tensor, Tensor]:
        square = (query.double() - self.vectors.double()).square().sum(1)
        if same is not None:
            square = square.masked_fill(same, torch.inf)
        found = _first(square[None], torch.arange(len(square), device=square.device)[None], k)
        return found[0][0], found[1][0]


def even(t: Tensor) -> Tensor:
    """As many columns as a processor takes at a time, or a multiple."""
    return F.pad(t, (0, -t.shape[1] % 8))


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b.T``; on processors by NumPy, whose product of such shapes is the faster one."""
    return a @ b.T if a.is_cuda else torch.from_numpy(np.matmul(a.numpy(), b.numpy().T))


def largest(score: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """The ``m`` largest of each row, descending, and where they are."""
    groups = score.shape[1] // GROUP
    if groups < 4 * m:
        return score.topk(m, 1)
    whole = score[:, : groups * GROUP].view(len(score), GROUP, groups)
    chosen = whole.amax(1).topk(m, 1).indices
    places = (chosen[:, None] + groups * torch.arange(GROUP, device=score.device)[:, None]).flatten(1)
    rest = torch.arange(groups * GROUP, score.shape[1], device=score.device).expand(len(score), -1)
    places = torch.cat([places, rest], 1)
    best, at = score.gather(1, places).topk(m, 1)
    return best, places.gather(1, at)


def _first(square: Tensor, index: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` smallest; columns are in the order of ``index``, and of equal ones the first stays first."""
    order = square.argsort(dim=1, stable=True)[:, :k]
    return square.gather(1, order), index.gather(1, order)
