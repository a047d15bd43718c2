"""The page on a table of counts by group."""

import math

from ...analysis.counts import CountedGroup, Split, System
from ...analysis.groups import LEAST
from ...analysis.rates import percent
from ...data.counts import Counts
from ...show.groups import Bar, Dot, bar_chart, dot_plot
from ..page import Figure, Grid, Page, Section
from ..subgroups import CONTROL, between, chance, points


def groups_page(name: str, counts: Counts, found: tuple[System, ...], recipe: str) -> Page:
    return Page(
        f"Groups of {name}",
        sentence(found),
        [_bars(counts, found), *(_system(one) for one in found)],
        LIMITS + (ROUNDED if counts.rounded else ()),
        recipe,
        {"names": counts.names, "rounded": counts.rounded, "systems": [_numbers(one) for one in found]},
    )


LIMITS = (
    "A table of counts tells how often a system is wrong, not why, and nothing of groups that the table does not have.",
    "Intervals are those of images drawn independently: several images of one person make them too narrow.",
    "A difference from the rest is tested with all groups of a system together (Holm); that no difference is found "
    "does not show that there is none.",
)
ROUNDED = (
    "The counts were worked out from printed percentages: they are right to what was rounded away, and tests round "
    "them to whole images.",
)


def sentence(found: tuple[System, ...]) -> str:
    told: list[str] = []
    for system in found:
        split = widest(system)
        if split is None or split.gap is None:
            continue
        rates = {g.name: g.error for g in split.groups}
        worst = rates[split.gap.worst]
        name = f"{system.name}: " if system.name else ""
        told.append(
            f"{name}error {percent(worst.value)} [{percent(worst.low)}, {percent(worst.high)}] of {split.gap.worst}, "
            f"{percent(rates[split.gap.best].value)} of {split.gap.best}"
        )
    if not told:
        return f"No two groups have {LEAST} images: too few to compare."
    return "; ".join(told) + "."


def widest(system: System) -> Split | None:
    known = [split for split in system.splits if split.gap is not None]
    return max(known, key=lambda split: split.gap.gap.mean if split.gap else 0.0, default=None)


def _bars(counts: Counts, found: tuple[System, ...]) -> Section:
    """Every group of the table by every system, as the table has them."""
    finest = {one.name: {g.name: g for g in one.splits[-1].groups} for one in found}
    names = list(dict.fromkeys(name for groups in finest.values() for name in groups))
    blank = (math.nan, math.nan, math.nan)
    bars = [
        Bar(
            one.name or "all",
            [finest[one.name][g].error.interval if g in finest[one.name] else blank for g in names],
            [finest[one.name][g].usual if g in finest[one.name] else (0.0, 0.0) for g in names],
        )
        for one in found
    ]
    sizes = {g: groups[g].error.n for groups in finest.values() for g in groups}
    drawn = bar_chart([f"{g}\nn = {sizes[g]}" for g in names], bars, "error")
    return Section(
        "Error by group",
        f"{' × '.join(counts.names)}, per cent wrong, with 95 % Wilson intervals.",
        [Figure("bars", drawn, "Lines are intervals; numbers are per cent.", CONTROL)],
    )


def _system(one: System) -> Section:
    figures = [
        Figure(
            f"{one.name or 'all'}-{split.name}".replace(" × ", "-").replace(" ", "-").replace("/", "-"),
            dot_plot(
                [Dot(g.name, g.error.interval, g.usual, g.few) for g in split.groups],
                "error",
                one.error.value,
            ),
            f"By {split.name}; dotted, all images: {one.error}.",
            CONTROL,
        )
        for split in one.splits
    ]
    grids = [
        Grid(
            f"By {split.name}",
            ["group", "n", "wrong", "error", "random groups of that size", "differs from the rest"],
            [_row(g) for g in split.groups],
            {k for k, g in enumerate(split.groups) if g.few},
        )
        for split in one.splits
    ]
    gaps = [
        f"By {split.name} errors lie up to {points(split.gap.gap)} apart, between {between(split.gap)}; "
        f"{chance(split.gap)}."
        for split in one.splits
        if split.gap is not None
    ]
    return Section(one.name or "All images", " ".join(gaps), figures, grids)


def _row(g: CountedGroup) -> list[str]:
    usual = f"{100 * g.usual[0]:.1f} to {100 * g.usual[1]:.1f} %"
    wrong = f"{g.error.k:.1f}".removesuffix(".0")
    p = "< 0.001" if g.holm < 0.001 else f"= {g.holm:.3f}"
    differs = "few" if g.few else f"{'yes' if g.holm < 0.05 else 'no'}, p {p}"
    return [g.name, str(g.error.n), wrong, f"{g.error.brief} %", usual, differs]


def _numbers(one: System) -> dict[str, object]:
    return {
        "name": one.name,
        "error": one.error.as_dict(),
        "splits": [
            {
                "by": split.name,
                "groups": [g._asdict() | {"error": g.error.as_dict(), "few": g.few} for g in split.groups],
                "largest_gap": None
                if split.gap is None
                else split.gap._asdict() | {"gap": split.gap.gap._asdict()},
            }
            for split in one.splits
        ],
    }
