"""The page on shortcuts: clusters of maps, and what edits of their cues change."""

import torch
from PIL import Image

from ...analysis.edits import DECIDES, Edit
from ...analysis.rates import Rate
from ...analysis.shortcuts import HARDLY, USES, Studied, Suspect
from ...show.clusters import scatter
from ...show.heat import map_picture, overlay
from ...show.image import enlarged
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


def shortcuts_page(found: Studied) -> Page:
    edits = [_edits(found, one) for one in told(found)]
    return Page(
        f"Shortcuts of {found.plan.model} to {target(found)}, over {found.plan.data}",
        sentence(found),
        [_clusters(found), _verdicts(found), *edits],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "Clusters of maps propose, they prove nothing: maps differ for harmless reasons, and a cue that moves gives no "
    "cluster of its own. That no cluster shows a shortcut does not mean that there is none.",
    "A cluster's region may hold a part of the thing itself: that the model uses it is then as it should be. Whether a "
    "cue has to do with the class only people can tell.",
    "An edited image is not an image that was taken so. The controls are edited as roughly: a difference is not "
    "due to the editing itself.",
    "The edits tell of a cue's pixels alone; of what comes with it, such as a posture, they tell nothing.",
)


def told(found: Studied) -> list[Suspect]:
    return [*found.suspects, *([found.given] if found.given else [])]


def target(found: Studied) -> str:
    return class_name(found.classes, found.plan.target)


def sentence(found: Studied) -> str:
    n = len(found.suspects)
    uses = [one.name for one in found.suspects if one.verdict == USES]
    false = [one.name for one in found.suspects if one.verdict == HARDLY]
    parts = [f"The maps of {target(found)} fall into {n} clusters"]
    parts += [f"the model uses what marks {_and(uses)}"] if uses else []
    parts += (
        [f"{_and(false)} {'is a false alarm' if len(false) == 1 else 'are false alarms'}"] if false else []
    )
    parts += [] if uses or false else ["there are too few images to say whether it matters"]
    return "; ".join(parts) + "." + _given_sentence(found)


def _given_sentence(found: Studied) -> str:
    one = found.given
    if one is None:
        return ""
    parted = found.found_given
    seen = (
        ""
        if parted is None
        else f" (the share of images that the data mark differs by up to {100 * parted:.0f} points between clusters)"
    )
    put = one.inserted.changed
    return (
        f" Of the given cue{seen}, {one.verdict}: with it {100 * put['cue'].value:.1f} % of "
        f"{put['cue'].n} other images are taken for {target(found)}, with other pixels in its place "
        f"{100 * put[DECIDES['insert']].value:.1f} %."
    )


def _and(names: list[str]) -> str:
    short = [names[0], *(name.removeprefix("cluster ") for name in names[1:])]
    text = short[0] if len(short) == 1 else f"{', '.join(short[:-1])} and {short[-1]}"
    return text.replace("cluster", "clusters", 1) if len(short) > 1 else text


def _clusters(found: Studied) -> Section:
    c = found.clusters
    values = ", ".join(f"{v:.3f}" for v in c.eigenvalues.tolist())
    return Section(
        "Clusters of maps",
        f"{len(c.label)} maps of {found.plan.method!r}, brought to {found.plan.side} positions a side and to length 1, "
        f"each joined to its nearest. The first eigenvalues of their graph's Laplacian are {values}: the widest gap, "
        f"{c.gap:.3f}, is after {c.n} of them.",
        [
            Figure(
                "clusters",
                scatter(c.view, c.label, _marks(found)),
                "Every dot a map, neighbours beside each other (t-SNE); colours are clusters.",
                "filled dots have the data's known cue, which the clusters were not told"
                if _marks(found) is not None
                else "places are those of the maps alone, the clusters were found without them",
            ),
            Figure(
                "cards",
                cards(found),
                "Each cluster's mean map, the region that marks it, and the images nearest to its mean.",
                "the region is where the mean map exceeds that of all other clusters",
            ),
        ],
    )


def _marks(found: Studied) -> torch.Tensor | None:
    """Which image has the known cue, where one group of two values tells."""
    for name, values in found.groups.items():
        if len(set(values)) == 2 and f"no {name}" in values:
            return torch.tensor([v != f"no {name}" for v in values])
    return None


def cards(found: Studied) -> Image.Image:
    shown = min(found.plan.images, min(len(one.examples) for one in found.suspects))
    titles = ["mean map", "what marks it", *[f"example {k + 1}" for k in range(shown)]]
    rows = [(f"{one.name}, n = {one.n}", _card(one, shown)) for one in found.suspects]
    return sheet(titles, rows, side=112)


def _card(one: Suspect, shown: int) -> list[Cell]:
    assert one.heat is not None
    shares = [
        f"{value}: {100 * r.value:.0f} %"
        for group in one.groups.values()
        for value, r in list(group.items())[:3]
    ]
    mean = enlarged(map_picture(one.heat), 112)
    region = overlay(one.examples.mean(0), one.region)
    area = f"{100 * float(one.region.mean()):.1f} % of the area"
    return [Cell(mean, shares[:4]), Cell(region, [area]), *[Cell(x, []) for x in one.examples[:shown]]]


def _verdicts(found: Studied) -> Section:
    header = ["cue", "edit", "changes", "control: elsewhere", "other control", "more than its control"]
    rows = [_row(one, edit) for one in told(found) for edit in (one.inserted, one.removed)]
    groups = [
        [one.name, name, value, _told(r)]
        for one in told(found)
        for name, values in one.groups.items()
        for value, r in values.items()
    ]
    return Section(
        "What edits say",
        f"Put in: images of other classes that become {target(found)}; elsewhere are the same pixels at a random "
        "position, other pixels are those of another such image in the same place. Taken out: images of the class that "
        "are it no more; elsewhere is the same shape at a random position, scattered as many pixels anywhere. All with "
        f"95 % intervals. The model uses a cue where it changes {100 * found.plan.least:g} points more than other "
        "pixels put in, or the same shape taken out elsewhere.",
        tables=[
            Grid(
                "", ["cue", "images", "verdict"], [[one.name, str(one.n), one.verdict] for one in told(found)]
            ),
            Grid("", header, rows),
            *([Grid("Who is in each cluster", ["cue", "group", "value", "share"], groups)] if groups else []),
        ],
    )


def _row(one: Suspect, edit: Edit) -> list[str]:
    cue, elsewhere, other = edit.changed.items()
    value, low, high = edit.decides
    return [
        one.name,
        {"insert": "put in", "remove": "taken out"}[edit.kind],
        _told(cue[1]),
        _told(elsewhere[1]),
        f"{other[0]}: {_told(other[1])}",
        f"{100 * value:+.1f} points ({100 * low:.1f} to {100 * high:.1f})" if cue[1].n else "no image",
    ]


def _told(r: Rate) -> str:
    return f"{r.brief} % of {r.n}" if r.n else "no image"


def _edits(found: Studied, one: Suspect) -> Section:
    figures = [
        Figure(
            f"{one.name.replace(' ', '-')}-{edit.kind}",
            pairs(found, edit),
            f"{'Images of other classes' if edit.kind == 'insert' else 'Images of the class'} before and after, those "
            "that change first.",
            f"the last row, {CONTROLS[edit.kind]}",
        )
        for edit in (one.inserted, one.removed)
        if len(edit.before)
    ]
    return Section(f"{one.name.capitalize()}: {one.verdict}", _kept(found, one), figures)


CONTROLS = {"insert": "other pixels in the same place", "remove": "the same shape taken out elsewhere"}


def _kept(found: Studied, one: Suspect) -> str:
    put, out = one.inserted.changed, one.removed.changed
    place = (
        " It works wherever it is put."
        if one.verdict == USES and one.inserted.more["elsewhere"][2] < found.plan.least < put["cue"].low
        else ""
    )
    return (
        f"Of images of other classes {_told(put['cue'])} are taken for {target(found)} with it; of images of the class "
        f"{_told(out['cue'])} are no more without it.{place}"
    )


def pairs(found: Studied, edit: Edit) -> Image.Image:
    names = ["before", "after", "control"]
    images = (edit.before, edit.after, edit.control)
    hit = (lambda k: k == found.plan.target) if edit.kind == "insert" else (lambda k: k != found.plan.target)
    rows = [
        (
            name,
            [
                Cell(x[k], [class_name(found.classes, int(edit.labels[k, r]))], hit(int(edit.labels[k, r])))
                for k in range(len(x))
            ],
        )
        for r, (name, x) in enumerate(zip(names, images, strict=True))
    ]
    return sheet([""] * len(edit.before), rows, side=112)


def numbers(found: Studied) -> dict[str, object]:
    c = found.clusters
    return {
        "target": target(found),
        "n": len(c.label),
        "eigenvalues": c.eigenvalues.tolist(),
        "gap": c.gap,
        "given_cue_parted_by": found.found_given,
        "cues": [_numbers(one) for one in told(found)],
    }


def _numbers(one: Suspect) -> dict[str, object]:
    return {
        "name": one.name,
        "n": one.n,
        "area": float(one.region.mean()),
        "verdict": one.verdict,
        "groups": {g: {v: r.as_dict() for v, r in rates.items()} for g, rates in one.groups.items()},
        **{
            edit.kind: {
                "changed": {place: r.as_dict() for place, r in edit.changed.items()},
                "more": {
                    place: dict(zip(("mean", "low", "high"), v, strict=True))
                    for place, v in edit.more.items()
                },
            }
            for edit in (one.inserted, one.removed)
        },
    }
