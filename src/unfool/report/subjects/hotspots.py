"""The page on false positives: where their hot spots are, and what is left of them without the artefact."""

from collections.abc import Sequence

from PIL import Image

from ...analysis.hotspots import Case, Reviewed
from ...analysis.rates import Mean, Rate
from ...analysis.sanity import Badge
from ...show.grades import badged
from ...show.heat import overlay, spanned
from ...show.lines import Series, lines
from ...show.pixels import circled
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


def hotspots_page(found: Reviewed) -> Page:
    return Page(
        f"False positives of {found.plan.model} over {found.plan.data}",
        sentence(found),
        [_groups(found), _pictures(found), _spots(found), _removed(found)],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "That a hot spot is on the artefact does not show that the model uses it, and one beside it not that it does not: "
    "only taking it out does.",
    "The artefact is taken out as the data mark it and filled in smoothly from around it; what else comes with "
    "it, such as the illness it is there for, stays.",
    "Rates are those of images in which the data mark the artefact; unmarked ones count as without it.",
)


def sentence(found: Reviewed) -> str:
    edit, groups = found.removed["false positives"], found.groups
    with_it, without = (groups[f"negative, {how} the artefact"] for how in ("with", "without"))
    best = max(found.spots[: len(found.plan.methods)], key=lambda spot: spot.hit.value)
    return (
        f"Of images without the finding {100 * with_it.value:.1f} % are right with the artefact and "
        f"{100 * without.value:.1f} % without it. Taking it out clears {100 * edit.changed['cue'].value:.1f} % of "
        f"{edit.changed['cue'].n} false positives that have it, the same shape elsewhere "
        f"{100 * edit.changed['elsewhere'].value:.1f} %; the hot spot of {best.name} is on it in "
        f"{100 * best.hit.value:.1f} %."
    )


def _groups(found: Reviewed) -> Section:
    rows = [[name, _told(r)] for name, r in found.groups.items()]
    return Section(
        "Right and wrong by finding and artefact",
        f"The finding is class {class_name(found.classes, found.plan.target)}; positives are labelled so.",
        tables=[Grid("", ["images", "right"], rows)],
    )


def _pictures(found: Reviewed) -> Section:
    return Section(
        "A positive case and false ones",
        "The circle is the strongest position of each map; its band says whether such maps depend on what the network "
        "learned. Under the last two, the probability of the finding without the artefact, and with the same shape "
        "taken out elsewhere.",
        [
            Figure(
                "cases",
                cases(found),
                "The first row is a true positive.",
                "the last column, the same shape taken out elsewhere",
            )
        ],
    )


SIDE = 144
"""How wide a picture is: enough for the words of a badge."""


def cases(found: Reviewed) -> Image.Image:
    titles = ["image", *(type(m).__name__ for m in found.plan.methods), "artefact out", "control"]
    rows = [("positive", found.positive)] if found.positive else []
    every = [*rows, *((f"false {k + 1}", case) for k, case in enumerate(found.false))]
    return sheet(titles, [(name, _row(case, found.badges)) for name, case in every], side=SIDE)


def _row(case: Case, signs: Sequence[Badge]) -> list[Cell]:
    told = [f"{100 * p:.0f} %" for p in case.chance]
    marked = case.image.mean(0, keepdim=True)
    maps = [
        Cell(badged(circled(overlay(marked, heat), hot), sign.verdict, sign.brief, SIDE), [spanned(heat)])
        for heat, hot, sign in zip(case.maps, case.hot, signs, strict=True)
    ]
    changed = bool(case.mask.any())
    return [
        Cell(case.image, [told[0]]),
        *maps,
        Cell(case.without, [told[1] if changed else "no artefact"], changed and case.chance[1] < 0.5),
        Cell(case.control, [told[2] if changed else ""], changed and case.chance[2] < 0.5),
    ]


def _spots(found: Reviewed) -> Section:
    rows = [[s.name, _told(s.hit), _mean(s.overlap), _mean(found.area)] for s in found.spots]
    places = list(range(len(found.spots)))
    hits, area = [s.hit for s in found.spots], [found.area.mean] * len(found.spots)
    low, high = [h.low for h in hits], [h.high for h in hits]
    series = [
        Series("strongest position on it", places, [h.value for h in hits], low, high, "dots"),
        Series(
            "share of the hot region on it",
            [p + 0.12 for p in places],
            [s.overlap.mean for s in found.spots],
            [s.overlap.low for s in found.spots],
            [s.overlap.high for s in found.spots],
            "dots",
        ),
        Series("the artefact's share of the image", places, area, style="dashes", colour=6),
    ]
    names = [s.name.split("(")[0] for s in found.spots]
    drawn = lines(series, "", "share", share=True, ticks=places, names=names, width=8.8)
    return Section(
        "Hot spots of the false positives",
        f"Of {found.spots[0].hit.n} false positives with the artefact: how often a map's strongest position is on it, "
        f"at most {found.plan.tolerance} pixels beside it, and the share of the hot region (Otsu's threshold) that is.",
        [
            Figure(
                "spots",
                drawn,
                "With 95 % intervals.",
                "brightness and random numbers, which know nothing of the network; dashed, what a random place hits",
            )
        ],
        [
            Grid(
                "",
                ["map", "strongest position on it", "share of the region", "artefact's share of the image"],
                rows,
            )
        ],
    )


def _removed(found: Reviewed) -> Section:
    rows = [
        [name, *(_told(r) for r in edit.changed.values()), _points(edit.decides)]
        for name, edit in found.removed.items()
    ]
    scores = [[name, *(_mean(one) for one in score)] for name, score in found.score.items()]
    return Section(
        "Without the artefact",
        "Images that have it and are taken for the finding: how many are no more, and its mean probability. "
        "Controls: the same shape at a random position, and as many pixels anywhere.",
        tables=[
            Grid(
                "No more taken for the finding",
                ["", "artefact out", "elsewhere", "scattered", "more than elsewhere"],
                rows,
            ),
            Grid("Probability of the finding", ["", "as it is", "artefact out", "elsewhere"], scores),
        ],
    )


def _told(r: Rate) -> str:
    return f"{r.brief} % of {r.n}" if r.n else "no image"


def _mean(m: Mean) -> str:
    return f"{100 * m.mean:.1f} [{100 * m.low:.1f}–{100 * m.high:.1f}] %" if m.n else "no image"


def _points(d: tuple[float, float, float]) -> str:
    return f"{100 * d[0]:+.1f} points ({100 * d[1]:.1f} to {100 * d[2]:.1f})"


def numbers(found: Reviewed) -> dict[str, object]:
    return {
        "badges": {sign.method: sign.as_dict() for sign in found.badges},
        "groups": {name: r.as_dict() for name, r in found.groups.items()},
        "artefact_area": found.area._asdict(),
        "hot_spots": {s.name: {"hit": s.hit.as_dict(), "overlap": s.overlap._asdict()} for s in found.spots},
        "removed": {
            name: {place: r.as_dict() for place, r in edit.changed.items()}
            for name, edit in found.removed.items()
        },
        "probability": {
            name: dict(zip(("before", "removed", "elsewhere"), [m._asdict() for m in score], strict=True))
            for name, score in found.score.items()
        },
        "shown": [case.id for case in (*((found.positive,) if found.positive else ()), *found.false)],
    }
