"""A run that explains all images of one class, to look for shortcuts in the maps."""

from collections.abc import Sequence
from pathlib import Path

from ..attributions.base import Attribution
from ..attributions.gradient import GradientTimesInput
from ..data.base import Source
from ..data.labels import label_numbers
from ..errors import InputError
from ..method import Question
from ..model import Model
from ..spec import Count, Fraction, Natural, Spec
from .begin import Watch, at_once, chosen, claim, first_image, unwatched
from .recipe import Recipe
from .table import Table, read_table
from .work import asking, work


class Shortcuts(Spec):
    """Which maps are clustered, and which edits say whether a cluster's cue matters."""

    model: str
    data: str
    target: Natural
    """The class whose maps are clustered."""
    method: Attribution = GradientTimesInput()
    cue: str = ""
    """A picture of what is suspected, where the data do not mark it."""
    side: Count = 16
    """Maps are brought to a grid of so many positions a side."""
    most: Count = 8
    """No more clusters than this."""
    least: Fraction = 0.1
    """By what share of images more than its control an edit must change for the model to use a cue."""
    sample: Count = 1000
    """How many images of the class are explained at most, and how many others are edited."""
    images: Count = 4
    """How many images of each kind are shown."""
    seed: Natural = 0


def class_ids(
    source: Source, model: Model, target: int, sample: int, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Samples labelled as the class and samples labelled otherwise, at most ``sample`` of each."""
    ids = chosen(source.ids(), None, seed)
    labels = label_numbers(
        ids, [source.label(i) for i in ids], model.classes or source.label_names(), {}
    ).tolist()
    own = tuple(i for i, y in zip(ids, labels, strict=True) if y == target)
    others = tuple(i for i, y in zip(ids, labels, strict=True) if y not in (target, -1))
    for kind, found in (("of", own), ("but of", others)):
        if not found:
            name = model.label_name(target)
            raise InputError(
                f"no sample is {kind} class {name}", "labels are needed; --target names another class"
            )
    return own[:sample], others[:sample]


def run_shortcuts(
    plan: Shortcuts, model: Model, source: Source, folder: Path, watch: Watch = unwatched
) -> Table:
    """The maps of every image of the class, for that class."""
    claim(folder, repr(plan), model)
    ids, _ = class_ids(source, model, plan.target, plan.sample, plan.seed)
    recipe = Recipe(plan.method, plan.model, plan.data, target=plan.target, limit=len(ids), seed=plan.seed)
    return run_maps("maps", recipe, ids, model, source, folder, watch)


def run_maps(
    name: str,
    recipe: Recipe,
    ids: Sequence[str],
    model: Model,
    source: Source,
    folder: Path,
    watch: Watch = unwatched,
) -> Table:
    """What is missing of a recipe over some samples, in ``parts/name``."""
    rows = asking(recipe.method, Question(model, None, recipe.target, recipe.seed), source)
    place, chunk = folder / "parts" / name, at_once(first_image(source, ids, model.view, model))
    with watch(name, len(ids)) as progress:
        work(repr(recipe), place, ids, rows, chunk=chunk, progress=progress)
    return read_table(place)
