"""The page on what theory allows: how many images must be near a boundary, and when that says nothing."""

from ...analysis.inevitable import Curve, Density, Shown
from ...show.lines import Series, lines
from ..page import Figure, Grid, Page, Section

AXES = {
    "sphere": "angle",
    "L2": "L2 distance",
    "Linf": "Linf distance",
    "L1": "L1 distance",
    "L0": "positions changed",
}
SPACES = {
    "sphere": "The unit sphere",
    "L2": "The cube in L2",
    "Linf": "The cube in Linf",
    "L1": "The cube in L1",
    "L0": "The cube, positions changed",
}


def bounds_page(found: Shown) -> Page:
    return Page(
        "Are adversarial examples inevitable?",
        sentence(found),
        [_curves(found), _density(found), _values(found)],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "Nothing about any data set: the density U of natural images, relative to the uniform one, is unknown and "
    "astronomically large, and for U beyond the limits in the table the bound is empty.",
    "A bound is on wrong or nearly wrong images of one class that is given at most half "
    "of the space; it says nothing "
    "of the other classes.",
    "In Linf the cube's bound does not grow with the number of dimensions; half-spaces do "
    "far worse than it says.",
    "Monte-Carlo cannot prove a bound. Sphere: compared with exact caps, which are "
    "extreme. Cube and sparse: proved in "
    "unfool.analysis.bounds.",
)


def sentence(found: Shown) -> str:
    held = sum(curve.holds for curve in found.curves)
    least = min(one.decades for one in found.classes)
    return (
        "Of the thinnest classes there can be, even a classifier that is never wrong has as "
        "many images near the boundary "
        f"as the bounds promise ({held} of {len(found.curves)} curves lie above); for real "
        f"digits, at least 10^{least:.0f} "
        "times denser, the bounds promise nothing."
    )


def _curves(found: Shown) -> Section:
    figures: list[Figure] = []
    for space in AXES:
        some = [curve for curve in found.curves if curve.space == space]
        for classifier in dict.fromkeys(curve.classifier for curve in some):
            figures.append(_figure(space, classifier, [c for c in some if c.classifier == classifier]))
    return Section(
        "Half-spaces that are never wrong",
        f"A class that fills one half of the space evenly (density {found.plan.density:g} "
        "times uniform) and a half-space "
        f"that is right about all of it. Share of {found.plan.points} points within a distance "
        "of the boundary, with 95 % "
        "Wilson intervals, and under it what the theorem promises for any classifier "
        "(dashed). On the sphere the "
        "half-space is the worst case; in the cube the single pixel touches the bound at 0.",
        figures,
    )


def _figure(space: str, classifier: str, curves: list[Curve]) -> Figure:
    series: list[Series] = []
    grows = space in ("sphere", "L1", "L0")
    for k, curve in enumerate(curves):
        near = curve.near
        series.append(
            Series(
                f"d = {curve.d}",
                curve.eps,
                [r.value for r in near],
                [r.low for r in near],
                [r.high for r in near],
                colour=k,
            )
        )
        if grows or k == len(curves) - 1:
            name, colour = (f"bound, d = {curve.d}", k) if grows else ("bound, any d", 6)
            shares = [bound.share for bound in curve.bound]
            series.append(Series(name, curve.eps, shares, style="dashes", colour=colour))
    told = {
        "equator": "one coordinate above 0",
        "mean": "mean above 1/2",
        "one pixel": "one pixel above 1/2",
    }[classifier]
    drawn = lines(series, AXES[space], "share of the class", share=True, width=6.4, height=3.2)
    name = f"{space}-{classifier.replace(' ', '-')}".lower()
    return Figure(name, drawn, f"{SPACES[space]}: {told}.", "the measured half-space above each bound")


def _density(found: Shown) -> Section:
    rows = [
        [space, f"{eps:.4g}", f"{d}", f"10^{decades:.1f}" if decades else "always"]
        for space, eps, d, decades in found.limits
    ]
    limits = Grid("The bound is empty for a density from", ["region", "eps", "d", "U"], rows)
    classes = [
        [one.name, f"{one.n}", f"{one.constant} of 64", f"10^{one.decades:.1f}"] for one in found.classes
    ]
    dense = Grid(
        "How dense a class of 8x8 digits is at least",
        ["digit", "images", "pixels that never change", "U, of the others"],
        classes,
    )
    return Section(
        "When the bounds say nothing",
        "U is the class's largest density relative to the uniform one. Below: the U from "
        "which on each bound is empty, and "
        "the least U of real classes: that of an even class in the smallest box that holds "
        "its images. Pixels that never "
        "change make it infinite; they are left out. Real classes fill next to nothing of "
        "their box, so the true U is larger "
        "by far.",
        tables=[limits, dense],
    )


def _values(found: Shown) -> Section:
    rows = [
        [
            f"{curve.space}, {curve.classifier}",
            f"{curve.d}",
            *(
                f"{curve.eps[k]:.3g}: {curve.near[k].value:.3f} ≥ {_told(curve, k)}"
                for k in (len(curve.eps) // 4, len(curve.eps) // 2, len(curve.eps) - 1)
            ),
            "yes" if curve.holds else "no",
        ]
        for curve in found.curves
    ]
    header = ["space, classifier", "d", "a quarter of the way", "half", "at the end", "above everywhere"]
    return Section(
        "Measured against promised", "Distance: measured share ≥ bound.", tables=[Grid("", header, rows)]
    )


def _told(curve: Curve, k: int) -> str:
    return "vacuous" if curve.bound[k].vacuous else f"{curve.bound[k].share:.3f}"


def numbers(found: Shown) -> dict[str, object]:
    return {
        "points": found.plan.points,
        "curves": [_curve(curve) for curve in found.curves],
        "classes": [_class(one) for one in found.classes],
        "vacuous_from": [
            {"region": space, "eps": eps, "d": d, "log10_density": decades}
            for space, eps, d, decades in found.limits
        ],
    }


def _curve(curve: Curve) -> dict[str, object]:
    places = [
        {"eps": eps, "near": near.as_dict(), "bound": bound.share, "vacuous": bound.vacuous}
        for eps, near, bound in zip(curve.eps, curve.near, curve.bound, strict=True)
    ]
    return {
        "space": curve.space,
        "classifier": curve.classifier,
        "d": curve.d,
        "holds": curve.holds,
        "at": places,
    }


def _class(one: Density) -> dict[str, object]:
    return one._asdict()
