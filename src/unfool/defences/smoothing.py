"""Randomised smoothing: the class a network gives most often to an image under noise, and how far that is certain."""

from typing import ClassVar, NamedTuple

import torch
from scipy.special import bdtr, betaincinv, ndtri
from torch import Tensor

from ..attacks.gradient import PGD
from ..blackbox import Access
from ..method import Columns, Method, Question
from ..model import Model
from ..objectives import label_of
from ..regions import L1, L2, Linf, Norm, Region
from ..rows import Batch, Rng
from ..slopes import Expectation
from ..spec import Count, Fraction, Positive
from ..transforms import Noise
from .certificate import ABSTAINS, Certificate, Certified

BLOCK = 64
"""Copies of an image that are drawn at a time: a number that results may depend on."""
ROOM = 16_000_000
"""So many values are held at a time."""


class Smoothing(Certificate):
    """The most frequent class under normal noise holds within a radius in L2 (Cohen et al., 2019, arXiv:1902.02918).

    For sure but for a chance ``alpha`` that the draws mislead. It is about the smoothed network, which is another than
    the network itself, and asks for labels alone. In Linf the radius is that in L2 over the root of the number of
    values.
    """

    norms = (L2, Linf, L1)
    asks: ClassVar[Access] = "labels"

    sigma: Positive = 0.25
    """The spread of the noise, in units of the image."""
    first: Count = 100
    """Draws by which the class is chosen."""
    samples: Count = 1000
    """Draws by which it is certified."""
    alpha: Fraction = 0.001
    """The chance that a radius is not one."""

    def smoothed(self) -> float:
        return self.sigma

    def certify(self, model: Model, x: Tensor, within: Region, rng: Rng) -> Certified:
        best = votes(model, x, self.sigma, self.first, rng).argmax(1)
        hits = votes(model, x, self.sigma, self.samples, rng).gather(1, best[:, None])[:, 0]
        radius = self.sigma * self.quantile(hits)
        return Certified(best.where(radius > 0, ABSTAINS), _in_norm(radius, within.norm, x))

    def quantile(self, hits: Tensor) -> Tensor:
        """Where the normal distribution has the lower end of the chance of that class below; 0 without a majority."""
        low = lower_end(hits, self.samples, self.alpha)
        return torch.from_numpy(ndtri(low.cpu().numpy())).clamp_min(0).to(hits.device)


def _in_norm(radius: Tensor, kind: type[Norm], x: Tensor) -> Tensor:
    """A ball in L1 lies inside that in L2 of the same radius, one in Linf inside that of root d times its own."""
    return radius / x[0].numel() ** 0.5 if kind is Linf else radius


def lower_end(hits: Tensor, n: int, alpha: float) -> Tensor:
    """The least chance of a hit of which so many of ``n`` are no surprise below ``alpha`` (Clopper and Pearson)."""
    k = hits.cpu().double().numpy()
    ends = betaincinv(k, n - k + 1, alpha)  # not a number for no hit
    return torch.from_numpy(ends).nan_to_num(0.0).to(hits.device)


@torch.no_grad()
def votes(model: Model, x: Tensor, sigma: float, n: int, rng: Rng) -> Tensor:
    """How often each class is given to each image under ``n`` draws of noise: [B, K].

    Every image draws its own numbers, in blocks of one size, so that neighbours and batches make no difference.
    """
    together = torch.arange(len(x)).split(max(1, ROOM // (BLOCK * x[0].numel())))
    return torch.cat([_votes(model, x[rows], sigma, n, rng[rows]) for rows in together])


def _votes(model: Model, x: Tensor, sigma: float, n: int, rng: Rng) -> Tensor:
    counts = torch.zeros(len(x), 0, dtype=torch.long, device=x.device)
    for k in range(0, n, BLOCK):
        noise = rng.normal(x.new_empty(len(x), BLOCK, *x.shape[1:]))[:, : n - k]
        noisy = (x[:, None] + sigma * noise).flatten(0, 1)
        answers = [model.trace(some)["output"] for some in noisy.split(max(BLOCK, model.capacity))]
        label = torch.cat([label_of(one) for one in answers]).view(len(x), -1)
        counts = counts if counts.shape[1] else counts.new_zeros(len(x), answers[0].shape[1])
        counts.scatter_add_(1, label, torch.ones_like(label))
    return counts


class Elected(NamedTuple):
    """The class most often given (-1 where that is not sure), and the votes: [B], [B, K]."""

    label: Tensor
    votes: Tensor


def elected(model: Model, x: Tensor, how: Smoothing, rng: Rng) -> Elected:
    """What the smoothed network says, or nothing where the two most frequent classes may be equally frequent."""
    counts = votes(model, x, how.sigma, how.samples, rng)
    two = counts.topk(2, 1)
    both_ends = [2 * bdtr(b, a + b, 0.5) for a, b in two.values.tolist()]  # of an even chance
    sure = [p <= how.alpha for p in both_ends]
    flags = torch.tensor(sure, device=x.device)
    return Elected(two.indices[:, 0].where(flags, ABSTAINS), counts)


class Elect(Method):
    """What the smoothed network says of each image; -1 where it abstains (Cohen et al., 2019)."""

    how: Smoothing = Smoothing()

    def columns(self, question: Question, batch: Batch) -> Columns:
        model, x = question.model, batch.x.to(question.model.device)
        rng = Rng.seeded(question.seed, batch.ids, model.device)
        with model.settled():
            found = elected(model, x, self.how, rng)
        y, best = question.labels(batch), found.votes.argmax(1).cpu()
        label = found.label.cpu()
        return {"label": label, "best": best, "y": y, "correct": label == y}


class ElectAttacked(Method):
    """What the smoothed network says once it has been attacked by the mean slope over draws (Salman et al., 2019).

    Votes decide, of fresh draws; the most voted class counts whether or not that is sure.
    """

    how: Smoothing = Smoothing()
    steps: Count = 20
    draws: Count = 8
    """Draws of noise for each step."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        slope = Expectation((Noise(self.how.sigma),), self.draws, stop="never")
        attack = PGD(self.steps, slope=slope, random_start=False)
        y = question.labels(batch)
        found = attack(question.model, batch.x, y, within=question.within, seed=question.seed, ids=batch.ids)
        moved = Batch(batch.ids, found.x, y)
        return Elect(self.how).columns(question, moved) | {"l2": found.l2.cpu()}
