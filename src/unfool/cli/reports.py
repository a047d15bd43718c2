"""The reports of ``unfool attack`` and ``unfool explain``: the images shown, worst first, with their controls."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .pictures import Shown, right_text, sure

if TYPE_CHECKING:
    from torch import Tensor

    from ..analysis.rates import Rate
    from ..report.page import Page

Lines = tuple[list[str], list[list[str]]]
"""A table's header and its rows."""
FOOLED = ("fooled", "fooled, not as a file", "holds", "there to begin with")
ALREADY = 3
LOOK = (
    "Maps are drawn over the first picture: how strongly, from which size on, of which sign and in which colours is "
    "chosen below and asks nobody."
)


def write_attacked(shown: Shown, every: list[list[Any]], lines: Lines, rates: Mapping[str, "Rate"]) -> None:
    """What was fooled, how surely, and what the same change does with its pixels shuffled."""
    import torch

    from ..analysis.rates import rate

    if not shown.rows:
        return
    kinds = [_kind(shown, row) for row in shown.rows]
    held = [_shuffled(shown, k, every[k]) for k in range(len(every))]
    fair = [k for k, kind in enumerate(kinds) if kind != ALREADY]
    own, control = (
        rate(torch.tensor([one[k] for k in fair], dtype=torch.bool))
        for one in ([kind == 0 for kind in kinds], held)
    )
    sure = [float(shown.table.at("confidence", row)) for row in shown.rows]
    first = sorted(range(len(kinds)), key=lambda k: (kinds[k], -sure[k]))
    page = _attacked(shown, lines, rates, own, control)
    _write(shown, every, page, first, [FOOLED[kind] for kind in kinds], "attack.json")


def _attacked(
    shown: Shown, lines: Lines, rates: Mapping[str, "Rate"], own: "Rate", control: "Rate"
) -> "Page":
    from ..analysis.rates import rate
    from ..report.page import Grid, Page, Section

    recipe, table, fooled = shown.recipe, shown.table, next(iter(rates.values()))
    few = {"fooled as files": own, "control, the same changes shuffled": control}
    told = [[name, str(one)] for name, one in rates.items()]
    told += [[f"of the {own.n} shown: {name}", str(one)] for name, one in few.items()]
    count = f"{right_text(rate(table.fair[table.readable]), recipe.target)}."
    how = "The change in three norms, and how often the network was asked."
    return Page(
        f"{type(recipe.method).__name__} against {recipe.model} over {recipe.data}",
        f"{fooled.k:g} of {fooled.n} images are fooled; of the {own.n} shown {own.k:g} are as files, and {control.k:g} "
        "by the same changes with their pixels shuffled.",
        [
            Section("How many", count, tables=[Grid("", ["", "rate"], told)]),
            Section("Each image", how, tables=[Grid("", *lines)]),
        ],
        (
            "A change that was not found may be there all the same: an attack gives an upper bound of accuracy.",
            "Nothing is said of other changes, other images, or what is printed and photographed.",
        ),
        repr(recipe),
        {
            name: one.as_dict()
            for name, one in ({**rates} | {f"shown, {name}": one for name, one in few.items()}).items()
        },
        order=f"Fooled ones first, the surest at the top. Labels are those of 8-bit files. {LOOK}",
    )


def _shuffled(shown: Shown, k: int, panels: list[Any]) -> bool:
    """Adds the change over the image and its control to an image's panels; gives whether the control fools, too."""
    from ..analysis.shuffled import shuffled
    from ..show.heat import laid
    from ..views import from_uint8

    image, row = shown.batch.x[k], shown.rows[k]
    found = from_uint8(shown.table.at("adversarial", row))
    control = shuffled(image, found, shown.recipe.seed, shown.table.ids[row])
    answer = shown.model(control[None])
    told = f"control, its pixels shuffled: {sure(shown.model, answer)}"
    panels += [laid("the change over the image", image, found - image), (told, control)]
    return _reached(shown, row, answer)


def _kind(shown: Shown, row: int) -> int:
    if shown.table.at("started", row):
        return ALREADY
    return 0 if shown.table.at("success_saved", row) else 1 if shown.table.at("success", row) else 2


def _reached(shown: Shown, row: int, answer: "Tensor") -> bool:
    """Whether an image's answer is where the attack leads."""
    from ..objectives import label_of

    label, target = int(label_of(answer)), shown.recipe.target
    return label != int(shown.table.at("y", row)) if target is None else label == target


def write_explained(shown: Shown, every: list[list[Any]], lines: Lines) -> None:
    """Where the network looks, beside the edges of the image, which know nothing of it."""
    from ..report.page import Grid, Page, Section

    if not shown.rows:
        return
    alike = [_beside_edges(shown.batch.x[k], panels) for k, panels in enumerate(every)]
    page = Page(
        f"{type(shown.recipe.method).__name__} of {shown.recipe.model} over {shown.recipe.data}",
        f"Maps of {len(alike)} images{_alike_text([one for one in alike if one is not None], len(alike))}.",
        [
            Section(
                "Each image",
                "What was explained, its score, and the range of the map.",
                tables=[Grid("", *lines)],
            )
        ],
        (
            "A map shows what the score depends on by its method's own account, not why, and not that a place is "
            "enough or needed: --grade measures that.",
            "That a map is unlike the edges does not show that it depends on what was learned.",
        ),
        repr(shown.recipe),
        {
            "rank_correlation_with_edges": {
                shown.table.ids[r]: a for r, a in zip(shown.rows, alike, strict=True)
            }
        },
        order=f"{LOOK} The last picture is the control.",
    )
    order, titles = _wrong_first(shown)
    _write(shown, every, page, order, titles, "explain.json")


def _alike_text(alike: Sequence[float], n: int) -> str:
    empty = f", {n - len(alike)} of them empty" if len(alike) < n else ""
    if not alike:
        return empty
    middle = sorted(alike)[len(alike) // 2]
    return (
        f"{empty}; half of {'the others' if empty else 'them'} have a rank correlation of {middle:.2f} or more with "
        "the edges of their image, which know nothing of the network"
    )


def _beside_edges(image: "Tensor", panels: list[Any]) -> float | None:
    """Adds the image's edges to its panels; gives their rank correlation with the first map, if that is not empty."""
    import torch

    from ..attributions.baselines import steepness
    from ..maps import resize, spearman
    from ..show.heat import Laid, laid, scaled
    from ..show.image import colour

    image = panels[0][1] if isinstance(panels[0][1], torch.Tensor) else image
    edges = steepness(colour(image)[None])
    heat = next((panel.heat for panel in panels if isinstance(panel, Laid)), edges[0])
    flat = resize(scaled(heat, float(heat.abs().max())).values[None, None], tuple(edges.shape[2:]))
    alike = float(spearman(flat.abs(), edges)) if heat.any() else None
    told = "" if alike is None else f": rank correlation {alike:.2f}"
    panels.append(laid(f"control, the image's edges{told}", image, edges[0]))
    return alike


def _wrong_first(shown: Shown) -> tuple[list[int], list[str]]:
    """Images that the network has wrong, the surest first, then the others, the least sure first; and what it says."""
    from ..detections import finds_boxes
    from ..objectives import label_of
    from ..scores import mean_scores

    each = range(len(shown.rows))
    if finds_boxes(shown.model) or shown.model.maps:
        return [*each], ["" for _ in each]
    keys, titles = list[tuple[bool, float]](), list[str]()
    for k in each:
        logits, y = shown.model(shown.batch.x[k : k + 1]), int(shown.batch.y[k])
        label = int(label_of(logits))
        sure, wrong = float(mean_scores(logits).softmax(1)[0, label]), y >= 0 and label != y
        keys.append((not wrong, -sure if wrong else sure))
        name = shown.model.label_name
        titles.append(f"{name(label)}, {100 * sure:.1f} %{f', wrong: it is {name(y)}' if wrong else ''}")
    return sorted(each, key=lambda k: keys[k]), titles


def _write(
    shown: Shown, every: list[list[Any]], page: "Page", order: Sequence[int], titles: Sequence[str], name: str
) -> None:
    from ..report.looks import case
    from ..report.page import typed, write_page

    ids = [shown.table.ids[row] for row in shown.rows]
    cases = [case(ids[k], titles[k], every[k]) for k in order]
    write_page(page._replace(cases=cases), shown.folder, typed(), name)
