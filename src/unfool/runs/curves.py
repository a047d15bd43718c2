"""A network before and after its training, on images that nothing was chosen by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..attacks.noise import RandomNoise
from ..attacks.sweep import Sweep
from ..data.base import Source
from ..method import Method, Question
from ..model import Model
from ..regions import Linf, Region
from .audit import one_step
from .begin import Watch, at_once, first_image, unwatched
from .course import Course
from .recipe import Recipe
from .table import Table, read_table
from .work import answered, work

SHARES = (0.25, 0.5, 0.75, 1.0, 1.5)
"""The radii of the curves, in radii of the region that was to be resisted."""


class Curves(NamedTuple):
    """Which images are wrong at each radius, 0 the first, by network and run: ``tables["after"]["fgsm"]``."""

    radii: tuple[float, ...]
    tables: dict[str, dict[str, Table]]


def radii_of(within: Region) -> tuple[float, ...]:
    """The radii at which a network is judged."""
    eps = within.radius[0] if isinstance(within.radius, tuple) else within.radius
    most = 1.0 if within.norm is Linf else float("inf")
    return tuple(sorted({min(share * eps, most) for share in SHARES}))


def run_curves(
    course: Course,
    models: Mapping[str, Model],
    address: str,
    source: Source,
    ids: Sequence[str],
    folder: Path,
    watch: Watch = unwatched,
) -> Curves:
    """Do what is missing: one step, the judge's attack and random changes as the control, on every model."""
    radii = radii_of(course.within)
    methods: dict[str, Method] = {
        "fgsm": Sweep(one_step(course.within), radii),
        "attack": Sweep(course.judge, radii),
        "random": Sweep(RandomNoise(draws=10), radii),
    }
    model = next(iter(models.values()))
    many = at_once(first_image(source, ids, model.view, model))

    def done(when: str, name: str) -> Table:
        model, method, place = models[when], methods[name], folder / "parts" / f"{when}-{name}"
        question = Question(model, course.within, seed=course.seed)
        recipe = repr(Recipe(method, when, address, course.within, seed=course.seed))
        rows = lambda some: answered(method, question, source.batch(some, model.view, model.classes))  # noqa: E731
        with watch(f"{when}, {name}", len(ids)) as progress:
            work(recipe, place, ids, rows, chunk=many, progress=progress)
        return read_table(place)

    return Curves(radii, {when: {name: done(when, name) for name in methods} for when in models})
