"""How well probabilities tell classes apart and how far they can be trusted, each number with its 95 % interval."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .rates import Mean, rate

BINS = 10
"""Of equal width, by the probability of the predicted class."""
DRAWS = 1000
AT_ONCE = 4_000_000
"""So many numbers are drawn at a time."""
NONE = Mean(math.nan, math.nan, math.nan, 0)


class Quality(NamedTuple):
    """Of one class against the rest, or as the mean over all classes that occur."""

    tpr: Mean
    fpr: Mean
    ppv: Mean
    auc: Mean
    ece: Mean
    """The expected calibration error of the predicted class's probability."""
    ece_chance: float
    """What half of networks that are calibrated perfectly would show on as many images."""


def qualities(
    probabilities: Tensor, label: Tensor, y: Tensor, positive: int | None, seed: int = 0
) -> Quality:
    """Of images with ``probabilities`` [N, K], the label the model gives and the true one."""
    sure = probabilities.gather(1, label[:, None])[:, 0].double()
    ece, chance = calibration(sure, label == y, seed=seed)
    if positive is None:
        return Quality(
            *means_over_classes(label, y, probabilities.shape[1], seed),
            mean_auc(probabilities, y),
            ece,
            chance,
        )
    said, has = label == positive, y == positive
    rates = (_mean(said[has]), _mean(said[~has]), _mean(has[said]))
    return Quality(*rates, auc(probabilities[:, positive], has), ece, chance)


def _mean(flags: Tensor) -> Mean:
    found = rate(flags)
    return Mean(found.value, found.low, found.high, found.n) if found.n else NONE


def auc(score: Tensor, has: Tensor) -> Mean:
    """The chance that an image with the property scores higher than one without, ties counting half.

    The interval is DeLong's (DeLong et al., 1988) on the scale of log-odds, which keeps it within [0, 1]; of a perfect
    order that of a share of all in the smaller of the two kinds.
    """
    n, m = int(has.sum()), int((~has).sum())
    if not n or not m:
        return NONE
    above, below = _places(score.double(), has)
    value = float(above.mean())
    if n > 1 and m > 1:
        variance = float(above.var() / n + below.var() / m)
    else:
        variance = 0.25 / min(n, m)
    return _within(value, variance, min(n, m), n + m)


def _places(score: Tensor, has: Tensor) -> tuple[Tensor, Tensor]:
    """For each image with it the share of those without that score lower, and for each without that of those above."""
    a, b = score[has], score[~has]
    other, own = b.sort().values, a.sort().values
    lower = torch.searchsorted(other, a) + torch.searchsorted(other, a, right=True)
    higher = 2 * len(a) - torch.searchsorted(own, b) - torch.searchsorted(own, b, right=True)
    return lower.double() / (2 * len(b)), higher.double() / (2 * len(a))


def _within(value: float, variance: float, least: int, n: int) -> Mean:
    if value in (0.0, 1.0) or not variance:
        edge = rate(torch.ones(least, dtype=torch.bool)).low
        low, high = (edge, 1.0) if value > 0.5 else (0.0, 1 - edge)
        return Mean(value, min(low, value), max(high, value), n)
    odds, wide = math.log(value / (1 - value)), 1.959964 * math.sqrt(variance) / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-max(-500.0, min(500.0, odds + k * wide)))) for k in (-1, 1))
    return Mean(value, low, high, n)


def mean_auc(probabilities: Tensor, y: Tensor) -> Mean:
    """The mean over the classes that occur of each against the rest; its variance is that of what each image adds."""
    n = len(y)
    known = [k for k in y.unique().tolist() if int((y == k).sum()) < n]
    if not known:
        return NONE
    adds, values = torch.zeros(n, dtype=torch.float64), list[float]()
    for k in known:
        has = y == k
        above, below = _places(probabilities[:, k].double(), has)
        values.append(float(above.mean()))
        adds[has] += (above - values[-1]) * (n / len(above))
        adds[~has] += (below - values[-1]) * (n / len(below))
    least = min(min(int((y == k).sum()), int((y != k).sum())) for k in known)
    value = sum(values) / len(values)
    return _within(value, float((adds / len(known)).square().mean()) / n, least, n)


def means_over_classes(label: Tensor, y: Tensor, classes: int, seed: int) -> tuple[Mean, Mean, Mean]:
    """Mean true-positive rate, false-positive rate and precision over the classes that occur.

    Intervals by drawing the table of true and told classes again and again.
    """
    known, place = torch.cat([y, label]).unique(return_inverse=True)
    k, n = len(known), len(y)
    true, told = place[:n], place[n:]
    del classes
    cells = true * k + told
    counts = torch.bincount(cells, minlength=k * k).double()
    values = _class_means(counts.view(1, k, k))[0]
    draws = min(DRAWS, max(100, AT_ONCE * 4 // (k * k)))
    drawn = torch.cat([_class_means(part.view(-1, k, k)) for part in _redrawn(cells, k * k, draws, seed)])
    found: list[Mean] = []
    for j in range(3):
        column = drawn[:, j][drawn[:, j].isfinite()]
        ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
        low, high = torch.quantile(column, ends).tolist() if len(column) else (math.nan, math.nan)
        found.append(Mean(float(values[j]), low, high, n))
    return found[0], found[1], found[2]


def _redrawn(cells: Tensor, size: int, draws: int, seed: int) -> list[Tensor]:
    """Counts of cells in sets of as many images drawn with return, some sets at a time: [d, size] each."""
    stream, n = torch.Generator().manual_seed(seed), len(cells)
    out: list[Tensor] = []
    for d in _chunks(draws, max(n, size)):
        picked = cells[torch.randint(n, (d, n), generator=stream)]
        picked = picked + size * torch.arange(d)[:, None]
        out.append(torch.bincount(picked.flatten(), minlength=d * size).view(d, size).double())
    return out


def _chunks(draws: int, n: int) -> list[int]:
    most = max(1, AT_ONCE // max(1, n))
    return [min(most, draws - start) for start in range(0, draws, most)]


def _class_means(counts: Tensor) -> Tensor:
    """From tables [D, true, told] the three means over classes with images: [D, 3]; what has no case is left out."""
    hit, own, said = counts.diagonal(dim1=1, dim2=2), counts.sum(2), counts.sum(1)
    rest = counts.sum((1, 2))[:, None] - own
    tpr, fpr, ppv = hit / own, (said - hit) / rest, hit / said
    here = own > 0
    parts = [torch.where(here, part, torch.nan).nanmean(1) for part in (tpr, fpr, ppv)]
    return torch.stack(parts, 1)


def calibration(sure: Tensor, right: Tensor, bins: int = BINS, seed: int = 0) -> tuple[Mean, float]:
    """The expected calibration error (Naeini et al., 2015), and what a calibrated network would show.

    Over bins of equal width, the mean distance between how sure the network is and how often it is right. It is above
    0 for the best of networks, the more so the fewer the images, so the second number is the median where each
    image is right with just the probability that was given.
    """
    n = len(sure)
    if not n:
        return NONE, math.nan
    place = (sure * bins).long().clamp(0, bins - 1)
    off = sure - right.double()
    value = float(_sums(place[None], off[None], bins).abs().sum() / n)
    stream = torch.Generator().manual_seed(seed)
    drawn, chance = list[Tensor](), list[Tensor]()
    for d in _chunks(DRAWS, n):
        rows = torch.randint(n, (d, n), generator=stream)
        drawn.append(_sums(place[rows], off[rows], bins).abs().sum(1) / n)
        dealt = sure - (torch.rand(d, n, generator=stream, dtype=torch.float64) < sure).double()
        chance.append(_sums(place.expand(d, n), dealt, bins).abs().sum(1) / n)
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.quantile(torch.cat(drawn), ends).tolist()
    return Mean(value, low, high, n), float(torch.cat(chance).median())


def _sums(place: Tensor, values: Tensor, bins: int) -> Tensor:
    """Values added up by bin: [D, N] -> [D, bins]."""
    return torch.zeros(len(place), bins, dtype=values.dtype).scatter_add(1, place, values)
