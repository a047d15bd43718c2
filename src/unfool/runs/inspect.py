"""Runs over a few images that are looked at closely: along lines, in planes, under several norms."""

from pathlib import Path

from ..attacks.base import Attack
from ..attacks.gradient import PGD
from ..attacks.noise import RandomNoise
from ..data.base import Source
from ..measures.directions import ChurchWindow, FlipAlong, LogitsAlong
from ..measures.draws import FirstDraw
from ..measures.predict import Predict
from ..model import Model
from ..objectives import Margin
from ..regions import L0, L2, Linf, Region
from ..spec import Count, Natural, Positive, Spec
from .begin import Step, Watch, chosen, ids_where, unwatched
from .steps import Runner, Tables


class Directions(Spec):
    """What is measured along straight lines and in planes through images."""

    model: str = "unfool:digits8"
    data: str = "unfool:digits8"
    limit: Positive = 0.3
    """How far the line goes to either side, as a multiple of a pattern of ±1."""
    reach: Positive = 2.0
    """How far a plane goes to either side, in L2."""
    points: Count = 61
    plane: Count = 41
    planes: Count = 3
    """Planes of each image, each with another random axis."""
    eps: Positive = 0.3
    """The size of the random changes of which the worst of n counts, in Linf."""
    draws: Count = 100
    images: Count = 4
    """How many images are shown."""
    sample: Count = 100
    """How many images every number is measured on."""
    seed: Natural = 0


class Norms(Spec):
    """The same images attacked within three norms."""

    model: str = "unfool:digits8"
    data: str = "unfool:digits8"
    attack: Attack = PGD(steps=40, loss=Margin())
    regions: tuple[Region, ...] = (L2(1.0), Linf(0.2), L0(5))
    images: Count = 3
    sample: Count = 200
    seed: Natural = 0


def run_directions(
    plan: Directions, model: Model, source: Source, folder: Path, watch: Watch = unwatched
) -> Tables:
    """The tables by run; ``cases`` are the images shown, of those the model has right."""
    runner = Runner(plan, plan.model, plan.data, plan.seed, model, source, folder, watch)
    ids = chosen(source.ids(), plan.sample, plan.seed)
    box = Linf(plan.eps)
    tables = runner.all(
        [
            Step("predict", Predict(), ids, box, runner.many),
            Step("logits", LogitsAlong(plan.limit, plan.points), ids, box, runner.many),
            Step("logits-random", LogitsAlong(plan.limit, plan.points, "sign"), ids, box, runner.many),
            Step("draws", FirstDraw(plan.draws), ids, box, runner.many),
            *(
                Step(f"along-{w}", FlipAlong(w), ids, box, runner.many)
                for w in ("gradient", "sign", "gaussian")
            ),
        ]
    )
    right = ids_where(ids, tables["predict"]["correct"].bool())
    windows = {
        **{f"plane-{k}": ChurchWindow(plan.reach, plan.plane, draw=k) for k in range(1, plan.planes + 1)},
        "plane-random": ChurchWindow(plan.reach, plan.plane, across="gaussian"),
    }
    shown = right[: max(plan.images, min(24, plan.sample))]
    return tables | runner.all([Step(name, window, shown, box, 8) for name, window in windows.items()])


def run_norms(plan: Norms, model: Model, source: Source, folder: Path, watch: Watch = unwatched) -> Tables:
    """The attack and the random control within each region, on images that the model has right."""
    runner = Runner(plan, plan.model, plan.data, plan.seed, model, source, folder, watch)
    ids = chosen(source.ids(), plan.sample, plan.seed)
    first = runner.all([Step("predict", Predict(), ids, plan.regions[0], runner.many)])
    right = ids_where(ids, first["predict"]["correct"].bool())
    steps = [
        Step(f"{name}-{k}", method, right, region, runner.many)
        for k, region in enumerate(plan.regions)
        for name, method in (("attack", plan.attack), ("random", RandomNoise()))
    ]
    return first | runner.all(steps)
