"""``unfool explain``."""

from pathlib import Path

from .pictures import Shown, run_over
from .shared import ModelOptions, OutputOptions, class_number, folder_for, opened


def explain(
    method: str,
    data: str,
    *,
    model: str = "unfool:digits",
    target: str | None = None,
    objective: str | None = None,
    out: Path | None = None,
    limit: int | None = None,
    pictures: int = 24,
    seed: int = 0,
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
        Class to explain, by name or number; by default the one the model predicts, of a map of scores the largest
        but class 0.
    objective
        What is explained instead of the class's logit, as text: Margin, "Segment('mask')", "Channel('layer3')". Of a
        map of scores it is the class's region: Segment(); "Segment(at=(20, 31))" is the part around a position,
        "Neuron('output', (20, 31))" that position alone.
    out
        The folder for pictures and numbers; by default one in runs/explain named after what is run.
    limit
        How many pictures at most, drawn by the seed.
    pictures
        How many panels are written.
    seed
        Where all random numbers come from.
    """
    from ..attributions.base import Attribution
    from ..objectives import Objective
    from ..runs.recipe import Recipe
    from ..spec import parse
    from ..targets import Segment
    from .regions import gives_maps, map_panels

    network = loading.load(model)
    aim = class_number(target, network)
    of_maps = gives_maps(network, opened(data))
    asked = parse(objective, Objective) if objective else Segment() if of_maps else None
    recipe = Recipe(
        parse(method, Attribution), model, data, target=aim, limit=limit, seed=seed, objective=asked
    )
    folder = folder_for(out, "explain", type(recipe.method).__name__, recipe, loading.told())
    shown = run_over(recipe, network, folder, output, pictures)
    shown.draw(map_panels if of_maps else panels)
    report(shown, output)


def panels(shown: Shown, k: int) -> list[tuple[str, "object"]]:
    """Image, map and overlay of one row."""
    from ..show.heat import map_picture, overlay

    image, row = shown.batch.x[k], shown.rows[k]
    heat = shown.table["heat"][row][0]
    label = shown.model.label_name(int(shown.table["target"][row]))
    spans = f"{float(shown.table['raw_min'][row]):.3g} to {float(shown.table['raw_max'][row]):.3g}"
    return [("image", image), (f"{label}: {spans}", map_picture(heat)), ("overlay", overlay(image, heat))]


def report(shown: Shown, output: OutputOptions) -> None:
    table = shown.table
    header = ["id", "explained", "score", "map from", "to"]
    rows = [
        [table.ids[r], shown.model.label_name(int(table["target"][r]))]
        + [f"{float(table[n][r]):.4g}" for n in ("score", "raw_min", "raw_max")]
        for r in shown.rows
    ]
    output.table("", header, rows)
    shown.close(output, {"explained": int(table.readable.sum())})
