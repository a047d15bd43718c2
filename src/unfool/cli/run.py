"""``unfool run``."""

from pathlib import Path

from .pictures import run_over
from .running import RunOptions
from .shared import ModelOptions, folder_for


def run(
    recipe: Path,
    *,
    out: Path | None = None,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Run a recipe from a file.

    A recipe is one line, such as Recipe(PGD(steps=40), 'unfool:digits', 'unfool:digits', within=Linf(0.1)); every run
    leaves its own as recipe.txt.

    Parameters
    ----------
    recipe
        The file.
    out
        The folder for the results; by default one in runs/run named after the method and the recipe.
    """
    output.ahead(out)
    from ..errors import DataError
    from ..runs.recipe import Recipe
    from ..spec import parse

    try:
        text = recipe.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise DataError(f"cannot read {recipe}: {reason}", "a recipe is a text file of one line") from None
    wanted = parse(text, Recipe)
    place = folder_for(out, "run", type(wanted.method).__name__, wanted, loading.told())
    shown = run_over(wanted, loading.load(wanted.model), place, output, 0)
    numbers = shown.table.scalars
    means = {name: float(values[shown.table.readable].double().mean()) for name, values in numbers.items()}
    output.table("", ["column", "mean"], [[name, f"{mean:.5g}"] for name, mean in means.items()])
    shown.close(output, {"means": means})
