"""A method's maps graded beside maps that know nothing of the network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..attributions.baselines import BASELINES
from ..attributions.cam import LayerMap
from ..data.base import Source
from ..detections import finds_boxes
from ..measures.deletion import Deletion, Insertion
from ..measures.faithful import ConfidenceDrop, ConfidenceIncrease, Infidelity, Sensitivity
from ..measures.grading import Grades, Measure
from ..measures.places import Overlap, Pointing
from ..measures.road import ROAD
from ..measures.sanity import LayersRandomised, likeness, settled, steps_down
from ..measures.steady import Stability
from ..method import Columns, Method, Question
from ..model import Model
from ..objectives import Objective
from ..rows import Batch
from ..spec import Count, Natural, Spec
from ..targets import Box
from .begin import Watch, at_once, chosen, claim, first_image, ids_where, unwatched
from .engine import Asked
from .local import question_of
from .parts import Part
from .recipe import Recipe
from .table import Table, read_table
from .work import Reading, answered, work

MEASURES: tuple[Measure, ...] = (
    *(Deletion(), Insertion(), ROAD(), Infidelity(), ConfidenceDrop(), ConfidenceIncrease()),
    *(Sensitivity(), Stability(), Pointing(), Overlap()),
)
"""Those that need masks say nothing where there are none."""


class Grading(Spec):
    """Which method is graded, by which measures, over which images."""

    method: Method
    """An attribution."""
    model: str
    data: str
    measures: tuple[Measure, ...] = MEASURES
    relabelled: str | None = None
    """The address of a network like this one that was trained on random labels."""
    target: Natural | None = None
    """The class explained; by default the one predicted for each image."""
    limit: Count | None = None
    """How many images at most; None takes all."""
    sanity: Count = 24
    """How many images the checks against networks that know nothing look at."""
    seed: Natural = 0
    objective: Objective | None = None
    targets: tuple[Natural, ...] = ()
    """Several numbers instead of one target, such as the pair of classes of ``Between()``."""
    reference: str | None = None
    """The address of a picture that ``Like()`` compares with."""

    @property
    def recipe(self) -> Recipe:
        """What is graded, as a run of its own."""
        asked = {"target": self.target, "targets": self.targets, "reference": self.reference}
        how = {"limit": self.limit, "seed": self.seed, "objective": self.objective}
        return Recipe(self.method, self.model, self.data, **asked, **how)  # pyright: ignore[reportArgumentType]

    @property
    def methods(self) -> tuple[Method, ...]:
        """The one that is graded, and the baselines that are not it."""
        return (self.method, *(one for one in BASELINES if one != self.method))

    @property
    def by_layer(self) -> tuple[Measure, ...]:
        """What the layers of a map made at several are compared by: ROAD, or the first measure of faithfulness there
        is, which chooses; then whether they lie where masks say."""
        faithful = [one for one in self.measures if not (one.masks or one.remakes)]
        faithful.sort(key=lambda one: not isinstance(one, ROAD))
        return (*faithful[:1], *(one for one in self.measures if one.masks)) if faithful else ()


class Scanned(NamedTuple):
    """The same map made at one layer after the other."""

    measures: tuple[Measure, ...]
    tables: dict[str, Table]
    """By layer, in the order of the network."""


class Tables(NamedTuple):
    """The tables of a finished grading."""

    plan: Grading
    graded: dict[str, Table]
    """By method, the one that is graded first."""
    layers: tuple[str, ...]
    """The parts of the network from the output down; none where its weights cannot be had."""
    cascading: Table | None
    independent: Table | None
    relabelled: Table | None
    scanned: Scanned | None = None
    """Where the method is made at several layers."""
    scored: str = ""
    """The objective whose scores count; empty where it is the probability of a class."""


def run_grading(
    plan: Grading,
    model: Model,
    relabelled: Model | None,
    source: Source,
    folder: Path,
    watch: Watch = unwatched,
) -> Tables:
    """Do what is missing of a grading in ``folder``; stopped at any moment, it goes on from there."""
    claim(folder, repr(plan), model)
    ids = chosen(source.ids(), plan.limit, plan.seed)
    image = first_image(source, ids, model.view, model)
    question, read = question_of(plan.recipe, model, source), Reading(source, model.view, model.classes)

    def do(name: str, text: str, some: list[str], rows: Callable[[Batch], Part]) -> Table:
        place, many = folder / "parts" / name, min(32, at_once(image))
        with watch(name, len(some)) as progress:
            work(text, place, some, Asked(read, rows), chunk=many, progress=progress)
        return read_table(place)

    def method(name: str, one: Method, some: list[str]) -> Table:
        return do(name, f"{one!r} {plan!r}", some, lambda batch: answered(one, question, batch))

    graded = {
        repr(one): method(f"graded-{k}", Grades(one, plan.measures), list(ids))
        for k, one in enumerate(plan.methods)
    }
    first = graded[repr(plan.method)]
    usable = ids_where(ids, first.readable)[: plan.sanity]
    scored = "" if plan.objective is None else repr(plan.objective)
    if finds_boxes(model):
        scored = scored or repr(Box())
    if model.access != "gradients":
        return Tables(plan, graded, (), None, None, None, scored=scored)

    def scanned() -> Scanned | None:
        if not isinstance(plan.method, LayerMap) or not plan.by_layer or not usable:
            return None
        names = _layers(plan.method, question, source.batch(usable[:1], model.view, model.classes))
        if len(names) < 2:
            return None
        one = lambda k, name: method(  # noqa: E731
            f"layer-{k}", Grades(replace(plan.method, layer=name), plan.by_layer), list(ids)
        )
        return Scanned(plan.by_layer, {name: one(k, name) for k, name in enumerate(names)})

    def alike(batch: Batch) -> Columns:
        assert relabelled is not None
        return likeness(plan.method, settled(question, batch), batch, [relabelled])

    return Tables(
        plan,
        graded,
        tuple(part.name or model.name for part in steps_down(model, image[None])),
        method("cascading", LayersRandomised(plan.method, "cascading"), usable),
        method("independent", LayersRandomised(plan.method, "independent"), usable),
        relabelled
        and do(
            "relabelled",
            f"relabelled {plan!r}",
            usable,
            lambda b: Part(alike(b.readable()), {}, b.groups),
        ),
        scanned(),
        scored,
    )


def _layers(method: LayerMap, question: Question, batch: Batch) -> list[str]:
    """The names of the layers a map is made at."""
    names = [*question.model.layers]
    return [names[place] for place in method.columns(question, batch)["layer"].flatten().tolist()]
