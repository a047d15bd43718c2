"""The page on certificates: what is proven, what attacks leave, and how wide the gap is."""

from ...analysis.certify import Smoothed, Told
from ...analysis.rates import Spread, percent
from ...region import size_text
from ...show.certified import certified_curves
from ..page import Figure, Grid, Page, Section

ROWS = 6
"""Radii of a table."""


def certify_page(found: Told, left_out: tuple[str, ...]) -> Page:
    sections = [_network(found)] if found.proofs else []
    return Page(
        f"Certificates of {found.plan.model} over {found.plan.data}",
        sentence(found),
        [*sections, *(_smoothed(found, one) for one in found.smoothed)],
        LIMITS + tuple(f"Not tried: {one}." for one in left_out),
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "A certificate is about changes up to a size in one norm. Of turned, shifted or printed images it says nothing, "
    "nor of whether the answer was right to begin with.",
    "Bounds are worked out in double precision, and a millionth is taken off each radius for the network's own "
    "rounding; that is no proof about every rounding there can be.",
    "Smoothing certifies another network: the one that votes under noise. Each radius holds but for the chance "
    "alpha, and its draws are pseudo-random.",
)


def sentence(found: Told) -> str:
    at = telling(found)
    radius = _text(found, found.grid[at])
    norm = found.plan.within.norm.__name__
    parts: list[str] = []
    if found.proofs:
        best = max(found.proofs, key=lambda p: p.curve[at].value)
        parts.append(
            f"At {norm} {radius} between {percent(best.curve[at].value)} and {percent(found.attack[at].value)} of "
            f"{found.n} images stay right: the first is proven ({best.name}), the second what attacks leave"
        )
    parts += [
        f"smoothed by {one.sigma:g}, {percent(one.curve[at].value)} are certified at {norm} {radius} and "
        f"{percent(one.clean.value)} right without a change"
        for one in found.smoothed
    ]
    text = "; ".join(parts)
    above = sum(p.above for p in found.proofs)
    return (
        f"{text[0].upper()}{text[1:]}. {above} of the proven radii exceed the distance that an attack needed."
    )


def telling(found: Told) -> int:
    """The place on the grid of the radius at which attacks turn half of the images that were right."""
    wanted = found.distance.median if found.distance.n else 0.0
    return min(range(1, len(found.grid)), key=lambda k: abs(found.grid[k] - wanted))


def _text(found: Told, radius: float) -> str:
    """A radius as that of the region is written: not one of them as 0.1 and the next as 34/255."""
    return size_text(radius) if "/" in size_text(found.grid[-1]) else f"{radius:.3g}"


def _axis(found: Told) -> str:
    return f"radius in {found.plan.within.norm.__name__}"


def _network(found: Told) -> Section:
    attacks = ", ".join(map(repr, found.plan.attacks))
    proofs = {p.name: [r.interval for r in p.curve] for p in found.proofs}
    drawn = certified_curves(
        found.grid,
        proofs,
        ("the best of all attacks", found.grid, [r.interval for r in found.attack]),
        ("one random direction", [r.interval for r in found.random]),
        _axis(found),
    )
    names = [p.name for p in found.proofs]
    rows = [
        [
            _text(found, found.grid[k]),
            *(p.curve[k].brief for p in found.proofs),
            found.attack[k].brief,
            found.random[k].brief,
        ]
        for k in _rows(found)
    ]
    spreads = [[p.name, _spread(p.radius), _spread(p.share), str(p.above)] for p in found.proofs]
    spreads.append(["nearest found by an attack", _spread(found.distance), "", ""])
    return Section(
        "The network itself",
        f"Right without a change: {found.clean}. Within a radius at least as many are right as is proven, and at most "
        f"as many as attacks leave: of each image the nearest that any of {attacks} turned. The truth lies between.",
        [
            Figure(
                "certified",
                drawn,
                "With 95 % intervals.",
                "dotted, changes along one random direction an image",
            )
        ],
        [
            Grid(
                f"Right within a radius, per cent of {found.n}",
                ["radius", *names, "best attack", "random direction"],
                rows,
            ),
            Grid(
                "Radii of the images that are right: quartiles",
                ["", "radius", "as a share of the attack's distance", "larger than it"],
                spreads,
            ),
        ],
    )


def _rows(found: Told) -> list[int]:
    last = len(found.grid) - 1
    return [round(last * (k + 1) / ROWS) for k in range(ROWS)]


def _spread(s: Spread) -> str:
    return f"{s.low:.3g}, {s.median:.3g}, {s.high:.3g} (n = {s.n})" if s.n else "–"


CONTROL = "dotted, the network itself along one random direction an image"


def _smoothed(found: Told, one: Smoothed) -> Section:
    drawn = certified_curves(
        found.grid,
        {one.name: [r.interval for r in one.curve]},
        ("attack on the smoothed network", list(one.attacked), [r.interval for r in one.attacked.values()]),
        ("the network itself, one random direction", [r.interval for r in found.random]),
        _axis(found),
    )
    at = {r: min(range(len(found.grid)), key=lambda k: abs(found.grid[k] - r)) for r in one.attacked}
    rows = [[_text(found, r), one.curve[at[r]].brief, held.brief] for r, held in one.attacked.items()]
    return Section(
        f"Smoothed by normal noise of {one.sigma:g}",
        f"Another network: of noisy copies it takes the class most often given. Right without a change: {one.clean}; "
        f"it abstains on {one.abstains}; the network itself is right on {found.clean}. Of {one.certified} certified "
        f"images the attack turned {one.broken} within their radius.",
        [
            Figure(
                f"smoothed-{one.sigma:g}",
                drawn,
                "With 95 % intervals.",
                CONTROL,
            )
        ],
        [Grid(f"Right within a radius, per cent of {found.n}", ["radius", "certified", "attacked"], rows)],
    )


def numbers(found: Told) -> dict[str, object]:
    curve = lambda rates: [r.as_dict() for r in rates]  # noqa: E731
    return {
        "n": found.n,
        "clean": found.clean.as_dict(),
        "radii": found.grid,
        "attack": curve(found.attack),
        "distance": found.distance._asdict(),
        "random": curve(found.random),
        "proofs": {
            p.name: {
                "curve": curve(p.curve),
                "radius": p.radius._asdict(),
                "share": p.share._asdict(),
                "larger_than_attack": p.above,
            }
            for p in found.proofs
        },
        "smoothed": {
            s.name: {
                "clean": s.clean.as_dict(),
                "abstains": s.abstains.as_dict(),
                "curve": curve(s.curve),
                "attacked": {f"{r:g}": rate.as_dict() for r, rate in s.attacked.items()},
                "certified": s.certified,
                "turned_within": s.broken,
            }
            for s in found.smoothed
        },
    }
