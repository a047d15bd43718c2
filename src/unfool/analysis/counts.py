"""Groups of a printed table: the intervals it came without, and whether its groups differ by more than chance."""

from typing import NamedTuple

import numpy as np
from scipy.stats import fisher_exact, hypergeom

from ..data.counts import Counted, Counts
from .groups import LEAST, Gap, gap_of, holm, parts_of
from .rates import Rate, wilson

DRAWS = 2000


class CountedGroup(NamedTuple):
    """One group of one system."""

    name: str
    error: Rate
    usual: tuple[float, float]
    """Between which errors 19 of 20 groups of this size lie that are drawn at random."""
    p: float
    holm: float

    @property
    def few(self) -> bool:
        return self.error.n < LEAST


class Split(NamedTuple):
    """A system's groups by one attribute or several crossed, in the order of the table."""

    name: str
    groups: tuple[CountedGroup, ...]
    gap: Gap | None


class System(NamedTuple):
    """One system of the table."""

    name: str
    error: Rate
    splits: tuple[Split, ...]


def share(k: float, n: int) -> Rate:
    return Rate(k, n, *wilson(k / n, n))


def systems(counts: Counts, seed: int = 0) -> tuple[System, ...]:
    """Each system by every attribute and by all their combinations, tests corrected for all of its groups."""
    names = list(dict.fromkeys(row.system for row in counts.rows))
    return tuple(_system(counts, name, seed) for name in names)


def _system(counts: Counts, name: str, seed: int) -> System:
    rows = [row for row in counts.rows if row.system == name]
    n, wrong = sum(row.n for row in rows), sum(row.wrong for row in rows)
    splits = [_split(counts.names, part, rows) for part in parts_of(counts.names)]
    splits = [(label, groups) for label, groups in splits if len(groups) > 1]
    tested = [(i, k) for i, (_, gs) in enumerate(splits) for k, g in enumerate(gs) if not g.few]
    for (i, k), p in zip(tested, holm([splits[i][1][k].p for i, k in tested]), strict=True):
        splits[i][1][k] = splits[i][1][k]._replace(holm=p)
    found = [Split(label, tuple(groups), _gap(groups, seed)) for label, groups in splits]
    return System(name, share(wrong, n), tuple(found))


def _split(
    names: tuple[str, ...], part: tuple[str, ...], rows: list[Counted]
) -> tuple[str, list[CountedGroup]]:
    places = [names.index(name) for name in part]
    sums: dict[str, tuple[int, float]] = {}
    for row in rows:
        key = ", ".join(row.group[k] or "(unknown)" for k in places)
        n, wrong = sums.get(key, (0, 0.0))
        sums[key] = n + row.n, wrong + row.wrong
    total, bad = sum(row.n for row in rows), round(sum(row.wrong for row in rows))
    return " × ".join(part), [_group(name, n, k, total, bad) for name, (n, k) in sums.items()]


def _group(name: str, n: int, wrong: float, total: int, bad: int) -> CountedGroup:
    k = round(wrong)
    low, high = hypergeom.interval(0.95, total, bad, n)
    rest = [[k, n - k], [max(0, bad - k), max(0, total - n - bad + k)]]
    p = float(fisher_exact(rest)[1]) if total > n else 1.0  # pyright: ignore[reportArgumentType]
    return CountedGroup(name, share(wrong, n), (float(low) / n, float(high) / n), p, 1.0)


def _gap(groups: list[CountedGroup], seed: int) -> Gap | None:
    """The largest, and that of wrong images dealt to the groups at random."""
    large = [g for g in groups if not g.few]
    if len(large) < 2:
        return None
    worst, best = max(large, key=lambda g: g.error.value), min(large, key=lambda g: g.error.value)
    sizes, bad = [g.error.n for g in large], round(sum(g.error.k for g in large))
    dealt = np.random.default_rng(seed).multivariate_hypergeometric(sizes, bad, DRAWS) / np.array(sizes)
    spans = dealt.max(1) - dealt.min(1)
    chance = (float(np.median(spans)), float(np.quantile(spans, 0.95)))
    return Gap(worst.name, best.name, gap_of(worst.error, best.error, len(large)), chance)
