"""``unfool explain``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .maps import check_writing, write_maps
from .pictures import Shown, redrawn, run_over, with_badge
from .reports import write_explained
from .running import RunOptions
from .shared import ModelOptions, OutputOptions, folder_for, opened, target_numbers
from .words import beside, explained, layers, met, span

if TYPE_CHECKING:
    from ..analysis.sanity import Badge


def explain(
    method: str,
    data: str,
    *,
    model: str = "unfool:digits",
    target: str | None = None,
    objective: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    reference: str | None = None,
    out: Path | None = None,
    limit: int | None = None,
    pictures: int = 24,
    chunk: int = 64,
    seed: int = 0,
    write: str | None = None,
    grade: Annotated[bool, Parameter(negative="")] = False,
    measures: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    relabelled: str | None = None,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Show what a model looks at in pictures.

    Writes a panel for each picture and the maps themselves, as computed, beside all numbers, and report.html, where it
    is chosen how maps are drawn.

    Parameters
    ----------
    method
        An attribution as text: Gradient, "SmoothGrad(GradCAM('layer4'), samples=9)", "GradCAM('all')" for a
        panel of every convolution; unfool methods lists them.
    data
        A picture, a folder, .csv, .parquet, .npz, .dcm, .nii.gz, torchvision:NAME:split or unfool:digits.
    model
        An address, as for unfool audit.
    target
        Class to explain, by name or number; by default the one the model predicts, of a detector its surest box, of a
        map of scores the largest class but 0. Two for "Between()": what speaks for the second against the first.
    objective
        What is explained instead of the class's logit, as text: Margin, "Segment('mask')", "Channel('layer3')". Of a
        map of scores it is the class's region: Segment(); "Segment(at=(20, 31))" is the part around a position,
        "Neuron('output', (20, 31))" that position alone.
    reference
        A picture to be compared with: what makes the others alike to it, for "Like('layer4')".
    out
        The folder for pictures and numbers; by default one in runs/explain named after what is run.
    limit
        How many pictures at most, drawn by the seed.
    pictures
        How many panels are written.
    chunk
        How many pictures go through the model together, and are lost when it is stopped; fewer where memory is short.
    seed
        Where all random numbers come from.
    write
        "nifti" or "dicom": the maps of medical files in the geometry of their images, too, as numbers or as pictures.
    grade
        Say what the maps are worth: faithfulness, localisation where there are masks, stability and sanity, beside maps
        that know nothing of the network.
    measures
        What --grade measures, as text: "Deletion(steps=8)" "Pointing(15)"; by default all there is.
    relabelled
        The address of a network like the model that was trained on random labels, for --grade.
    """
    output.ahead(out)
    from ..attributions.base import Attribution
    from ..errors import InputError
    from ..objectives import Objective
    from ..runs.recipe import Recipe
    from ..spec import parse
    from ..targets import Like, Segment
    from .regions import gives_maps, map_panels

    network = loading.load(model, boxes=True)
    aims = target_numbers(target, network)
    asked = parse(objective, Objective) if objective else None if reference is None else Like()
    if asked is None and gives_maps(network, opened(data)):
        asked = Segment()
    recipe = Recipe(
        parse(method, Attribution),
        model,
        data,
        target=aims[0] if len(aims) == 1 else None,
        targets=aims if len(aims) > 1 else (),
        reference=reference,
        limit=limit,
        seed=seed,
        objective=asked,
        chunk=chunk,
    )
    if len(aims) > 1 and (asked is None or asked.numbers is not None):
        raise InputError(
            f"{target} is more than one class", "explain one, or a pair by --objective 'Between()'"
        )
    folder = folder_for(out, "explain", type(recipe.method).__name__, recipe, loading.told())
    if write is not None:
        check_writing(write, data, network.view)
    shown = run_over(recipe, network, folder, output, pictures)
    badge, numbers = None, {}
    if grade:
        from ..analysis.grading import numbers as told
        from ..report.summary import clean
        from .grade import grade_run

        found = grade_run(recipe, network, measures or (), relabelled, folder, loading, output)
        badge, numbers = found.badge, {"grade": clean(told(found))}
    drawn = map_panels if gives_maps(network, opened(data)) else panels
    every = shown.draw(lambda shown, k: drawn(shown, k, badge))
    if write is not None:
        numbers["written"] = write_maps(write, shown)
        output.say(numbers["written"])
    report(shown, every, output, numbers)


def panels(shown: Shown, k: int, badge: "Badge | None" = None) -> list[Any]:
    """Image, map and overlay of one row, then the map of each layer where there are several.

    The maps carry their badge where there is one.
    """
    from ..show.heat import NOTHING, laid, map_picture

    image, row, table = shown.batch.x[k], shown.rows[k], shown.table
    heat = table.at("heat", row)[0]
    label = explained(shown, row)
    over = ", ".join(filter(None, (beside(shown, row), met(shown, row)))) or "overlay"
    found = [(f"{label}: {span(shown, row)}", map_picture(heat)), laid(over, image, heat)]
    found = [(f"image{plane(image)}", image), *found]
    if "box" in table.columns:
        found = [redrawn(panel, lambda picture: boxed(shown, row, picture)) for panel in found]
    if badge is not None:
        found = [found[0], *with_badge(found[1:], badge)]
    if "each" in table.columns:
        tops = table.at("each_max", row).tolist()
        for name, top, one in zip(layers(shown, row), tops, table.at("each", row), strict=True):
            found.append(laid(f"{name}: {f'up to {top:.3g}' if top > 0 else NOTHING}", image, one))
    if "classes" in table.columns:
        found += gallery(shown, row, image)
    return found + hiding(shown, row, image)


def boxed(shown: Shown, row: int, picture: Any) -> Any:
    """A picture with the box that was explained, and its score."""
    from ..show.boxes import boxes_over

    table = shown.table
    score, label = float(table.at("score", row)), int(table.at("target", row))
    return boxes_over(picture, table.at("box", row)[None], [score], [label], least=0.0)


def plane(image: Any) -> str:
    """Which plane of a volume, or frame of a series, a picture shows: the middle one."""
    return "".join(f", {n // 2 + 1} of {n}" for n in image.shape[1:-2])


BEST = 5
"""How many classes a gallery shows."""


def gallery(shown: Shown, row: int, image: Any) -> list[Any]:
    """The maps of the classes with the highest scores, all on one scale."""
    from ..show.heat import laid, spanned

    scores, maps = (shown.table.at(name, row) for name in ("class_scores", "classes"))
    best = scores.argsort(descending=True, stable=True)[:BEST].tolist()
    top, signed = float(maps[best].abs().max()), bool((maps[best] < 0).any())
    return [
        laid(
            f"{shown.model.label_name(c)}, score {float(scores[c]):.3g}: {spanned(maps[c])}",
            image,
            maps[c],
            top,
            signed,
        )
        for c in best
    ]


def hiding(shown: Shown, row: int, image: Any) -> list[Any]:
    """What else hiding one window after the other told, and the maps of other fills and levels of noise."""
    from ..show.categories import label_map
    from ..show.heat import between, laid, spanned

    table, found, columns = shown.table, list[Any](), shown.table.columns
    if "probability" in columns:
        low, high = (float(t) for t in table.at("probability", row).aminmax())
        own = int(table.at("shown_class", row))
        found.append(
            (
                f"p({shown.model.label_name(own)}): {low:.3g} to {high:.3g}",
                between(table.at("probability", row)),
            )
        )
        labels = table.at("likely", row)
        names = {k: shown.model.label_name(k) for k in {own, *labels.unique().tolist()}}
        found.append(("most likely", label_map(labels, own, names)))
    if "response" in columns:
        response, whole = table.at("response", row), float(table.at("response_whole", row))
        low, high = (float(t) for t in response.aminmax())
        name = [*shown.model.layers][int(table.at("response_layer", row))]
        told = f"{name}[{int(table.at('response_channel', row))}]: {low:.3g} to {high:.3g}, whole {whole:.3g}"
        found.append((told, between(response)))
    if "noisy" in columns:
        noise: Any = shown.recipe.method
        for level, heat in zip(noise.levels, table.at("noisy", row), strict=True):
            found.append(laid(f"{100 * level:g} % noise: {spanned(heat)}", image, heat))
    if "filled" in columns:
        fills: Any = shown.recipe.method
        for fill, alike, heat in zip(
            fills.fills, table.at("alike", row), table.at("filled", row), strict=True
        ):
            told = f"{fill}: {spanned(heat)}, rank correlation {float(alike):.2f}"
            found.append(laid(told, image, heat))
    return found


def off_by(shown: Shown, row: int) -> str:
    """The mean error of the falls that were interpolated, with its 95 % interval, and how many windows were asked."""
    mean, low, high = (float(shown.table.at(name, row)) for name in ("error", "error_low", "error_high"))
    return f"{mean:.3g} ({low:.3g} to {high:.3g}), {int(shown.table.at('asked', row))} asked"


def alike(shown: Shown, row: int) -> str:
    """The rank correlation of the map with that of each other fill."""
    fills: Any = shown.recipe.method
    values = shown.table.at("alike", row).tolist()
    return ", ".join(f"{fill} {value:.2f}" for fill, value in zip(fills.fills, values, strict=True))


def report(shown: Shown, every: list[list[Any]], output: OutputOptions, numbers: dict[str, "object"]) -> None:
    table = shown.table
    named, columns = "layer" in table.columns, list[tuple[str, Callable[[int], str]]]()
    if any(name.endswith("_met") for name in table.columns):
        columns.append(("followed the rule", lambda r: met(shown, r)))
    if "error" in table.columns:
        columns.append(("windows off by", lambda r: off_by(shown, r)))
    if "alike" in table.columns:
        columns.append(("alike with other fills", lambda r: alike(shown, r)))
    header = ["id", "explained", "score", "map from", "to", *(["layer and weights"] if named else [])]
    header += [name for name, _ in columns]
    rows = [
        [table.ids[r], explained(shown, r)]
        + [f"{float(table.at(n, r)):.4g}" for n in ("score", "raw_min", "raw_max")]
        + ([beside(shown, r)] if named else [])
        + [text(r) for _, text in columns]
        for r in shown.rows
    ]
    output.table("", header, rows)
    write_explained(shown, every, (header, rows))
    shown.close(output, {"explained": int(table.readable.sum()), **numbers})
