"""The page on straight lines and planes through images."""

from ...analysis.directions import Lines, Studied
from ...analysis.rates import Mean, Rate
from ...show.image import class_colours, enlarged
from ...show.lines import Radii, Series, lines, radius_histogram
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section
from .along import line_figures


def directions_page(found: Studied) -> Page:
    return Page(
        f"Directions through images of {found.plan.data}, seen by {found.plan.model}",
        sentence(found),
        [_lines(found), _planes(found), _flips(found), _draws(found)],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "That adversarial images form continuous manifolds: flipped images are contiguous "
    "along the gradient direction in "
    "the plotted slice, which is all that one- and two-dimensional slices can show.",
    "That random changes are harmless: of enough draws one flips the image, the sooner "
    "the fewer pixels there are.",
    "First flips along one fixed direction are not the smallest changes; an attack that "
    "turns finds smaller ones.",
    "Directions are those of one model; another model's gradient points elsewhere.",
)


def sentence(found: Studied) -> str:
    sign, random = found.along[0], found.along[1]
    return (
        f"Along the sign of the gradient half of the images flip by {sign.median:.2g}, along random signs by "
        f"{random.median:.2g} ({100 * random.never.value:.0f} % never do): a ratio of "
        f"{found.ratio:.1f} in {found.d} "
        f"dimensions (√d = {found.d**0.5:.1f})."
    )


def _lines(found: Studied) -> Section:
    sides = (found.lines, found.random)
    rows = [
        [
            "R² of a line through the label's logit, median",
            *(f"{float(s.fit.median()):.3f} (n = {len(s.fit)})" for s in sides),
        ],
        ["R², lowest tenth", *(f"{float(s.fit.quantile(0.1)):.3f}" for s in sides)],
        ["right at eps < 0, as such", *(told(s.right_down) for s in sides)],
        ["right at eps > 0, as such", *(told(s.right_up) for s in sides)],
        ["right at eps < 0, kept in [0, 1]", *(told(s.right_down_clipped) for s in sides)],
        ["right at eps > 0, kept in [0, 1]", *(told(s.right_up_clipped) for s in sides)],
    ]
    return Section(
        "Along the sign of the gradient",
        f"All logits of x + eps sign(g) for {found.plan.points} values of eps in "
        f"±{found.plan.limit:g}, g the gradient of "
        "the cross-entropy of the label, and the cross-entropy itself below. Whole lines are "
        "x + eps sign(g) as such, dashed "
        "ones kept in [0, 1].",
        line_figures(found, _shown(found)),
        [
            Grid(
                "Images that are right to begin with: mean share of places of the line, intervals over images",
                ["", "sign of the gradient", "random signs"],
                rows,
            )
        ],
    )


def _shown(found: Studied) -> list[str]:
    return list(found.window_ids[: found.plan.images])


def _planes(found: Studied) -> Section:
    titles = [f"gradient, random axis {k + 1}" for k in range(found.plan.planes)] + ["two random axes"]
    rows = [(i, [_window(found, run, k) for run in found.windows]) for k, i in enumerate(_shown(found))]
    planes = found.planes
    rates = [
        ["up the gradient", told(planes.up)],
        ["down the gradient", told(planes.down)],
        ["along the random axis", told(planes.across)],
        ["along an axis of the plane of two random directions", told(planes.control)],
    ]
    return Section(
        "Planes through images",
        "The predicted class at x + a u + b v, a to the right and b upwards, both up to "
        f"{found.plan.reach:g} in L2; u the "
        "unit gradient, v random at right angles. White is right, every other class has its colour.",
        [
            Figure(
                "planes",
                sheet(titles, rows, side=164),
                "Each row one image, each column another random axis.",
                "the last column, two random directions",
            )
        ],
        [
            Grid(
                "Wrong along the half-axes: mean share of places, intervals over images",
                ["", "wrong"],
                rates,
            )
        ],
    )


def _window(found: Studied, run: str, k: int) -> Cell:
    right = int(found.windows[run][k][found.plan.plane // 2, found.plan.plane // 2])
    labels = found.windows[run][k].flip(0)
    share = float((labels != right).float().mean())
    return Cell(enlarged(class_colours(labels, right), 164), [f"{100 * share:.0f} % wrong"])


def _flips(found: Studied) -> Section:
    kinds = [Radii(a.name, a.radii) for a in found.along]
    drawn = radius_histogram(kinds, "eps of x + eps × a pattern of ±1, or of equal L2 length", 1.0)
    rows = [
        [a.name, f"{a.median:.3g}", told(a.never), f"{a.median / found.along[0].median:.2f}"]
        for a in found.along
    ]
    return Section(
        "First flips, the gradient against chance",
        "The first radius that flips each image along one straight direction, kept in [0, 1]; "
        "every direction of the same L2 "
        "length. Were the model linear and the box endless the ratio would be about √d = "
        f"{found.d**0.5:.1f} times a constant near "
        "1; the box and other classes bring it down.",
        [
            Figure(
                "radii",
                drawn,
                "Dashed: medians. Diamonds: the share that never flips up to 1.",
                "random signs and Gaussian noise of equal L2 length",
            )
        ],
        [Grid("", ["direction", "median", "never flips", "against the gradient"], rows)],
    )


def _draws(found: Studied) -> Section:
    n = list(range(1, found.plan.draws + 1))
    rates = [found.draws[k] for k in n]
    worst = Series(
        "worst of n random signs",
        n,
        [r.value for r in rates],
        [r.low for r in rates],
        [r.high for r in rates],
        style="control",
        colour=1,
    )
    once = Series("without change", n, [found.draws[0].value] * len(n), style="dashes", colour=0)
    shown = [k for k in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if k <= found.plan.draws]
    drawn = lines([once, worst], "n draws", "share still right", share=True, width=6.8)
    return Section(
        "How many random draws",
        f"Random signs of Linf size {found.plan.eps:g} on {found.n} images in {found.d} "
        "dimensions: an image counts as wrong when any "
        "of its n draws flips it. That a random change is harmless holds for few draws and "
        "many dimensions only.",
        [
            Figure(
                "draws",
                drawn,
                "With 95 % Wilson intervals.",
                "the whole curve is the control of the gradient",
            )
        ],
        [Grid("", ["n", *map(str, shown)], [["right", *(told(found.draws[k]) for k in shown)]])],
    )


def told(found: Rate | Mean) -> str:
    value = found.value if isinstance(found, Rate) else found.mean
    return f"{100 * value:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f}, n = {found.n})"


def numbers(found: Studied) -> dict[str, object]:
    planes = found.planes
    return {
        "n": found.n,
        "d": found.d,
        "along_gradient": _line(found.lines),
        "along_random": _line(found.random),
        "wrong_in_planes": {name: getattr(planes, name)._asdict() for name in planes._fields},
        "first_flips": {
            a.name: {"median": a.median, "n": len(a.radii), "never": a.never.as_dict()} for a in found.along
        },
        "ratio": found.ratio,
        "root_d": found.d**0.5,
        "worst_of_n": {str(k): found.draws[k].as_dict() for k in range(len(found.draws))},
    }


def _line(line: Lines) -> dict[str, object]:
    rates = {name: getattr(line, name)._asdict() for name in line._fields if name.startswith("right")}
    fit = {"median": float(line.fit.median()), "tenth": float(line.fit.quantile(0.1)), "n": len(line.fit)}
    return {"straightness": fit, **rates}
