"""A recipe run in this process."""

from collections.abc import Sequence
from pathlib import Path

from ..data.base import Source
from ..method import Question
from ..model import Model
from .begin import chosen, claim
from .recipe import Recipe
from .table import Table, read_table, write_parquet
from .work import Part, Progress, answered, work


def run_recipe(
    recipe: Recipe, model: Model, source: Source, folder: Path, progress: Progress = lambda n: None
) -> Table:
    """Do what is missing of a run in ``folder``, and give back all of it; its scalars are in ``table.parquet`` too."""
    claim(folder, repr(recipe), model)
    question = Question(model, recipe.within, recipe.target, recipe.seed, recipe.objective)

    def rows(ids: Sequence[str]) -> Part:
        return answered(recipe.method, question, source.batch(ids, model.view, model.classes))

    ids = source.ids() if recipe.limit is None else chosen(source.ids(), recipe.limit, recipe.seed)
    work(repr(recipe), folder, ids, rows, chunk=recipe.chunk, progress=progress)
    table = read_table(folder)
    write_parquet(table, folder / "table.parquet")
    return table
