"""The page of objects hidden from detectors."""

from collections.abc import Sequence

from ...analysis.hiding import LEARNED, NOISE, OWN, WHITE, Cells, Hidings, Scene, Seen
from ...analysis.rates import Rate
from ...analysis.transfer import spread_of_rates
from ...runs.hiding import CLEAN
from ...show.boxes import boxes_over, detection_rates
from ...show.matrix import Cells as Tiles
from ...show.matrix import heat_map
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name

TOLD = {
    CLEAN: "no sticker",
    NOISE: "random sticker",
    WHITE: "white sticker",
    OWN: "adversarial sticker",
    LEARNED: "learned sticker",
    f"{LEARNED}: {NOISE}": "random in its place",
    f"{LEARNED}: {WHITE}": "white in its place",
}
MADE = "Each detector under stickers made on it; the learned sticker's own controls are in the table."
CONTROL = "squares of noise and white squares of equal size on the same objects"


def hiding_page(found: Hidings) -> Page:
    """What detectors see, how often they still find the object, and whom a sticker made on another fools."""
    what = found.plan.object or "objects"
    learned = [_learned(found)] if found.stickers else []
    return Page(
        f"Hiding {what} of {found.plan.data} from {len(found.names)} detectors by {found.plan.attack!r}",
        sentence(found),
        [_scenes(found), _rates(found), _transfer(found), *learned],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "Hidden means hidden from these detectors: a sticker made on one is no evidence about another (see the matrix).",
    "A sticker of one scene is made for that very picture, light and place; photos of it are a harder case.",
    "Photos here are simulated by random turns, sizes, light and noise; no picture was printed.",
    "Detectors that were trained on covered objects, as the embedded ones were, are harder to hide from than others.",
)


def sentence(found: Hidings) -> str:
    ours, noise, white = (_span(spread_of_rates(found.detected[kind])) for kind in (OWN, NOISE, WHITE))
    return (
        f"Detectors still find {ours} of {found.n} objects under stickers made on them, "
        f"{noise} under random stickers of equal size, {white} under white ones."
    )


def _span(ends: tuple[float, float]) -> str:
    low, high = (f"{100 * end:.0f}" for end in ends)
    return f"{low} %" if low == high else f"{low} to {high} %"


def _scenes(found: Hidings) -> Section:
    text = (
        "One column a detector; boxes from a score of 0.5 on, and under each picture the best score on the object. "
        f"Scenes are typical of the {found.common} whose object all detectors find: as many lose it as in the median."
    )
    figures = [_scene(found, scene, k) for k, scene in enumerate(found.scenes)]
    return Section("What the detectors see", text, figures)


def _scene(found: Hidings, scene: Scene, k: int) -> Figure:
    name = class_name(found.classes, scene.label)
    rows = [(TOLD[kind], [_cell(one, name) for one in seen]) for kind, seen in scene.rows.items()]
    return Figure(
        f"scene-{k + 1}",
        sheet(found.names, rows, side=150),
        f"Scene {scene.id}; the adversarial and the learned sticker are those made on the column's detector.",
        "the rows of the random and the white sticker",
    )


def _cell(seen: Seen, name: str) -> Cell:
    image = boxes_over(seen.image, seen.boxes, seen.scores.tolist(), seen.labels.tolist(), 150)
    line = f"{name} {seen.score:.2f}" if seen.found else f"no {name} ({seen.score:.2f})"
    return Cell(image, [line], not seen.found)


def _rates(found: Hidings) -> Section:
    grids = [
        Grid(
            title, ["", *found.names], [[TOLD[kind], *(r.brief for r in row)] for kind, row in cells.items()]
        )
        for title, cells in (
            ("Found in the scenes, per cent", found.detected),
            ("Found in photos of the scenes, per cent", found.photos),
        )
    ]
    drawn = {
        name: detection_rates(
            found.names, {TOLD[kind]: _spans(row) for kind, row in cells.items() if ":" not in kind}
        )
        for name, cells in (("found", found.detected), ("photos", found.photos))
    }
    boxes = "any box" if found.plan.goal.altogether else "a box of its class"
    text = (
        f"An object counts as found where {boxes} overlaps it by at least {found.plan.goal.least:g} with a "
        f"score of at least {found.plan.goal.confidence:g}. n = {found.n} in every cell, 95 % Wilson intervals, "
        "8-bit files. "
        f"Stickers are {100 * found.plan.share:.0f} % of the object's width."
    )
    figures = [
        Figure("found", drawn["found"], MADE, CONTROL),
        Figure(
            "photos",
            drawn["photos"],
            f"The same through {found.plan.camera!r}, one fresh draw a scene.",
            CONTROL,
        ),
    ]
    return Section("How often the object is still found", text, figures, grids)


def _spans(row: Sequence[Rate]) -> list[tuple[float, float, float]]:
    return [one.interval for one in row]


def _transfer(found: Hidings) -> Section:
    text = (
        f"Per cent hidden of the {found.common} objects that all detectors find without a sticker. "
        "Each row is the detector that the stickers were made on, one sticker a scene."
    )
    return Section(
        "Whom a sticker hides from",
        text,
        [_matrix("matrix", found, found.hidden, "made on")],
        [_grid(found, found.hidden)],
    )


def _matrix(name: str, found: Hidings, cells: Cells, rows: str) -> Figure:
    own = [[source == victim for victim in found.names] for source in cells]
    tints = [[one.value for one in row] for row in cells.values()]
    drawn = heat_map(Tiles(list(cells), found.names, tints, own, apart=2), rows, "shown to")
    caption = f"n = {found.common} in every cell; ringed where the detector is the one it was made on."
    return Figure(name, drawn, caption, "the last two rows, random and white squares of equal size")


def _grid(found: Hidings, cells: Cells) -> Grid:
    rows = [[source, *(one.brief for one in row)] for source, row in cells.items()]
    return Grid("Hidden, per cent", ["made on", *found.names], rows)


def _learned(found: Hidings) -> Section:
    cells = [
        Cell(sticker, [f"learned on {name}"])
        for sticker, name in zip(found.stickers, found.names, strict=True)
    ]
    text = (
        f"{found.plan.sticker!r} is learned on other scenes and put on objects it has not seen, "
        "turned and sized at random "
        "as there. Controls are the same patch of noise and in white."
    )
    control = "the matrix beside it has random and white patches of equal size"
    return Section(
        "One sticker for all scenes",
        text,
        [
            Figure("stickers", sheet([""] * len(cells), [("", cells)], side=96), "The stickers.", control),
            _matrix("learned-matrix", found, found.learned_hidden, "learned on"),
        ],
        [_grid(found, found.learned_hidden)],
    )


def numbers(found: Hidings) -> dict[str, object]:
    cells = {"found": found.detected, "found_in_photos": found.photos, "hidden": found.hidden}
    cells |= {"hidden_by_learned": found.learned_hidden} if found.stickers else {}
    return {
        "n": found.n,
        "common": found.common,
        "detectors": dict(zip(found.names, found.plan.detectors, strict=True)),
        **{name: _told(rows, found.names) for name, rows in cells.items()},
        "shown": [scene.id for scene in found.scenes],
    }


def _told(cells: Cells, names: Sequence[str]) -> dict[str, object]:
    return {
        kind: {name: one.as_dict() for name, one in zip(names, row, strict=True)}
        for kind, row in cells.items()
    }
