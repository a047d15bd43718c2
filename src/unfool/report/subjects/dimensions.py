"""The page on dimensions: the linear unit, and what more of them do to two kinds of data."""

from ...analysis.dimensions import Measured, Trend, Unit
from ...analysis.rates import Mean
from ...show.lines import Series, lines
from ..page import Figure, Grid, Page, Section


def dimensions_page(found: Measured) -> Page:
    return Page(
        "Do more dimensions make a classifier easier to fool?",
        sentence(found),
        [_unit(found), _data(found), _rates(found)],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "Two kinds of data, chosen because they lie at the two ends; photographs lie somewhere between.",
    "Radii on digits are those PGD found: upper bounds. On Gaussian data they are exact.",
    "One unit: a layer's Jacobian is a matrix, and x + eps W then has no meaning.",
    "Intervals are over seeds of training and data, few of them.",
)


def sentence(found: Measured) -> str:
    best, real = found.gaussian[0], found.digits[-1]
    return (
        "Where every dimension brings a signal of its own, the Linf radius that flips falls "
        f"as d^{best.slope.mean:.2f}; "
        f"on digits repeated over ever more pixels it hardly does (d^{real.slope.mean:.2f}), "
        "so it is independent signals that count, not pixels."
    )


def _unit(found: Measured) -> Section:
    d = [unit.d for unit in found.units]
    series = [
        Series("eps sign(w), measured", d, [u.sign for u in found.units], style="dots"),
        Series("eps ||w||₁", d, [u.sign_formula for u in found.units], style="dashes", colour=0),
        Series(
            "L2 length of eps sign(w), measured", d, [u.length for u in found.units], style="dots", colour=2
        ),
        Series(
            "eps √d" if found.plan.law != "sparse" else "eps √(weights not 0)",
            d,
            [u.length_formula for u in found.units],
            style="dashes",
            colour=2,
        ),
        Series("random signs, measured", d, [u.random for u in found.units], style="dots", colour=1),
        Series("eps ||w||₂", d, [u.random_formula for u in found.units], style="dashes", colour=1),
    ]
    drawn = lines(series, "number of inputs d", "change of w·x, or length", log=True, ticks=d, width=8.4)
    return Section(
        "One linear unit",
        f"y = w·x, weights drawn {found.plan.law}, every input changed by at most "
        f"{found.plan.eps:g}. Dots are measured "
        f"by making the change ({found.plan.draws} random sign patterns, root mean square), "
        "lines are the formulas.",
        [
            Figure(
                "unit",
                drawn,
                "The sign of w adds up, random signs cancel.",
                "random signs of equal size",
            )
        ],
        [_unit_table(found.units)],
    )


def _unit_table(units: tuple[Unit, ...]) -> Grid:
    header = [
        "d",
        "w·η",
        "eps ||w||₁",
        "||η||₂",
        "formula",
        "random, rms",
        "eps ||w||₂",
        "sign against random",
    ]
    rows = [[f"{u.d}", *(f"{v:.4g}" for v in u[1:]), f"× {u.sign / u.random:.3g}"] for u in units]
    return Grid("", header, rows)


def _data(found: Measured) -> Section:
    return Section(
        "The change that flips, on two kinds of data",
        "First, Gaussian features that are each a little informative, the best possible "
        "accuracy the same for all d. "
        "Then 8x8 digits with every pixel repeated, networks trained anew at each size. Bands "
        "are 95 % over seeds.",
        [
            Figure(
                "gaussian",
                _chart(found.gaussian),
                "Independent informative features.",
                "slopes -1/2 and 0 from the first point, dotted",
            ),
            Figure(
                "digits",
                _chart(found.digits),
                "The same digits on finer grids.",
                "slopes -1/2 and 0 from the first point, dotted",
            ),
        ],
    )


def _chart(trends: tuple[Trend, ...]) -> str:
    series: list[Series] = []
    for k, trend in enumerate(trends):
        for c, (norm, values) in enumerate((("Linf", trend.linf), ("L2", trend.l2))):
            parts = ([e.mean for e in values], [max(e.low, 1e-9) for e in values], [e.high for e in values])
            series.append(
                Series(
                    f"{norm}, {trend.name}",
                    trend.d,
                    *parts,
                    style="line" if k == 0 else "dashes",
                    colour=c + 2 * k,
                )
            )
    first = trends[0]
    start = first.d[0], first.linf[0].mean
    series.append(
        Series(
            "slope -1/2",
            first.d,
            [start[1] * (d / start[0]) ** -0.5 for d in first.d],
            style="control",
            colour=6,
        )
    )
    series.append(Series("slope 0", first.d, [start[1]] * len(first.d), style="control", colour=6))
    return lines(
        series, "dimensions d", "median radius that flips", log=True, ticks=first.d, width=7.6, height=4
    )


def _rates(found: Measured) -> Section:
    trends = [*found.gaussian, *found.digits]
    kinds = ["Gaussian"] * len(found.gaussian) + ["digits"] * len(found.digits)
    header = ["", "slope, Linf", "slope, L2", "Linf radius × √d"]
    rows = [
        [f"{kind}, {t.name}", told(t.slope), told(t.slope_l2), ", ".join(f"{e.mean:.2f}" for e in t.product)]
        for kind, t in zip(kinds, trends, strict=True)
    ]
    grids = [
        Grid(
            f"{kind}, {t.name}",
            ["d", "median Linf", "median L2", "Linf × √d", "accuracy"],
            [
                [f"{d}", *(told(part[k]) for part in (t.linf, t.l2, t.product, t.accuracy))]
                for k, d in enumerate(t.d)
            ],
        )
        for kind, t in zip(kinds, trends, strict=True)
    ]
    text = "Mean over seeds with its 95 % interval by Student's t; slopes by least squares on logarithms."
    return Section("Slopes and radii", text, tables=[Grid("", header, rows), *grids])


def told(one: Mean) -> str:
    return f"{one.mean:.3g} ({one.low:.3g} to {one.high:.3g})" if one.n > 1 else f"{one.mean:.3g} (one seed)"


def numbers(found: Measured) -> dict[str, object]:
    return {
        "linear_unit": [unit._asdict() for unit in found.units],
        "gaussian": [_trend(t) for t in found.gaussian],
        "digits": [_trend(t) for t in found.digits],
    }


def _trend(one: Trend) -> dict[str, object]:
    rows = {name: [e._asdict() for e in getattr(one, name)] for name in ("linf", "l2", "accuracy", "product")}
    slopes = {name: getattr(one, name)._asdict() for name in ("slope", "slope_l2")}
    return {"name": one.name, "d": one.d, **rows, **slopes}
