"""The page on slices: groups nobody has named on which a model fails, and whether a cue is why."""

from PIL import Image
from torch import Tensor

from ...analysis.edits import DECIDES, Edit
from ...analysis.groups import LEAST
from ...analysis.rates import Rate, percent
from ...analysis.shortcuts import USES
from ...analysis.slices import Slice, Sliced
from ...show.groups import Dot, dot_plot
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


def slices_page(found: Sliced) -> Page:
    return Page(
        f"Slices of {found.plan.data} on which {found.plan.model} fails",
        sentence(found),
        [_all(found), *(_section(found, one) for one in found.suspicious)],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "A slice is near in the model's own features: it may hold nothing but images that are hard, as those between two "
    "classes are. Where the error is what the model's own probabilities lead one to expect, nothing is hidden.",
    "That no slice is found does not mean that there is none: one that is small, or spread over the features, is "
    "missed.",
    "What marks a slice goes with its errors; only the edit says whether it is why, and only of a cue that is known.",
)


def sentence(found: Sliced) -> str:
    some = found.suspicious
    if not found.slices:
        return f"No slice: none looked worse than the rest where it was searched. The error is {found.error}."
    if not some:
        return (
            f"No slice: of {len(found.slices)} that looked worse where they were searched, none is worse than the rest "
            f"on the other half. The error there is {found.error}."
        )
    worst = some[0]
    mark = f", marked by {worst.marks[0].name}" if worst.marks else ""
    why = "" if worst.verdict is None else f"; of the known cue the edit says: {worst.verdict}"
    return (
        f"{len(some)} suspicious slice{'s' * (len(some) > 1)}: in the worst the error is {worst.error}, in the rest "
        f"{worst.rest}{mark}{why}."
    )


def _all(found: Sliced) -> Section:
    dots = [
        Dot(f"{s.name} (n = {s.error.n})", s.error.interval, s.usual, s.error.n < LEAST) for s in found.slices
    ]
    rows = [
        [
            s.name,
            str(s.error.n),
            f"{s.error.brief} %",
            f"{s.rest.brief} %",
            f"{s.searched.brief} % of {s.searched.n}",
            f"{100 * s.expected:.1f} %",
            f"{'yes' if s.suspicious else 'no'}, p {'< 0.001' if s.holm < 0.001 else f'= {s.holm:.3f}'}",
        ]
        for s in found.slices
    ]
    header = [
        "slice",
        "n",
        "error",
        "of the rest",
        "where it was searched",
        "expected by its probabilities",
        "worse",
    ]
    figures = (
        []
        if not dots
        else [
            Figure(
                "slices",
                dot_plot(dots, "error on the half that judges", found.error.value),
                "Slices that looked worse where they were searched, with 95 % Wilson intervals; dotted, all images.",
                "the grey bars, within which 19 of 20 slices of that size lie that are drawn at random",
            )
        ]
    )
    return Section(
        "Slices",
        "A mixture of Gaussians over the features that the last layer is given, with labels and answers, on one half "
        "of the images; the other half is put into its parts by features alone, and judges them. Worse is Fisher's "
        f"exact test, corrected by Holm. Slices of fewer than {LEAST} images are grey.",
        figures,
        [Grid("", header, rows, {k for k, s in enumerate(found.slices) if s.error.n < LEAST})]
        if rows
        else [],
    )


def _section(found: Sliced, one: Slice) -> Section:
    figures = [
        Figure(
            one.name.replace(" ", "-"),
            _pictures(found, one),
            "Images of the slice, mistakes first; below each its label and what the model says.",
            "the second row, images drawn at random from the same half",
        )
    ]
    figures += [
        Figure(
            f"{one.name.replace(' ', '-')}-{edit.kind}",
            _pairs(found, edit),
            EDITED[one.lacks][edit.kind],
            CONTROLS[edit.kind],
        )
        for edit in one.edits
        if len(edit.before)
    ]
    marks = [[m.name, _told(m.here), _told(m.rest), _p(m.p)] for m in one.marks]
    edits = [_edit(edit) for edit in one.edits]
    header = ["edit", "changes", "control", "other control", "more than its control"]
    return Section(
        f"{one.name.capitalize()}: error {percent(one.error.value)}",
        _why(found, one),
        figures,
        [
            *(
                [Grid("More frequent here", ["group", "in the slice", "in the rest", "p, Holm"], marks)]
                if marks
                else []
            ),
            *([Grid("What edits of the cue change", header, edits)] if edits else []),
        ],
    )


EDITED = {
    False: {
        "insert": "The cue put into images of the rest: before, after, and other pixels in its place.",
        "remove": "The cue taken out of the slice's mistakes: before, after, and the same shape elsewhere.",
    },
    True: {
        "insert": "The cue put into the slice's mistakes, which lack it: before, after, and other pixels in its place.",
        "remove": "The cue taken out of images of the rest: before, after, and the same shape elsewhere.",
    },
}
"""By whether the slice's mistakes lack the cue, and the kind of edit."""
CONTROLS = {
    "insert": "the last row, other pixels in the same place",
    "remove": "the last row, the shape elsewhere",
}


def _why(found: Sliced, one: Slice) -> str:
    hidden = (
        "The model's own probabilities lead one to expect as much."
        if one.error.low <= one.expected
        else f"Its own probabilities lead one to expect {percent(one.expected)}: the model does not know of it."
    )
    if one.verdict is None:
        cue = (
            "none of these mistakes has it"
            if found.cue_known
            else "the data mark none, --cue names a picture of one"
        )
        return f"{hidden} Whether a cue is why cannot be said: {cue}."
    why = "that the lack of the cue is why" if one.lacks else "that the cue is why"
    uses = f"The edit says {why}" if one.verdict == USES else f"The edit says: {one.verdict}"
    return f"{hidden} {uses}."


def _pictures(found: Sliced, one: Slice) -> Image.Image:
    rows = [(one.name, _cells(found, one.examples, one.said)), ("at random", _cells(found, *found.control))]
    wide = min(len(cells) for _, cells in rows)
    return sheet([""] * wide, [(name, cells[:wide]) for name, cells in rows], side=96)


def _cells(found: Sliced, x: Tensor, pairs: tuple[tuple[int, int], ...]) -> list[Cell]:
    names = [(class_name(found.classes, y), class_name(found.classes, said)) for y, said in pairs]
    return [Cell(image, [f"says {b}", a], a != b) for image, (a, b) in zip(x, names, strict=False)]


def _pairs(found: Sliced, edit: Edit) -> Image.Image:
    parts = zip(("before", "after", "control"), (edit.before, edit.after, edit.control), strict=True)
    rows = [
        (name, [Cell(x[k], [class_name(found.classes, int(edit.labels[k, r]))]) for k in range(len(x))])
        for r, (name, x) in enumerate(parts)
    ]
    return sheet([""] * len(edit.before), rows, side=96)


def _edit(edit: Edit) -> list[str]:
    control = DECIDES[edit.kind]
    other = next(name for name in edit.changed if name not in ("cue", control))
    value, low, high = edit.decides
    return [
        {"insert": "put in", "remove": "taken out"}[edit.kind],
        _told(edit.changed["cue"]),
        f"{control}: {_told(edit.changed[control])}",
        f"{other}: {_told(edit.changed[other])}",
        f"{100 * value:+.1f} points ({100 * low:.1f} to {100 * high:.1f})",
    ]


def _told(r: Rate) -> str:
    return f"{r.brief} % of {r.n}" if r.n else "–"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def numbers(found: Sliced) -> dict[str, object]:
    return {
        "error": found.error.as_dict(),
        "suspicious": len(found.suspicious),
        "slices": [_numbers(one) for one in found.slices],
    }


def _numbers(one: Slice) -> dict[str, object]:
    return {
        "name": one.name,
        **{name: getattr(one, name).as_dict() for name in ("error", "rest", "searched")},
        "usual": one.usual,
        "holm": one.holm,
        "expected": one.expected,
        "suspicious": one.suspicious,
        "marks": [m._asdict() | {"here": m.here.as_dict(), "rest": m.rest.as_dict()} for m in one.marks],
        "verdict": one.verdict,
        "mistakes_lack_the_cue": one.lacks,
        "edits": {
            edit.kind: {
                "changed": {place: r.as_dict() for place, r in edit.changed.items()},
                "more": dict(zip(("mean", "low", "high"), edit.decides, strict=True)),
            }
            for edit in one.edits
        },
    }
