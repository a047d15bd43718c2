"""A recipe run in this process."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..data.address import open_data
from ..data.base import Source
from ..errors import DataError, InputError
from ..method import Question
from ..model import Model
from ..targets import Like
from .begin import chosen, claim, starts
from .recipe import Recipe
from .table import Table, read_table, write_parquet
from .work import Part, Progress, answered, work


def question_of(recipe: Recipe, model: Model, source: Source) -> Question:
    """What every batch of a recipe is asked; towards a target with some of its images to begin at, where that helps."""
    target = torch.tensor(recipe.targets) if recipe.targets else recipe.target
    question = Question(model, recipe.within, target, recipe.seed, objective=recipe.objective)
    if recipe.reference is not None:
        question = question._replace(given={"reference": reference(recipe, recipe.reference, model)})
    method = recipe.method
    if not isinstance(method, Attack) or not method.has_to_begin or recipe.target is None:
        return question
    return question._replace(starts=starts(source, model, recipe.target, recipe.seed))


def reference(recipe: Recipe, address: str, model: Model) -> Tensor:
    """What a layer gives for the first picture at an address: [1, ...]."""
    if not isinstance(recipe.objective, Like):
        raise InputError(
            f"{recipe.objective!r} compares with no other picture", "use Like() with a reference"
        )
    source = open_data(address)
    batch = source.batch(source.ids()[:1], model.view, model.classes)
    if batch.errors:
        raise DataError(f"{address}: {next(iter(batch.errors.values()))}")
    layer = recipe.objective.layer
    return model.trace(batch.x.to(model.device), (layer,))[layer].detach().cpu()


def run_recipe(
    recipe: Recipe, model: Model, source: Source, folder: Path, progress: Progress = lambda n: None
) -> Table:
    """Do what is missing of a run in ``folder``, and give back all of it; its scalars are in ``table.parquet`` too."""
    claim(folder, repr(recipe), model)
    question = question_of(recipe, model, source)

    def rows(ids: Sequence[str]) -> Part:
        return answered(recipe.method, question, source.batch(ids, model.view, model.classes))

    ids = source.ids() if recipe.limit is None else chosen(source.ids(), recipe.limit, recipe.seed)
    work(repr(recipe), folder, ids, rows, chunk=recipe.chunk, progress=progress)
    table = read_table(folder)
    write_parquet(table, folder / "table.parquet")
    return table
