"""The page on linear templates."""

from ...analysis.rates import Rate
from ...analysis.templates import Linear, Templates
from ...show.heat import map_picture
from ...show.image import colour
from ...show.lines import Series, lines
from ...show.plane import regions
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section

LIMITS = (
    "A template is the best the data let a linear classifier do, not what a deep network looks for.",
    "A class with two kinds of image has one template for both: the horse with two heads.",
    "The plane is a cut: an image's own side of a line is decided by all pixels, not by its place in the plane.",
)
SHOWN = 12


def templates_page(data: str, found: Templates) -> Page:
    fit = found.fits[found.best]
    return Page(
        f"Linear templates of {data}",
        f"A linear classifier of pixels is right for {_told(fit.test)} of {fit.test.n} held-out images; "
        f"{fit.own_first} of {len(found.classes)} templates are most like their own class's mean.",
        [_pictures(found), _strengths(found), _plane(found)],
        LIMITS,
        data,
        numbers(found),
    )


def _told(r: Rate) -> str:
    return f"{r.brief} %"


def _pictures(found: Templates) -> Section:
    """A row for each strength, above them the classes' means, below the control."""
    some = range(min(SHOWN, len(found.classes)))
    rows = [("mean image", [Cell(colour(found.means[k]), [""]) for k in some])]
    rows += [(_name(fit), [_cell(fit, k) for k in some]) for fit in found.fits]
    rows.append(("shuffled labels", [_cell(found.shuffled, k) for k in some]))
    return Section(
        "Templates",
        "Each class's weights in the shape of an image: orange speaks for the class, violet against it, white is zero; "
        "each on its own scale. C is how freely weights may grow: small C, smooth templates.",
        [
            Figure(
                "templates",
                sheet([found.classes[k][:10] for k in some], rows, 72),
                "Below each its correlation with the mean image of its class.",
                "the last row, learned from shuffled labels with the best C",
            )
        ],
    )


def _name(fit: Linear) -> str:
    return f"C = {fit.strength:g}"


def _cell(fit: Linear, k: int) -> Cell:
    return Cell(map_picture(fit.weight[k].mean(0)), [f"r = {float(fit.like_mean[k]):.2f}"])


def _strengths(found: Templates) -> Section:
    at = [fit.strength for fit in found.fits]
    series = [
        Series(name, at, [r.value for r in rates], [r.low for r in rates], [r.high for r in rates])
        for name, rates in (
            ("learned from", [fit.train for fit in found.fits]),
            ("held out", [fit.test for fit in found.fits]),
        )
    ]
    chance = found.shuffled.test
    control = Series("shuffled labels, held out", at, [chance.value] * len(at), style="dashes", colour=6)
    rows = [
        [
            _name(fit),
            _told(fit.train),
            _told(fit.test),
            f"{float(fit.like_mean.mean()):.2f}",
            str(fit.own_first),
        ]
        for fit in found.fits
    ]
    rows.append(["shuffled labels", _told(found.shuffled.train), _told(chance), "", ""])
    return Section(
        "Regularisation",
        f"Of {found.fits[0].train.n} images to learn from and {chance.n} held out.",
        [
            Figure(
                "strengths",
                lines([*series, control], "C", "share right", log_x=True, share=True),
                "With 95 % intervals.",
                "dashed, the best C on shuffled labels",
            )
        ],
        [
            Grid(
                "", ["", "right, learned from", "right, held out", "mean r", "most like their own mean"], rows
            )
        ],
    )


def _plane(found: Templates) -> Section:
    plane = found.plane
    return Section(
        "Where the lines are",
        f"The plane of the images' two main directions, which holds {100 * plane.inside:.0f} % of their variance; "
        "each place in it is an image, coloured by what the best fit says of it.",
        [
            Figure(
                "plane",
                regions(plane.points, plane.labels, plane.regions, plane.low, plane.high, found.classes),
                "Dots are the images by their labels.",
                "dots on another class's ground: the rest of the variance decides about them",
            )
        ],
    )


def numbers(found: Templates) -> dict[str, object]:
    return {
        "classes": list(found.classes),
        "best": found.fits[found.best].strength,
        "fits": [_fit(fit) for fit in found.fits],
        "shuffled": _fit(found.shuffled),
        "plane_variance": found.plane.inside,
    }


def _fit(fit: Linear) -> dict[str, object]:
    return {
        "C": fit.strength,
        "train": fit.train.as_dict(),
        "test": fit.test.as_dict(),
        "like_mean": fit.like_mean.tolist(),
        "own_first": fit.own_first,
    }
