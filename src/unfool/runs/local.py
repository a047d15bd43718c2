"""A recipe run in this process."""

from math import ceil
from pathlib import Path

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..data.address import open_data
from ..data.base import Source
from ..errors import DataError, InputError, Unfinished
from ..method import Question
from ..model import Model
from ..rows import Batch
from ..targets import Like
from .begin import chosen, claim, starts
from .engine import Asked
from .parts import Part
from .recipe import Recipe
from .table import Table, read_table, write_parquet
from .work import Progress, Reading, answered, work


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


class _Answers:
    """A recipe's columns of a batch; what it asks is made out when the first batch comes, of a finished run never."""

    def __init__(self, recipe: Recipe, model: Model, source: Source):
        self.recipe, self.model, self.source = recipe, model, source
        self.question: Question | None = None

    def __call__(self, batch: Batch) -> Part:
        if self.question is None:
            self.question = question_of(self.recipe, self.model, self.source)
        return answered(self.recipe.method, self.question, batch)


def run_recipe(
    recipe: Recipe,
    model: Model,
    source: Source,
    folder: Path,
    progress: Progress = lambda n: None,
    together: bool = True,
) -> Table:
    """Do what is missing of a run in ``folder``, and give back all of it; its scalars are in ``table.parquet`` too.

    Of a run that is shared between ranks, each waits for the others; without ``together`` one that is not the last
    raises :class:`Unfinished` instead.
    """
    claim(folder, repr(recipe), model)
    ids = source.ids() if recipe.limit is None else chosen(source.ids(), recipe.limit, recipe.seed)
    rows = Asked(Reading(source, model.view, model.classes), _Answers(recipe, model, source))
    missing = work(repr(recipe), folder, ids, rows, chunk=recipe.chunk, together=together, progress=progress)
    if missing:
        raise Unfinished(folder, missing, ceil(len(ids) / recipe.chunk))
    table = read_table(folder)
    write_parquet(table, folder / "table.parquet")
    return table
