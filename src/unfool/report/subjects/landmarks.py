"""The page on landmarks, the figure for an appendix, and the paragraph on methods that goes with it."""

import io
import textwrap
from typing import NamedTuple

from PIL import Image

from ...analysis.landmarks import Point, Summary
from ...analysis.rates import Mean
from ...analysis.sanity import Badge
from ...measures.landmarks import LandmarkMass
from ...method import Method
from ...show.appendix import Row, appendix
from ..page import Figure, Grid, Page, Section


class Found(NamedTuple):
    """Everything on the page."""

    model: str
    data: str
    recipe: str
    measure: LandmarkMass
    summary: Summary
    of: int
    """How many images the data have."""
    seed: int
    badge: Badge

    @property
    def names(self) -> list[str]:
        return [point.name for point in self.summary.points]


def landmarks_page(found: Found, png: bytes) -> Page:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    figure = Figure(
        "appendix-figure",
        picture,
        caption(found),
        'the last column, the map of "no landmark", and the share of each map about the other landmarks',
    )
    return Page(
        f"Where {found.model} looks for landmarks",
        sentence(found),
        [
            Section("Appendix figure", "The same page is beside this one as .pdf and .png.", [figure]),
            Section("Over all images", "Means with 95 % intervals.", tables=[_table(found)]),
            Section("Methods", methods_text(found)),
        ],
        LIMITS,
        found.recipe,
        {"n": found.summary.n, "landmarks": [numbers(p) for p in found.summary.points]}
        | {"badge": found.badge.as_dict()}
        | {"none": found.summary.none._asdict(), "shown": [e.id for e in found.summary.examples]},
    )


LIMITS = (
    "A map about the landmark says that the network reads that place, not that it reads it as a person would.",
    "A network with a small field of view cannot look elsewhere: the share near a landmark is then no merit.",
    "Where a network cannot look its map is zero, learned or not, which alone makes maps of networks that have learned "
    "nothing like it: only a green badge says that where it looks about a landmark was learned.",
    "The images of the figure were chosen by rank and at random, as it says, before their maps were looked at.",
)


def sentence(found: Found) -> str:
    told = "; ".join(
        f"{p.name}: {100 * p.mass.mean:.0f} % within {found.measure.reach:g} px, "
        f"{100 * p.elsewhere.mean:.0f} % about others"
        for p in found.summary.points
    )
    return f"Of {found.summary.n} images, how much of a landmark's map lies about it: {told}."


def appendix_files(found: Found) -> dict[str, bytes]:
    rows = [
        Row(f"{e.id} ({e.why})", e.x, e.maps, e.places, e.probability, e.truth)
        for e in found.summary.examples
    ]
    told = "\n".join(textwrap.wrap(f"Appendix Figure. {caption(found)}", 128))
    return appendix(rows, found.names, "Saliency of landmark detection", told)


def caption(found: Found) -> str:
    known = any(p.error for p in found.summary.points)
    rings = ", rings where the data have them" if known else ""
    why = ", ".join(dict.fromkeys(e.why for e in found.summary.examples))
    return (
        f"Saliency of {', '.join(found.names)} by {type(found.measure.inner).__name__}, one colour a landmark, for "
        f"{len(found.summary.examples)} of {found.summary.n} images ({why}). Crosses mark detected landmarks{rings}; p "
        'is the highest probability of the heat map. The last column is the control: the same map of "no landmark". '
        "Each map is divided by its own 99.5th percentile, as the square root; its largest value is under it. "
        f"{_sanity(found)}"
    )


def methods_text(found: Found) -> str:
    """The paragraph for a paper: target, layer, method, noise, n and seed."""
    measure, n = found.measure, found.summary.n
    errors = "; ".join(
        f"{p.name} {p.error.mean:.2f} px (95 % CI {p.error.low:.2f} to {p.error.high:.2f}, at most {p.worst:.2f})"
        for p in found.summary.points
        if p.error
    )
    masses = "; ".join(
        f"{p.name} {100 * p.mass.mean:.1f} % (95 % CI {100 * p.mass.low:.1f} to {100 * p.mass.high:.1f})"
        for p in found.summary.points
    )
    rates = "; ".join(f"{p.name} {p.found}" for p in found.summary.points)
    parts = [
        f"Saliency maps of {found.model} were computed for n = {n} of {found.of} images of {found.data}, drawn with "
        f"seed {found.seed}, with {measure.inner!r}: {_first_line(measure.inner)}",
        "The target of each map was the unnormalised score of one landmark's heat map at its peak in the unchanged "
        f"image. {_layer(measure.inner)} {_noise(measure.inner, found.seed)}",
        "Maps are absolute values, the strongest channel of each pixel. A landmark counted as found where the highest "
        f"probability of its heat map was at least {measure.least:g} ({rates}); its position is the centroid of the "
        "region above half of that probability, the threshold raised by 0.01 until the region was one.",
        f"The distance to the reference was: {errors}." if errors else "",
        f"The share of a map within {measure.reach:g} pixels of its landmark was: {masses}. As controls, the share "
        f"about the other landmarks was {_percent(found, 'elsewhere')}, and that of the map of 'no landmark' about one "
        f"{100 * found.summary.none.mean:.1f} %. {_sanity(found)}",
    ]
    return " ".join(part for part in parts if part)


def _sanity(found: Found) -> str:
    """The badge in words."""
    badge = found.badge
    if badge.worst is None:
        return f"Sanity check: {badge.text}."
    return f"Sanity check: {badge.text} (rank correlation with maps of {badge.against}, n = {badge.worst.n})."


def _first_line(method: Method) -> str:
    line = (method.__doc__ or "").strip().splitlines()[0]
    return f"{line[0].lower()}{line[1:]}" if line else ""


def _layer(method: Method) -> str:
    inner = getattr(method, "inner", method)
    if not hasattr(inner, "layer"):
        return "It was taken with respect to the input; no layer was chosen."
    layer = getattr(inner, "layer")  # noqa: B009  of some methods only
    return f"It was taken at layer {layer!r}." if layer else "It was taken at the last layer with positions."


def _noise(method: Method, seed: int) -> str:
    if not hasattr(method, "sigma"):
        return "No noise was added."
    sigma, samples = getattr(method, "sigma"), getattr(method, "samples")  # noqa: B009  of some methods only
    return (
        f"Noise was normal with a standard deviation of {100 * sigma:g} % of each image's range, "
        f"{samples} copies of each image, seed {seed}."
    )


def _percent(found: Found, name: str) -> str:
    shares = [getattr(p, name).mean for p in found.summary.points]
    return f"{100 * sum(shares) / len(shares):.1f} %"


def _table(found: Found) -> Grid:
    header = ["landmark", "found", "distance in px", "at most", "share of the map about it", "about others"]
    rows = [
        [
            p.name,
            str(p.found),
            _told(p.error) if p.error else "unknown",
            f"{p.worst:.2f}" if p.error else "",
            _told(p.mass),
            _told(p.elsewhere),
        ]
        for p in found.summary.points
    ]
    return Grid("", header, [*rows, ['"no landmark"', "", "", "", "", _told(found.summary.none)]])


def _told(mean: Mean) -> str:
    return f"{mean.mean:.3f} ({mean.low:.3f} to {mean.high:.3f})"


def numbers(point: Point) -> dict[str, object]:
    means = {"mass": point.mass._asdict(), "elsewhere": point.elsewhere._asdict()}
    error = {"error": point.error._asdict(), "worst": point.worst} if point.error else {}
    return {"name": point.name, "found": point.found.as_dict(), **means, **error}
