"""The audit: which runs it is made of, and running them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..attacks.gradient import FGSM, PGD
from ..attacks.noise import RandomNoise
from ..attacks.sweep import Sweep, Threshold
from ..attacks.wrappers import Repeated
from ..attributions.base import Attribution
from ..attributions.cam import GradCAM, LayerMap
from ..attributions.gradient import Gradient
from ..attributions.wrappers import SmoothGrad
from ..data.base import Source
from ..errors import InputError
from ..measures.directions import ChurchWindow, FlipAlong, LogitsAlong
from ..measures.gradients import GradientHealth
from ..measures.predict import Predict
from ..measures.sanity import Randomised
from ..method import Question
from ..model import Model
from ..objectives import CrossEntropy, Margin
from ..regions import Linf, Region
from ..spec import Count, Natural, Positive, Spec
from ..views import View
from .begin import Step, Watch, at_once, chosen, claim, first_image, ids_where, unwatched
from .cases import CaseStudy
from .evaluation import chosen_verdict
from .recipe import Recipe
from .table import Table, read_table
from .work import asking, work

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
"""The radii of the accuracy curve, in radii of the audited region."""


class Audit(Spec):
    """How easily a model is fooled, and what it looks at: the settings of an audit."""

    model: str = "unfool:digits"
    data: str = "unfool:digits"
    within: Region = Linf(0.1)
    """The change an attacker may make."""
    radii: tuple[Positive, ...] = ()
    """Where accuracy is measured; by default an eighth of ``within`` to four times it."""
    gates: tuple[Positive, ...] = ()
    """Radii at which a gate wants to know the accuracy, too."""
    level: Literal["quick", "standard", "thorough"] = "standard"
    """What is tried on images that the curve's own attack leaves right: nothing more, rival classes one by one and a
    search by scores, or all of it from several starts, longer, and FAB."""
    protocol: Literal["unfool", "autoattack"] = "unfool"
    """Whose attacks: with autoattack the published suite in its published order, on every image that is right."""
    steps: Count = 40
    """Steps of the strong attack."""
    restarts: Count = 3
    """Random starts of the strong attack."""
    draws: Count = 20
    """Random changes of which the worst counts, as a control."""
    attributions: tuple[Attribution, ...] = (Gradient(), SmoothGrad(), GradCAM())
    cases: Count = 8
    """How many images are looked at closely."""
    planes: Count = 3
    """How many of those are also seen in planes of directions."""
    sample: Count = 100
    """How many images the straight-line controls are measured on."""
    sanity: Count = 32
    """How many images the maps' dependence on the weights is measured on."""
    limit: Count | None = None
    """How many images at most; None takes all."""
    seed: Natural = 0
    groups: tuple[str, ...] = ()
    """Attributes of the data by which images are told apart, one by one and crossed."""
    positive: Natural | None = None
    """The class whose true and false positives count by group; by default 1 of two, the mean over more."""

    @property
    def eps(self) -> float:
        """The audited radius, one for all images."""
        if isinstance(self.within.radius, tuple):
            raise InputError(f"an audit has one eps for all images, not {len(self.within.radius)}")
        return float(self.within.radius)

    @property
    def grid(self) -> tuple[float, ...]:
        """Every radius at which accuracy is measured, ascending."""
        most = 1.0 if self.within.norm is Linf else math.inf  # images lie in [0, 1]
        radii = self.radii or tuple(min(share * self.eps, most) for share in SHARES)
        return tuple(sorted({*radii, *self.gates, self.eps}))

    @property
    def strong(self) -> Attack:
        return Repeated(PGD(steps=self.steps, loss=Margin()), self.restarts)


def population_steps(audit: Audit, ids: Sequence[str], image: Tensor) -> list[Step]:
    """The runs that say how easily the model is fooled, the last ones as controls of the others."""
    grid, within, many = audit.grid, audit.within, at_once(image)
    box = within.sized(
        float(within.size(torch.ones_like(image[None])))
    )  # so large that every image lies inside
    strong, quicker = (PGD(steps=steps, loss=Margin()) for steps in (audit.steps, -(-audit.steps // 2)))
    steps = [
        Step("predict", Predict(every=bool(audit.groups)), ids, within, many),
        Step("fgsm", Sweep(one_step(within), grid), ids, within, many),
        Step("pgd", Threshold(audit.strong, grid, audit.eps, quicker), ids, within, many),
        Step("random", Sweep(RandomNoise(), grid), ids, within, many),
        Step("worst-random", Sweep(RandomNoise(draws=audit.draws), grid), ids, within, many),
        Step("gradients", GradientHealth(), ids, within, many),
        Step(
            "cross-entropy",
            Sweep(PGD(steps=audit.steps, loss=CrossEntropy()), (audit.eps,)),
            ids,
            within,
            many,
        ),
        Step("whole-box", Sweep(strong, (float(box.radius),)), ids, box, many),  # pyright: ignore[reportArgumentType]
    ]
    some = ids[: audit.sample]
    return steps + [
        Step(f"along-{way}", FlipAlong(way), some, within, many) for way in ("gradient", "sign", "gaussian")
    ]


def one_step(within: Region) -> Attack:
    """FGSM, or in L0, where it has no step of its own, the first step of PGD."""
    return FGSM() if within.norm in FGSM().usable else PGD(steps=1, random_start=False)


def close_steps(audit: Audit, cases: Sequence[str], ids: Sequence[str], image: Tensor) -> list[Step]:
    """The runs over the few images that are looked at closely, and the check of what they are looked at with."""
    amplitude = float(audit.within.size(torch.ones_like(image[None])))
    amplitude = audit.eps / amplitude  # of a pattern of ±1 as large as the region
    reach, points = 2.5 * amplitude * image.numel() ** 0.5, 41 if image.numel() <= 4096 else 21
    planes = {
        "window": ChurchWindow(reach, points),
        "window-again": ChurchWindow(reach, points, draw=2),
        "window-random": ChurchWindow(reach, points, across="gaussian"),
    }
    return [
        Step("cases", CaseStudy(audit.strong, audit.attributions), cases, audit.within, 4),
        Step("logits", LogitsAlong(min(1.0, 3 * amplitude)), cases, audit.within, 4),
        *(Step(name, plane, cases[: audit.planes], audit.within, 1) for name, plane in planes.items()),
        *(
            Step(f"sanity-{k}", Randomised(attribution), ids[: audit.sanity], audit.within, 16)
            for k, attribution in enumerate(audit.attributions)
        ),
    ]


def run_audit(audit: Audit, model: Model, source: Source, folder: Path, watch: Watch = unwatched) -> None:
    """Do what is missing of an audit in ``folder``; stopped at any moment, it goes on from there."""
    view = model.view if isinstance(model.view, View) else None
    ids = chosen(source.ids(), audit.limit, audit.seed)
    image = first_image(source, ids, view, model)
    audit = fitting(audit, model, image)
    claim(folder, repr(audit), model)

    def do(step: Step) -> Table:
        question = Question(model, step.within, seed=audit.seed)
        recipe = Recipe(
            step.method, audit.model, audit.data, step.within, limit=len(step.ids), seed=audit.seed
        )
        place = folder / "parts" / step.name
        with watch(step.name, len(step.ids)) as progress:
            rows = asking(step.method, question, source)
            work(repr(recipe), place, step.ids, rows, chunk=step.chunk, progress=progress)
        return read_table(place)

    tables = {step.name: do(step) for step in population_steps(audit, ids, image)}
    usable = [i for i, fine in zip(ids, tables["predict"].readable, strict=True) if fine]
    if (verdict := verdict_step(audit, model, tables, image)) is not None:
        do(verdict)
    cases = telling_cases(tables["predict"], tables["pgd"], audit)
    for step in close_steps(audit, cases, usable, image):
        do(step)


def verdict_step(audit: Audit, model: Model, tables: dict[str, Table], image: Tensor) -> Step | None:
    """The evaluation of the images that are still right: after the curve, or for a protocol to begin with."""
    health, pgd = tables["gradients"], tables["pgd"]
    method = chosen_verdict(audit.level, audit.protocol, model, audit.within, health, image)
    at = 0 if audit.protocol == "autoattack" else [0.0, *audit.grid].index(audit.eps)
    left = ids_where(pgd.ids, ~pgd["flipped"][:, at].bool() & pgd.readable)
    return Step("verdict", method, left, audit.within, at_once(image)) if method and left else None


def fitting(audit: Audit, model: Model, image: Tensor) -> Audit:
    """The audit without maps that a network without positions in its layers cannot have, such as an MLP."""
    if not any(isinstance(method, LayerMap) for method in audit.attributions):
        return audit
    try:
        model.last_spatial_layer(image[None])
    except InputError:
        return replace(
            audit, attributions=tuple(m for m in audit.attributions if not isinstance(m, LayerMap))
        )
    return audit


def telling_cases(predict: Table, pgd: Table, audit: Audit) -> list[str]:
    """Images that hold, that are wrong to begin with, and (most of them) that are fooled within the region."""
    at = [0.0, *audit.grid].index(audit.eps)
    flipped, wrong = pgd["flipped"][:, at].bool(), pgd["flipped"][:, 0].bool()
    readable = predict.readable & (predict["y"] >= 0) if (predict["y"] >= 0).any() else predict.readable
    kinds = {"fooled": flipped & ~wrong, "wrong": wrong, "right": ~flipped}
    share = {"fooled": audit.cases - audit.cases // 2, "wrong": audit.cases // 4, "right": audit.cases // 4}
    found = {kind: ids_where(predict.ids, flags & readable) for kind, flags in kinds.items()}
    picked = [i for kind, ids in found.items() for i in ids[: share[kind]]]
    spare = [i for ids in found.values() for i in ids if i not in picked]
    return (picked + spare)[: audit.cases]
