"""A plan of several runs over one model and one source, in one folder."""

from collections.abc import Sequence
from pathlib import Path

from ..data.base import Source
from ..method import Question
from ..model import Model
from ..spec import Spec
from .begin import Step, Watch, at_once, claim, first_image
from .recipe import Recipe
from .table import Table, read_table
from .work import asking, work

Tables = dict[str, Table]


class Runner:
    """Does the missing steps of one plan in one folder."""

    def __init__(
        self,
        plan: Spec,
        address: str,
        data: str,
        seed: int,
        model: Model,
        source: Source,
        folder: Path,
        watch: Watch,
    ):
        claim(folder, repr(plan), model)
        self.address, self.data, self.seed, self.folder, self.watch = address, data, seed, folder, watch
        self.model, self.source = model, source
        self.many = at_once(first_image(source, source.ids(), model.view, model))

    def all(self, steps: Sequence[Step]) -> Tables:
        return {step.name: self.done(step) for step in steps}

    def done(self, step: Step) -> Table:
        recipe = Recipe(
            step.method, self.address, self.data, step.within, limit=max(1, len(step.ids)), seed=self.seed
        )
        place = self.folder / "parts" / step.name
        with self.watch(step.name, len(step.ids)) as progress:
            rows = asking(step.method, Question(self.model, step.within, seed=self.seed), self.source)
            work(repr(recipe), place, step.ids, rows, chunk=step.chunk, progress=progress)
        return read_table(place)
