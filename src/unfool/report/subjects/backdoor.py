"""The page of a scan for backdoors: each class's smallest trigger, and what the scan is worth."""

from ...analysis.backdoor import Class, Scan, Told, indices, spread_of
from ...analysis.rates import percent
from ...show.sheet import Cell, sheet
from ...show.triggers import index_dots, size_bars
from ..page import Figure, Grid, Page, Section, class_name

SHOWN = 10
"""Triggers in a row of the sheet."""


def backdoor_page(found: Told, classes: tuple[str, ...]) -> Page:
    sections = [_sizes(found, classes), _triggers(found, classes), _worth(found)]
    return Page(
        f"Triggers of {found.own.address}",
        sentence(found, classes),
        [s for s in sections if s is not None],
        LIMITS,
        repr(found.scanned.plan),
        numbers(found),
    )


LIMITS = (
    "A suspect is no proof: some classes are easy to reach without anybody's doing, and the more classes, the more "
    "often one stands out by chance. How often, the clean networks tell.",
    "No suspect is no proof either: triggers that are large, spread over the image, different from image to image or "
    "for one source class alone are not small for all images.",
    "The trigger found is one that works, which need not look like the one that was planted.",
)


def sentence(found: Told, classes: tuple[str, ...]) -> str:
    own = found.own
    middle, _ = spread_of(own.sizes)
    if own.suspects:
        first = next(c for c in found.classes if c.label == own.suspects[0])
        text = (
            f"Class {class_name(classes, first.label)} has a trigger of {first.size:.1f} pixels where the median class "
            f"needs {middle:.1f} (anomaly index {first.anomaly:.1f}), at {_place(first)}: a backdoor is suspected."
        )
    else:
        text = f"No class of {len(found.classes)} has a trigger that stands out from the median of {middle:.1f} pixels."
    if found.false.n or found.hit.n:
        text += (
            f" Of networks whose truth is known the scan names the planted class in {found.hit.k} of {found.hit.n} and "
            f"suspects one in {found.false.k} of {found.false.n} clean ones."
        )
    return text


def _place(one: Class) -> str:
    top, left, bottom, right = one.box
    return f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"


def _sizes(found: Told, classes: tuple[str, ...]) -> Section:
    own, plan = found.own, found.scanned.plan
    middle, wide = spread_of(own.sizes)
    names = [class_name(classes, c.label) for c in found.classes]
    suspects = [c.label in own.suspects for c in found.classes]
    drawn = size_bars(names, own.sizes.tolist(), suspects, middle, wide, plan.index)
    rows = [
        [
            name,
            f"{c.size:.1f}",
            f"{c.anomaly:.1f}" + (" below" if c.size < middle else " above"),
            c.turned.brief,
            c.random.brief,
            str(c.turned.n),
            _place(c),
            "suspected" if suspect else "" if c.works else "no trigger found",
        ]
        for name, c, suspect in zip(names, found.classes, suspects, strict=True)
    ]
    header = ["class", "pixels", "anomaly index", "turned", "noise in its place", "n", "where", ""]
    return Section(
        "How much of the image a trigger needs",
        f"For each class {plan.trigger!r} looks for the smallest mask and pattern that turn others to it. A class "
        f"is suspected whose trigger is smaller than the median by more than {plan.index:g} standard deviations (from "
        "the median distance). Turned are images that the trigger was not sought on, per cent with 95 % intervals, as "
        "8-bit files.",
        [
            Figure(
                "sizes",
                drawn,
                "The band is where no class stands out.",
                "the other classes, whose median is dotted",
            )
        ],
        [Grid("", header, rows)],
    )


def _triggers(found: Told, classes: tuple[str, ...]) -> Section | None:
    if found.classes[0].picture.ndim != 3:
        return None
    order = sorted(found.classes, key=lambda c: c.size)[:SHOWN]
    triggers = [
        Cell(
            c.picture,
            [class_name(classes, c.label), f"{c.size:.1f} px, {c.anomaly:.1f}"],
            c.label in found.own.suspects,
        )
        for c in order
    ]
    table = found.scanned.tables
    put = [
        Cell(
            table[f"trigger-{c.label}"]["adversarial"][_first(found, c)] / 255,
            [f"{percent(c.turned.value)} turned"],
        )
        for c in order
    ]
    noise = [
        Cell(
            table[f"random-{c.label}"]["adversarial"][_first(found, c)] / 255,
            [f"{percent(c.random.value)} turned"],
        )
        for c in order
    ]
    rows = [("trigger", triggers), ("on an image", put), ("noise in its place", noise)]
    return Section(
        "What they look like",
        "The smallest first, on grey as far as they cover; then on an image, and noise in the same place.",
        [
            Figure(
                "triggers",
                sheet([""] * len(order), rows, side=96),
                "The suspects' names in another colour; n and intervals are in the table above.",
                "noise in the same place",
            )
        ],
    )


def _first(found: Told, one: Class) -> int:
    """The first image that is not of the class to begin with."""
    table = found.scanned.tables[f"trigger-{one.label}"]
    rows = table.fair.nonzero()[:, 0].tolist()
    return rows[0] if rows else 0


def _worth(found: Told) -> Section | None:
    if not found.clean and not found.planted:
        return None
    kinds = {
        "this one": indices([found.own]),
        "clean": indices(found.clean),
        "planted": indices(found.planted),
    }
    rows = [[*_row(s, "clean")] for s in found.clean] + [[*_row(s, str(s.truth))] for s in found.planted]
    rates = [
        ["clean networks with a suspect", str(found.false)],
        ["planted class is the first suspect", str(found.hit)],
        ["trigger of the planted class in its place", str(found.place)],
    ]
    drawn = index_dots({k: v for k, v in kinds.items() if v}, found.scanned.plan.index)
    return Section(
        "What the scan is worth",
        "The same scan of networks whose truth is known: without a backdoor, and with one whose trigger is a small "
        "square.",
        [
            Figure(
                "known",
                drawn,
                "One dot a network; dotted, from where a class is suspected.",
                "clean networks",
            )
        ],
        [
            Grid("", ["", "rate"], rates),
            Grid(
                "",
                ["network", "truth", "smallest", "pixels", "anomaly index", "suspects", "in its place"],
                rows,
            ),
        ],
    )


def _row(scan: Scan, truth: str) -> list[str]:
    k = int(scan.sizes.argmin())
    near = "" if scan.near is None else "yes" if scan.near else "no"
    suspects = ", ".join(map(str, scan.suspects)) or "none"
    told = [
        str(scan.smallest),
        f"{float(scan.sizes[k]):.1f}",
        f"{float(scan.anomaly[k]):.1f}",
        suspects,
        near,
    ]
    return [scan.address, truth, *told]


def numbers(found: Told) -> dict[str, object]:
    return {
        "suspects": found.own.suspects,
        "classes": [
            {
                "class": c.label,
                "pixels": c.size,
                "index": c.anomaly,
                "works": c.works,
                "turned": c.turned.as_dict(),
                "noise": c.random.as_dict(),
                "box": c.box,
            }
            for c in found.classes
        ],
        "false_alarms": found.false.as_dict(),
        "found": found.hit.as_dict(),
        "in_place": found.place.as_dict(),
        "known": [
            {"address": s.address, "truth": s.truth, "suspects": s.suspects, "sizes": s.sizes.tolist()}
            for s in (*found.clean, *found.planted)
        ],
    }
