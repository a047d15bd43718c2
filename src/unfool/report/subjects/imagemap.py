"""The page on a map of images: the map itself, the grid, its seams, and what several maps keep."""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from ...analysis.imagemap import Charted, Layout
from ...show.places import places
from ...show.sheet import Cell, sheet
from ...show.thumbs import Colour, class_tint, dotted, poster, seamed, tiled
from ..page import Figure, Grid, Page, Section

NOTHING = "distances between clusters, and their sizes, mean nothing"


def map_page(
    found: Charted, x: Sequence[Tensor], lasso: Sequence[float] = (), chosen: Sequence[str] = ()
) -> Page:
    """``x`` are the images in the order of the map; ``chosen`` the ids that lie inside the lasso."""
    plan = found.plan
    return Page(
        f"A map of {plan.data} by {plan.model}",
        sentence(found) + (f" {len(chosen)} images lie inside the lasso: slice.txt." if lasso else ""),
        [_map(found, x, lasso), _grid(found, x), _several(found)],
        LIMITS,
        repr(plan),
        numbers(found) | ({"lasso": list(lasso), "slice": list(chosen)} if lasso else {}),
    )


LIMITS = (
    "Distances between clusters mean nothing, nor do their sizes or how dense they are: neighbourhoods are all that "
    "t-SNE keeps, and PaCMAP keeps little more.",
    "Clusters may be made by the method: look whether they are there with other seeds and perplexities.",
    "What lies side by side in the map may be far apart indeed: trustworthiness says how often, the seams say where.",
    "A map shows what this layer tells apart, not what there is to be told apart.",
)


def sentence(found: Charted) -> str:
    one, plane, chance = found.shown, _of(found, "PCA"), _of(found, "random places")
    return (
        f"The map keeps {_percent(one.quality.kept.value)} of the {found.plan.k} nearest "
        f"(a plane of principal components {_percent(plane.quality.kept.value)}, random places "
        f"{_percent(chance.quality.kept.value)}) at a trustworthiness of {one.quality.trust.value:.2f}; {NOTHING}."
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _of(found: Charted, kind: str) -> Layout:
    return next(one for one in found.layouts if one.kind == kind)


def tints_of(found: Charted) -> list[Colour]:
    y = found.mapped.space.y
    n = max(len(found.classes), int(y.max()) + 1)
    return [class_tint(k, n) for k in y.tolist()]


def _map(found: Charted, x: Sequence[Tensor], lasso: Sequence[float]) -> Section:
    one = found.shown
    title = f"{one.name}, seed {one.seed}, {len(x)} images; {NOTHING}"
    return Section(
        "The map",
        "Each image where the map has it, framed in the colour of its label. The second figure has the same places "
        "with axes: corners read off it are what --lasso takes.",
        [
            Figure(
                "poster",
                poster(x, one.view, tints_of(found), title),
                f"{one.name}, seed {one.seed}. {NOTHING.capitalize()}.",
                "what a plane and random places keep is in the sentence above and in the table below",
            ),
            Figure(
                "places",
                places(one.view, found.mapped.space.y, found.classes, lasso),
                "The same places by label.",
                "as above",
            ),
        ],
    )


def _grid(found: Charted, x: Sequence[Tensor]) -> Section:
    g = found.grid
    drawn = tiled(x, g.cells, (g.rows, g.columns))
    title = "distance in the layer, 1 is the median of two random images"
    exact = "the sum of squared ways is the least there is" if len(x) <= 1600 else "split at medians"
    return Section(
        "The map as a grid",
        f"Every image in a cell of its own, as near to its place as can be ({exact}).",
        [
            Figure("grid", drawn, "Nothing hides anything.", "the next figure shows where the grid misleads"),
            Figure(
                "seams",
                seamed(drawn, g.cells, g.columns, g.seams, title),
                "Wide dark lines part images that lie beside each other and are far apart in truth.",
                "the scale: 1 is as far as two random images",
            ),
        ],
    )


def _several(found: Charted) -> Section:
    above = (
        ""
        if found.label_above is None
        else (f" In the layer itself the nearest image has the same label in {_percent(found.label_above)}.")
    )
    header = ["map", "seed", "trustworthiness", f"{found.plan.k} nearest kept", "nearest has the label"]
    return Section(
        "Several seeds and perplexities",
        "Trustworthiness is 1 where all that is near in a map is near indeed, about 0.5 of random places. t-SNE begins "
        f"at the principal components with the first seed, at random places with the others.{above}",
        [
            Figure(
                "several",
                several(found),
                "The same images in every map.",
                "a plane of principal components, and random places",
            )
        ],
        [Grid("", header, [_row(one) for one in found.layouts])],
    )


def _row(one: Layout) -> list[str]:
    q = one.quality
    return [
        one.name,
        str(one.seed),
        _of_one(q.trust.interval),
        str(q.kept),
        "" if q.label is None else str(q.label),
    ]


def _of_one(interval: tuple[float, float, float]) -> str:
    value, low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def several(found: Charted) -> Image.Image:
    tints = tints_of(found)
    names = list(dict.fromkeys(one.name for one in found.layouts if one.kind in ("t-SNE", "PaCMAP")))
    seeds = list(dict.fromkeys(one.seed for one in found.layouts))
    by = {(one.name, one.seed): one for one in found.layouts}
    controls = [_of(found, "PCA"), _of(found, "random places")]
    rows = [(f"seed {s}", [_cell(by[name, s], tints) for name in names]) for s in seeds]
    blanks = [Cell(_cell(controls[0], tints).image * 0 + 1, ["", ""])] * (len(names) - 2)
    last = [Cell(one.image, [c.name, *one.lines]) for c in controls for one in [_cell(c, tints)]]
    return sheet(names, [*rows, ("controls", [*last, *blanks][: max(2, len(names))])], side=210)


def _cell(one: Layout, tints: Sequence[Colour]) -> Cell:
    q = one.quality
    return Cell(dotted(one.view, tints), [f"trust {q.trust.value:.2f}, kept {_percent(q.kept.value)}"])


def numbers(found: Charted) -> dict[str, object]:
    return {
        "n": len(found.mapped.space.ids),
        "shown": {"name": found.shown.name, "seed": found.shown.seed},
        "label_of_the_nearest_in_the_layer": found.label_above,
        "maps": [
            {
                "name": one.name,
                "seed": one.seed,
                "trustworthiness": one.quality.trust.as_dict(),
                "nearest_kept": one.quality.kept.as_dict(),
                "label_of_the_nearest": None if one.quality.label is None else one.quality.label.as_dict(),
            }
            for one in found.layouts
        ],
    }
