"""How well a model does on each group of images: each number with its n, its 95 % interval, its control."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import torch
from scipy.stats import chi2, fisher_exact, hypergeom
from torch import Tensor

from ..errors import InputError
from .discrimination import Quality, qualities
from .rates import Mean, Rate, newcombe, rate

LEAST = 30
"""A group of fewer images is shown in grey and not ranked."""
SHUFFLES = 200


class Told(NamedTuple):
    """What is known of every image: its label, what the model says of it, and whether it holds under attack."""

    y: Tensor
    label: Tensor
    probabilities: Tensor
    """[N, K]"""
    robust: Tensor
    """Right at the audited radius after every attack."""
    random: Tensor
    """Right after the worst of some random changes of that size."""

    @property
    def wrong(self) -> Tensor:
        return self.label != self.y


class Member(NamedTuple):
    """One group: what it is called, its error and its other qualities, and the same under attack."""

    name: str
    n: int
    error: Rate
    usual: tuple[float, float]
    """Between which errors 19 of 20 groups of this size lie that are drawn at random."""
    usual_robust: tuple[float, float]
    """Likewise of the share that is right under attack."""
    quality: Quality
    robust: Rate
    fooled: Rate
    """Of the images that are right to begin with, those that the attack turns."""
    random: Rate
    p: float
    """Of the error being that of all other images (Fisher's exact test)."""
    holm: float
    """The same corrected for all groups that were tested (Holm, 1979)."""
    holm_robust: float
    """Likewise of the accuracy under attack."""
    holm_tpr: float
    """Of the rate of true positives being that of all other images, corrected for every group's of both rates; NaN
    where the group has no positives."""
    holm_fpr: float
    """Likewise of false positives."""

    @property
    def few(self) -> bool:
        return self.n < LEAST


class Gap(NamedTuple):
    """The largest difference between two groups, and how large it is between groups drawn at random."""

    worst: str
    best: str
    gap: Mean
    """With an interval that holds whichever two groups it turns out to be."""
    chance: tuple[float, float]
    """The median, and what 19 of 20 reach at most, between random groups of the same sizes."""


class Attribute(NamedTuple):
    """One attribute, or several crossed, and its groups, the largest error first and small groups last."""

    name: str
    members: tuple[Member, ...]
    error: Gap | None
    """None where fewer than two groups are large enough."""
    robust: Gap | None


class Subgroups(NamedTuple):
    """All groups of one set of images."""

    n: int
    positive: int | None
    """The class that true and false positives are of; None: the mean over all classes."""
    attributes: tuple[Attribute, ...]
    tested: int

    @property
    def ranked(self) -> list[tuple[str, Member]]:
        """Groups that are large enough, with their attribute's name, the largest error first."""
        found = [(a.name, m) for a in self.attributes for m in a.members if not m.few]
        return sorted(found, key=lambda one: -one[1].error.value)

    @property
    def gap(self) -> Mean:
        """The largest gap between the errors of two groups of one attribute."""
        gaps = [a.error.gap for a in self.attributes if a.error is not None]
        return max(gaps, key=lambda gap: gap.mean) if gaps else Mean(0.0, 0.0, 1.0, 0)


def subgroups(
    told: Told, values: dict[str, Sequence[str]], positive: int | None = None, seed: int = 0
) -> Subgroups:
    """Every attribute's groups, then those of every combination of attributes."""
    known = told.y >= 0
    if not known.any():
        raise InputError("the data have no labels", "a group's error needs them")
    told = Told(*(part[known] for part in told))
    keep = known.tolist()
    kept = {name: [v for v, k in zip(vs, keep, strict=True) if k] for name, vs in values.items()}
    if positive is None and told.probabilities.shape[1] == 2:
        positive = 1
    crossed = {name: groups_of(kept, part) for part in parts_of(tuple(kept)) for name in [" × ".join(part)]}
    plain = {name: _members(told, where, positive, seed) for name, where in crossed.items()}
    corrected = _corrected(told, plain, crossed, positive)
    found = [_attribute(told, name, corrected[name], crossed[name], seed) for name in crossed]
    return Subgroups(len(told.y), positive, tuple(found), sum(not m.few for ms in plain.values() for m in ms))


def parts_of(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each attribute, then every combination of two and more."""
    return [part for size in range(1, len(names) + 1) for part in combinations(names, size)]


def groups_of(values: dict[str, list[str]], names: tuple[str, ...]) -> dict[str, Tensor]:
    """Which images are in each group that occurs: bool [N] by its name."""
    told = [", ".join(row) for row in zip(*(map(_word, values[name]) for name in names), strict=True)]
    return {value: torch.tensor([v == value for v in told]) for value in sorted(set(told))}


def _word(value: str) -> str:
    return value or "(unknown)"


def _members(told: Told, groups: dict[str, Tensor], positive: int | None, seed: int) -> list[Member]:
    return [_member(told, name, here, positive, seed) for name, here in groups.items()]


def _member(told: Told, name: str, here: Tensor, positive: int | None, seed: int) -> Member:
    wrong, n = told.wrong, int(here.sum())
    right = here & ~wrong
    quality = qualities(told.probabilities[here], told.label[here], told.y[here], positive, seed)
    return Member(
        name,
        n,
        rate(wrong[here]),
        usual(wrong, n),
        usual(told.robust, n),
        quality,
        rate(told.robust[here]),
        rate(~told.robust[right]),
        rate(told.random[here]),
        apart(wrong, here),
        *(1.0, 1.0, math.nan, math.nan),
    )


def usual(flags: Tensor, n: int) -> tuple[float, float]:
    """Between which shares of flags 19 of 20 sets of ``n`` images lie that are drawn from all of them."""
    low, high = hypergeom.interval(0.95, len(flags), int(flags.sum()), n)
    return float(low) / n, float(high) / n


def apart(flags: Tensor, here: Tensor) -> float:
    """The p value of the flags being as frequent in a group as in all other images (Fisher's exact test)."""
    if here.all():
        return 1.0
    table = [[int(flags[rows].sum()), int((~flags[rows]).sum())] for rows in (here, ~here)]
    return float(fisher_exact(table)[1])  # pyright: ignore[reportArgumentType]


def apart_in_strata(strata: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The p value of flags being as frequent in a group as elsewhere in every stratum (flags, which are the group's).

    Fisher's exact test of one stratum, of several that of Cochran, Mantel and Haenszel (1959); NaN where none has
    images on both sides.
    """
    known = [(flags, here) for flags, here in strata if here.any() and not here.all()]
    if len(known) < 2:
        return apart(*known[0]) if known else math.nan
    off, spread = 0.0, 0.0
    for flags, here in known:
        n, k, m = len(flags), int(flags.sum()), int(here.sum())
        off += float((flags & here).sum()) - k * m / n
        spread += k * (n - k) * m * (n - m) / (n * n * (n - 1))
    return float(chi2.sf(off**2 / spread, 1)) if spread else 1.0


def rates_apart(told: Told, here: Tensor, positive: int | None) -> tuple[float, float]:
    """P values of a group's rates of true and of false positives, of one class or of each within its own images."""
    classes = told.y.unique().tolist() if positive is None else [positive]
    said = [(told.y == k, told.label == k) for k in classes]
    return (
        apart_in_strata([(flags[has], here[has]) for has, flags in said]),
        apart_in_strata([(flags[~has], here[~has]) for has, flags in said]),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """P values corrected for being several (Holm, 1979)."""
    out, most = [1.0] * len(ps), 0.0
    for rank, k in enumerate(sorted(range(len(ps)), key=lambda k: ps[k])):
        most = max(most, min(1.0, (len(ps) - rank) * ps[k]))
        out[k] = most
    return out


def _corrected(
    told: Told, plain: dict[str, list[Member]], groups: dict[str, dict[str, Tensor]], positive: int | None
) -> dict[str, list[Member]]:
    """Each member with p values corrected for all groups of all attributes that are large enough."""
    tested = [(name, k) for name, ms in plain.items() for k, m in enumerate(ms) if not m.few]
    where = [groups[name][plain[name][k].name] for name, k in tested]
    error = holm([plain[name][k].p for name, k in tested])
    robust = holm([apart(told.robust, here) for here in where])
    rates = holm_known([p for here in where for p in rates_apart(told, here, positive)])
    out = {name: list(ms) for name, ms in plain.items()}
    for at, (name, k) in enumerate(tested):
        out[name][k] = out[name][k]._replace(
            holm=error[at], holm_robust=robust[at], holm_tpr=rates[2 * at], holm_fpr=rates[2 * at + 1]
        )
    return out


def holm_known(ps: Sequence[float]) -> list[float]:
    """``holm`` of those that are numbers; the others stay NaN."""
    corrected = iter(holm([p for p in ps if p == p]))
    return [next(corrected) if p == p else math.nan for p in ps]


def _attribute(
    told: Told, name: str, members: list[Member], groups: dict[str, Tensor], seed: int
) -> Attribute:
    ordered = sorted(members, key=lambda m: (m.few, -m.error.value))
    large = [m for m in ordered if not m.few]
    where = torch.stack([groups[m.name] for m in large]) if large else torch.zeros(0, len(told.y))
    gaps = [largest_gap([m.name for m in large], flags, where, seed) for flags in (told.wrong, ~told.robust)]
    return Attribute(name, tuple(ordered), *gaps)


def largest_gap(names: list[str], flags: Tensor, where: Tensor, seed: int = 0) -> Gap | None:
    """Between the shares of flags in groups: bool [G, N]. The control deals the flags out anew."""
    if len(names) < 2:
        return None
    rates = [rate(flags[here]) for here in where]
    worst = max(range(len(rates)), key=lambda k: rates[k].value)
    best = min(reversed(range(len(rates))), key=lambda k: rates[k].value)
    gap = gap_of(rates[worst], rates[best], len(rates))
    stream = torch.Generator().manual_seed(seed)
    weights = where.double() / where.double().sum(1, keepdim=True)
    dealt = torch.stack(
        [flags[torch.randperm(len(flags), generator=stream)] for _ in range(SHUFFLES)]
    ).double()
    shares = dealt @ weights.T
    spans = shares.amax(1) - shares.amin(1)
    return Gap(names[worst], names[best], gap, (float(spans.median()), float(spans.quantile(0.95))))


def gap_of(worst: Rate, best: Rate, groups: int) -> Mean:
    """The difference of two rates picked out of several groups, with an interval that holds for every pair at once."""
    pairs = groups * (groups - 1) // 2
    low, high = newcombe(worst, best, 0.05 / pairs)
    return Mean(worst.value - best.value, low, high, int(worst.n + best.n))


def as_numbers(found: Subgroups | None) -> dict[str, Any] | None:
    """Everything in names and numbers."""
    if found is None:
        return None
    return {
        "n": found.n,
        "positive": found.positive,
        "tested": found.tested,
        "gap": found.gap._asdict(),
        "attributes": {a.name: _attribute_numbers(a) for a in found.attributes},
    }


def _attribute_numbers(one: Attribute) -> dict[str, Any]:
    gaps = {"error": one.error, "robust": one.robust}
    told = {name: None if g is None else g._asdict() | {"gap": g.gap._asdict()} for name, g in gaps.items()}
    return {"largest_gap": told, "groups": [_member_numbers(m) for m in one.members]}


def _member_numbers(m: Member) -> dict[str, Any]:
    rates = {name: getattr(m, name).as_dict() for name in ("error", "robust", "fooled", "random")}
    means = {k: v._asdict() if isinstance(v, Mean) else v for k, v in m.quality._asdict().items()}
    return {**m._asdict(), **rates, "quality": means, "few": m.few}
