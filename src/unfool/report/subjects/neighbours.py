"""The page on neighbours: rows of nearest images, precision of their labels, copies."""

from collections.abc import Callable

from PIL import Image
from torch import Tensor

from ...analysis.neighbours import Copies, Shown, Studied
from ...runs.neighbours import RANDOM
from ...show.apart import distances
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section

Look = Callable[[str], Tensor]
"""Gives the image [C, *] of an id: of the data, or of those among which neighbours are looked for."""

SIDE = 96
FEW = 8
"""So many pairs suspected of being copies are shown."""
SPACES = {"features": "features", "pixels": "pixels", RANDOM: "random weights"}


def neighbours_page(found: Studied, own: Look, other: Look) -> Page:
    plan = found.plan
    return Page(
        f"Nearest images to {plan.model}, over {plan.data}",
        sentence(found),
        [
            _rows(found, own, other),
            _precision(found),
            *(_copies(found, one, own, other) for one in found.copies),
        ],
        LIMITS,
        repr(plan),
        numbers(found),
    )


LIMITS = (
    "Near in features is near to this network: what it does not look at does not part two images.",
    "Labels of neighbours say how a space is ordered by class, nothing of other likenesses.",
    "A pair under the threshold is a suspicion: look at it. Copies that are cut, turned or recoloured may be far apart "
    "in pixels, and then only features may tell.",
    "Pixels are compared on a grid of at most 32 positions a dimension.",
)


def sentence(found: Studied) -> str:
    first = found.copies[0]
    same, both = first.counts["the same pixels"], first.counts["near in both"]
    return (
        f"{_labels(found)}{same.k} of {same.n} images have one with the same pixels among {first.among}, "
        f"{both.k} one that is near in pixels and in features."
    )


def _labels(found: Studied) -> str:
    told = {name: f"{100 * r.value:.1f} %" for name, r in found.precision.items()}
    if not found.precision["features"].n:
        return "The data have no labels. "
    if found.chance == 1:
        return "All labels are of one class, so that those of neighbours say nothing. "
    return (
        f"Of the {found.plan.k} nearest images in features {told['features']} are of the query's class, "
        f"in pixels {told['pixels']}, in features of random weights {told[RANDOM]}. "
    )


def _told(r: object) -> str:
    return str(r)


def _rows(found: Studied, own: Look, other: Look) -> Section:
    where = "the training data" if found.plan.training else "the data"
    return Section(
        "Queries and their nearest",
        f"Each query with its {found.plan.k} nearest of {found.n[1]} images of {where}, itself and images of the same "
        f"pixels left out; under each its label and its distance ({_metric(found)}).",
        [
            Figure(
                "neighbours",
                rows(found, own, other),
                "Labels other than the query's are set in another colour.",
                "the second row, neighbours in pixels, and the third, in features of the same network with weights "
                "drawn anew",
            )
        ],
    )


def _metric(found: Studied) -> str:
    return {"l2": "L2", "cosine": "1 minus the cosine"}[found.plan.metric]


def rows(found: Studied, own: Look, other: Look) -> Image.Image:
    titles = ["query", *(str(k + 1) for k in range(found.plan.k))]
    every = [
        (SPACES[space], _cells(one, space, own, other, len(titles)))
        for one in found.shown
        for space in SPACES
    ]
    return sheet(titles, every, side=SIDE)


def _cells(one: Shown, space: str, own: Look, other: Look, wide: int) -> list[Cell]:
    near = [Cell(other(i), [label, f"{d:.3g}"], wrong) for i, label, d, wrong in one.near[space]]
    query = Cell(own(one.id), [one.label, one.id[-18:] if space == "features" else ""])
    blank = Cell(own(one.id) * 0 + 1, ["", ""])
    return [query, *near, *[blank] * (wide - 1 - len(near))]


def _precision(found: Studied) -> Section:
    rows = [[SPACES[name], _told(r)] for name, r in found.precision.items()]
    return Section(
        "Labels of the nearest",
        f"The mean share of the {found.plan.k} nearest that have the query's label, over all labelled queries, with "
        f"95 % intervals. Neighbours drawn at random would have it in {100 * found.chance:.1f} %.",
        tables=[Grid("", ["space", f"precision at {found.plan.k}"], rows)],
    )


def _copies(found: Studied, one: Copies, own: Look, other: Look) -> Section:
    inside = one.among == "the data themselves"
    counts = [[name, _told(r)] for name, r in one.counts.items()]
    listed = [
        [p.id, p.other, *p.labels, f"{p.pixels:.3f}", f"{p.features:.3f}", "yes" if p.same_bytes else ""]
        for p in one.pairs
    ]
    levels = ", ".join(f"{found.plan.near * found.usual[s]:.3g} in {s}" for s in ("pixels", "features"))
    tables = [Grid("", ["images with", "share"], counts)]
    header = ["image", "other", "label", "other's", "pixels", "features", "same pixels"]
    tables += [Grid(f"The {len(listed)} nearest pairs", header, listed)] if listed else []
    return Section(
        "Copies within the data"
        if inside
        else "Leaks: images of the data that are in the training data, too",
        f"Suspected is what is at most {found.plan.near:g} of the median distance of two random images apart "
        f"({levels}). Of each image its nearest in pixels and its nearest in features among {one.among} are tried.",
        _copy_figures(found, one, own, own if inside else other),
        tables,
    )


def _copy_figures(found: Studied, one: Copies, own: Look, other: Look) -> list[Figure]:
    name = "within" if one.among == "the data themselves" else "leaks"
    apart = {f"nearest, in {space}": values for space, values in one.apart.items()}
    controls = found.copies[-1].apart if name == "leaks" else {}
    apart |= {f"within the data, in {space}": values for space, values in controls.items()}
    figures = [
        Figure(
            f"{name}-distances",
            distances(
                apart, "distance to the nearest, as a share of the median of random pairs", found.plan.near
            ),
            "How far each image is from its nearest other one.",
            "1 is how far two random images are apart"
            + ("; the same within the data, where no image can have leaked" if controls else ""),
        )
    ]
    if one.pairs:
        drawn = copies_sheet(one, own, other)
        figures.append(
            Figure(f"{name}-pairs", drawn, "The nearest pairs.", "their distances under them; 1 is usual")
        )
    return figures


def copies_sheet(one: Copies, own: Look, other: Look) -> Image.Image:
    pairs = one.pairs[:FEW]
    wrong = [p.labels[0] != p.labels[1] for p in pairs]
    top = [
        Cell(own(p.id), [p.labels[0], f"pixels {p.pixels:.3f}"], w) for p, w in zip(pairs, wrong, strict=True)
    ]
    below = [
        Cell(other(p.other), [p.labels[1], f"features {p.features:.3f}"], w)
        for p, w in zip(pairs, wrong, strict=True)
    ]
    return sheet([""] * len(pairs), [("image", top), ("other", below)], side=SIDE)


def numbers(found: Studied) -> dict[str, object]:
    return {
        "k": found.plan.k,
        "queries": found.n[0],
        "gallery": found.n[1],
        "precision": {name: r.as_dict() for name, r in found.precision.items()},
        "precision_of_random_neighbours": found.chance,
        "median_distance_of_random_pairs": found.usual,
        "copies": [
            {
                "among": one.among,
                "threshold": found.plan.near,
                "counts": {name: r.as_dict() for name, r in one.counts.items()},
                "pairs": [pair._asdict() for pair in one.pairs],
            }
            for one in found.copies
        ],
        "shown": [
            {
                "id": one.id,
                "label": one.label,
                **{
                    space: [{"id": i, "label": label, "distance": d} for i, label, d, _ in near]
                    for space, near in one.near.items()
                },
            }
            for one in found.shown
        ],
    }
