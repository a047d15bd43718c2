"""Which pieces of the image matter: a linear model of what the network says of images without some of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from ..fills import Fill, without
from ..query import Query
from ..rows import Rng
from ..spec import Bound, Count, Positive
from .base import Attribution
from .superpixels import superpixels


class Surrogate(Attribution, ABC):
    """The weights of a linear model of the pieces, each drawn on its piece."""

    asks = "scores"

    samples: Annotated[int, Bound(4)] = 500
    """How many images without some of their pieces are asked about."""
    pieces: Count = 50
    """How many pieces an image is cut into, about."""
    fill: Fill = "mean"
    """What is put where the image is hidden."""

    @abstractmethod
    def draw(self, kept: Tensor, rng: Rng) -> Tensor:
        """Which of an image's pieces each sample keeps: 0 or 1, in the shape of ``kept`` [1, samples, pieces]."""

    @abstractmethod
    def fit(self, kept: Tensor, score: Tensor, whole: Tensor, empty: Tensor) -> Tensor:
        """A weight per piece of one image, from samples [n, K], scores [n], and those of all pieces and of none."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        query.model.need("scores", query.who)
        labels = torch.stack([superpixels(image, self.pieces) for image in x])  # [B, *space]
        counts = (labels.flatten(1).amax(1) + 1).tolist()
        kept = x.new_zeros(len(x), self.samples, max(counts))
        for k, n in enumerate(counts):
            kept[k, :, :n] = self.draw(kept[k : k + 1, :, :n], query.rng[torch.tensor([k])])
        other = without(x, self.fill, query.rng)

        def variants() -> Iterator[Tensor]:
            for one in kept.unbind(1):
                mask = one.gather(1, labels.flatten(1)).view_as(x[:, :1])
                yield mask * x + (1 - mask) * other

        whole, empty = query.ask(x).score, query.ask(other).score
        scores = torch.stack(list(query.packed(lambda q, v: q.ask(v).score, variants())), 1)  # [B, samples]
        heat = torch.zeros_like(x[:, :1])
        for k, pieces in enumerate(counts):
            weights = self.fit(
                kept[k, :, :pieces].double(), *(t.double() for t in (scores[k], whole[k], empty[k]))
            )
            heat[k, 0] = weights.to(heat)[labels[k]]
        return heat


class LIME(Surrogate):
    """Ridge regression, images nearer to the whole one counting more (Ribeiro et al., 2016)."""

    width: Positive = 0.25
    """Of the kernel: how far an image may be from the whole, in cosine distance of the pieces kept."""
    ridge: Positive = 1e-3
    """What keeps the weights small."""

    def draw(self, kept: Tensor, rng: Rng) -> Tensor:
        return (rng.uniform(kept, 0, 1) < 0.5).to(kept)

    def fit(self, kept: Tensor, score: Tensor, whole: Tensor, empty: Tensor) -> Tensor:
        rows = torch.cat([kept, torch.ones_like(kept[:1])])
        answers = torch.cat([score, whole[None]])
        distance = (
            1 - (rows.mean(1)).clamp_min(1e-12).sqrt()
        )  # the cosine to all ones is the root of the share kept
        weight = (-(distance / self.width).square()).exp()
        design = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
        normal = design.T @ (weight[:, None] * design)
        normal = normal + self.ridge * torch.diag(torch.ones(len(normal)).to(normal))
        return torch.linalg.solve(normal, design.T @ (weight * answers))[:-1]


class KernelSHAP(Surrogate):
    """Shapley values of the pieces, by regression (Lundberg & Lee, 2017).

    The weights come to the whole score less that of an image without any piece, exactly. Samples come in pairs, each
    with its opposite (Covert & Lee, 2021).
    """

    def draw(self, kept: Tensor, rng: Rng) -> Tensor:
        pieces = kept.shape[2]
        half = kept[:, : -(-kept.shape[1] // 2)]
        if pieces < 2:
            return torch.ones_like(kept)
        sizes = torch.arange(1, pieces, dtype=torch.float64, device=kept.device)
        chance = (1 / (sizes * (pieces - sizes))).cumsum(0)
        lot = rng.uniform(half[..., :1].double(), 0, 1) * chance[-1]
        size = torch.searchsorted(chance, lot).clamp_max(pieces - 2) + 1
        order = rng.uniform(half, 0, 1).argsort(2).argsort(2)
        chosen = (order < size).to(kept)
        return torch.stack([chosen, 1 - chosen], 2).flatten(1, 2)[:, : kept.shape[1]]

    def fit(self, kept: Tensor, score: Tensor, whole: Tensor, empty: Tensor) -> Tensor:
        if kept.shape[1] < 2:
            return (whole - empty).expand(kept.shape[1])
        normal = kept.T @ kept / len(kept)
        side = kept.T @ (score - empty) / len(kept)
        normal = normal + 1e-9 * torch.eye(len(normal), dtype=normal.dtype, device=normal.device)
        ones = torch.ones_like(side)
        free, lift = torch.linalg.solve(normal, torch.stack([side, ones], 1)).unbind(1)
        return free - lift * (free.sum() - (whole - empty)) / lift.sum()
