"""Whether images are still like those a network has learned from: their features, and how often classes come."""

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import binomtest, ks_2samp
from torch import Tensor

from ..errors import InputError
from .groups import holm
from .rates import Rate, rate

FEWEST = 40
BINS = 10
DRAWS = 1000
MOST = 100
"""Of more classes shares are not estimated: the table of mistakes would be all but empty."""


class Feature(NamedTuple):
    """One feature of the network: how far apart its values are."""

    number: int
    distance: float
    """The largest distance between the two distributions (Kolmogorov and Smirnov)."""
    p: float
    """Corrected for all features (Holm)."""
    psi: float
    """The population stability index over ten bins that hold a tenth of the known images each."""


class Told(NamedTuple):
    """Whether a classifier tells images apart that it has not seen (Lopez-Paz and Oquab, 2017)."""

    right: Rate
    p: float
    """Of telling as many right by chance."""


class Covariate(NamedTuple):
    """Everything about the features of two sets of images."""

    features: tuple[Feature, ...]
    """The largest distance first."""
    told: Told
    control: Told
    """The same of two halves of the known images."""

    @property
    def differing(self) -> int:
        return sum(f.p < 0.05 for f in self.features)


def covariate_shift(known: Tensor, new: Tensor, seed: int = 0) -> Covariate:
    """Features [N, D] of images that are known and of new ones."""
    fewest = min(len(known) // 2, len(new))
    if fewest < FEWEST:
        raise InputError(
            f"{len(known)} known and {len(new)} new images are too few to compare",
            f"at least {2 * FEWEST} and {FEWEST}",
        )
    a, b = known.double().numpy(), new.double().numpy()
    tests: list[Any] = [ks_2samp(a[:, j], b[:, j]) for j in range(a.shape[1])]
    ps = holm([float(t.pvalue) for t in tests])
    found = [
        Feature(j, float(t.statistic), ps[j], stability(known[:, j], new[:, j])) for j, t in enumerate(tests)
    ]
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))
    half = len(known) // 2
    one, other = known[order[:half]], known[order[half:]]
    return Covariate(
        tuple(sorted(found, key=lambda f: -f.distance)),
        told_apart(known, new, seed),
        told_apart(one, other, seed),
    )


def stability(known: Tensor, new: Tensor, bins: int = BINS) -> float:
    """The sum of (q - p) log(q / p) over bins; half an image is added to each, so that none is empty."""
    inner = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
    edges = torch.quantile(known.double(), inner).unique()
    p, q = (_shares(values.double(), edges) for values in (known, new))
    return float(((q - p) * (q / p).log()).sum())


def _shares(values: Tensor, edges: Tensor) -> Tensor:
    counts = torch.bincount(torch.bucketize(values, edges), minlength=len(edges) + 1).double() + 0.5
    return counts / counts.sum()


def told_apart(a: Tensor, b: Tensor, seed: int = 0) -> Told:
    """As many of either; a logistic regression learns on one half and is judged on the other, 1/2 being chance."""
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]
    from sklearn.pipeline import make_pipeline  # pyright: ignore[reportMissingTypeStubs]
    from sklearn.preprocessing import StandardScaler  # pyright: ignore[reportMissingTypeStubs]

    n = min(len(a), len(b))
    stream = torch.Generator().manual_seed(seed)
    parts = [t[torch.randperm(len(t), generator=stream)[:n]].double().numpy() for t in (a, b)]
    half = n // 2
    learn, rest = (np.concatenate([part[s] for part in parts]) for s in (slice(0, half), slice(half, n)))
    which = np.repeat([0, 1], half)
    net: Any = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    net.fit(learn, which)
    said = np.asarray(net.predict(rest))
    right = torch.from_numpy(said == np.repeat([0, 1], n - half))
    p = binomtest(int(right.sum()), len(right), 0.5, alternative="greater").pvalue
    return Told(rate(right), float(p))


class Share(NamedTuple):
    """How often a class comes: among the known images, and as estimated among the new ones."""

    label: int
    known: float
    new: float
    low: float
    high: float
    counted: float | None
    """Among the new images by their labels, where they have any."""

    @property
    def shifted(self) -> bool:
        return not self.low <= self.known <= self.high


def label_shift(
    said: Tensor, y: Tensor, new: Tensor, truth: Tensor | None = None, seed: int = 0
) -> tuple[Share, ...]:
    """From what the model says of labelled images and of new ones (Lipton et al., 2018): p(said) = C p(label).

    Intervals by drawing either set anew, each at a level that holds for all classes together. It assumes that a class's
    images look alike in both sets. Classes without labelled images are left out.
    """
    labels = y[y >= 0].unique()
    if len(labels) < 2:
        raise InputError("the labelled images are of one class", "label shift needs two at least")
    k = len(labels)
    place = {int(v): i for i, v in enumerate(labels)}
    true, told, told_new = (torch.tensor([place.get(v, k) for v in t.tolist()]) for t in (y, said, new))
    cells = torch.bincount(told * (k + 1) + true, minlength=(k + 1) ** 2)
    answers = torch.bincount(told_new, minlength=k + 1)
    whole = _estimate(cells[None].double(), answers[None].double(), k)[0]
    rng = np.random.default_rng(seed)
    tables, sums = (
        torch.from_numpy(rng.multinomial(int(c.sum()), (c.double() / c.sum()).numpy(), DRAWS)).double()
        for c in (cells, answers)
    )
    drawn = _estimate(tables, sums, k)
    alpha = 0.05 / k
    low, high = torch.quantile(drawn, torch.tensor([alpha / 2, 1 - alpha / 2], dtype=torch.float64), dim=0)
    known = torch.bincount(true, minlength=k + 1)[:k].double() / max(1, int((true < k).sum()))
    counted = None if truth is None or not (truth >= 0).any() else truth[truth >= 0]
    return tuple(
        Share(
            int(v),
            float(known[i]),
            float(whole[i]),
            float(low[i]),
            float(high[i]),
            None if counted is None else float((counted == v).double().mean()),
        )
        for i, v in enumerate(labels)
    )


def _estimate(cells: Tensor, answers: Tensor, k: int) -> Tensor:
    """The shares of the classes among new images, none below 0 and together 1: of tables [D, (k + 1)^2], [D, k]."""
    table = cells.view(-1, k + 1, k + 1)[:, :, :k]  # what is told down, what is true across
    chances = table / table.sum(1, keepdim=True).clamp_min(1)
    shares = answers / answers.sum(1, keepdim=True)
    found = torch.linalg.lstsq(chances, shares[:, :, None], driver="gelsd").solution[..., 0].clamp_min(0)
    return found / found.sum(1, keepdim=True).clamp_min(1e-12)
