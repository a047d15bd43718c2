"""``unfool explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .pictures import Shown, run_over
from .shared import ModelOptions, OutputOptions, class_number

if TYPE_CHECKING:
    from ..analysis.sanity import Badge


def explain(
    method: str,
    data: str,
    *,
    model: str = "unfool:digits",
    target: str | None = None,
    objective: str | None = None,
    out: Path = Path("runs/explain"),
    limit: int | None = None,
    pictures: int = 24,
    seed: int = 0,
    grade: Annotated[bool, Parameter(negative="")] = False,
    measures: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    relabelled: str | None = None,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Show what a model looks at in pictures.

    Writes a panel for each picture and the maps themselves, as computed, beside all numbers.

    Parameters
    ----------
    method
        An attribution as text: Gradient, "SmoothGrad(GradCAM('layer4'), samples=9)"; unfool methods lists them.
    data
        A picture, a folder, .csv, .parquet, .npz, torchvision:NAME:split or unfool:digits.
    model
        An address, as for unfool audit.
    target
        Class to explain, by name or number; by default the one the model predicts.
    objective
        What is explained instead of the class's logit, as text: Margin, "Segment('mask')", "Channel('layer3')".
    out
        The folder for pictures and numbers.
    limit
        How many pictures at most, drawn by the seed.
    pictures
        How many panels are written.
    seed
        Where all random numbers come from.
    grade
        Say what the maps are worth: faithfulness, localisation where there are masks, stability and sanity, beside maps
        that know nothing of the network.
    measures
        What --grade measures, as text: "Deletion(steps=8)" "Pointing(15)"; by default all there is.
    relabelled
        The address of a network like the model that was trained on random labels, for --grade.
    """
    from ..attributions.base import Attribution
    from ..objectives import Objective
    from ..runs.recipe import Recipe
    from ..spec import parse

    network = loading.load(model)
    aim = class_number(target, network)
    asked = None if objective is None else parse(objective, Objective)
    recipe = Recipe(
        parse(method, Attribution), model, data, target=aim, limit=limit, seed=seed, objective=asked
    )
    shown = run_over(recipe, network, out, output, pictures)
    badge, numbers = None, {}
    if grade:
        from ..analysis.grading import numbers as told
        from ..report.summary import clean
        from .grade import grade_run

        found = grade_run(recipe, network, measures or (), relabelled, out, loading, output)
        badge, numbers = found.badge, {"grade": clean(told(found))}
    shown.draw(lambda shown, k: panels(shown, k, badge))
    report(shown, output, numbers)


def panels(shown: Shown, k: int, badge: "Badge | None" = None) -> list[tuple[str, "object"]]:
    """Image, map and overlay of one row; the maps carry their badge where there is one."""
    from ..show.grades import badged
    from ..show.heat import map_picture, overlay

    image, row = shown.batch.x[k], shown.rows[k]
    heat = shown.table["heat"][row][0]
    label = shown.model.label_name(int(shown.table["target"][row]))
    spans = f"{float(shown.table['raw_min'][row]):.3g} to {float(shown.table['raw_max'][row]):.3g}"
    drawn = [(f"{label}: {spans}", map_picture(heat)), ("overlay", overlay(image, heat))]
    if badge is not None:
        drawn = [(text, badged(picture, badge.verdict, badge.brief)) for text, picture in drawn]
    return [("image", image), *drawn]


def report(shown: Shown, output: OutputOptions, numbers: dict[str, "object"]) -> None:
    table = shown.table
    header = ["id", "explained", "score", "map from", "to"]
    rows = [
        [table.ids[r], shown.model.label_name(int(table["target"][r]))]
        + [f"{float(table[n][r]):.4g}" for n in ("score", "raw_min", "raw_max")]
        for r in shown.rows
    ]
    output.table("", header, rows)
    shown.close(output, {"explained": int(table.readable.sum()), **numbers})
