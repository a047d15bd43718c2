"""Attacks made on one model and shown to others: the runs behind a transfer matrix."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ..attacks.base import Attack
from ..attacks.gradient import PGD
from ..attacks.noise import RandomNoise
from ..data.base import Source
from ..errors import InputError
from ..measures.predict import Predict
from ..method import Columns, Question
from ..model import Model
from ..objectives import Goal, Margin, Onwards, Untargeted, label_of
from ..query import Query
from ..regions import Linf, Region
from ..rows import Batch, Rng
from ..spec import Count, Natural, Spec
from ..views import from_uint8, to_uint8
from .begin import Watch, at_once, chosen, claim, first_image, ids_where, unwatched
from .engine import Asked
from .parts import Part
from .table import Table, read_table
from .work import Reading, answered, work

RANDOM = "random"
"""The source that is none: random signs of equal size, the control."""
NINE = (
    "net=linear",
    "net=mlp",
    "net=mlp&half=1&seed=1",
    "net=conv",
    "net=conv&half=2&seed=1",
    "net=svm&half=1",
    "net=knn",
    "net=forest&half=2",
    "net=tree",
)
"""Embedded models of digits: five networks, four others; of each kind one learned from half the digits."""


class Transfer(Spec):
    """Which models are attacked, how, and which are shown what came out."""

    models: tuple[str, ...]
    """Addresses of the victims."""
    sources: tuple[str, ...] = ()
    """Addresses of the models the attack is made on, "A + B" the mean of two; by default each with gradients."""
    data: str = "unfool:digits8"
    attack: Attack = PGD(steps=40, loss=Margin(), random_start=False)
    within: Region = Linf(0.2)
    onwards: bool = True
    """Go on climbing when the source is fooled: an image that only just fools one model fools few others."""
    limit: Count | None = None
    """How many images at most; None takes all."""
    seed: Natural = 0


class Transferred(NamedTuple):
    """The tables of a finished run: every victim's answers to the images, and to those made on each source."""

    plan: Transfer
    sources: tuple[str, ...]
    clean: dict[str, Table]
    ids: tuple[str, ...]
    """The images that all victims have right."""
    found: dict[str, Table]
    """By source, :data:`RANDOM` the last."""


def run_transfer(
    plan: Transfer,
    models: Mapping[str, Model],
    source: Source,
    folder: Path,
    watch: Watch = unwatched,
) -> Transferred:
    """Do what is missing in ``folder``; ``models`` has every victim and source by its address."""
    victims = [models[address] for address in plan.models]
    sources = plan.sources or tuple(a for a in plan.models if models[a].access == "gradients")
    _check(sources, victims)
    claim(folder, repr(plan), _all(models))
    view = next((m.view for m in victims if m.view), None)
    ids = chosen(source.ids(), plan.limit, plan.seed)
    many, read = (
        at_once(first_image(source, ids, view, victims[0])),
        Reading(source, view, victims[0].classes),
    )

    def do(name: str, text: str, some: Sequence[str], rows: Callable[[Batch], Part]) -> Table:
        place = folder / "parts" / name
        with watch(name, len(some)) as progress:
            work(text, place, some, Asked(read, rows), chunk=many, progress=progress)
        return read_table(place)

    def made(rows: Callable[[Batch], Columns]) -> Callable[[Batch], Part]:
        return lambda batch: Part(rows(batch), {}, batch.groups)

    clean = {
        address: do(
            f"clean-{k}",
            f"{address} {plan.data}",
            ids,
            lambda b, m=victims[k]: answered(Predict(), Question(m), b),
        )
        for k, address in enumerate(plan.models)
    }
    common = _common(ids, list(clean.values()))
    found = {
        address: do(
            f"from-{k}",
            f"{address} {plan!r}",
            common,
            made(lambda b, m=models[address]: attacked(plan, m, victims, b)),
        )
        for k, address in enumerate(sources)
    }
    found[RANDOM] = do("from-random", repr(plan), common, made(lambda b: randomised(plan, victims, b)))
    return Transferred(plan, sources, clean, tuple(common), found)


def _all(models: Mapping[str, Model]) -> Model:
    """What has the weights of all of them."""
    return Model(nn.ModuleList([models[address].net for address in sorted(models)]), name="all models")


def _check(sources: Sequence[str], victims: Sequence[Model]) -> None:
    if len(victims) < 2:
        raise InputError("a transfer needs at least two models", "name two or more --models")
    if not sources:
        raise InputError(
            "no model gives gradients to attack it by", "name --sources and an --attack by scores"
        )
    widths = {len(m.classes) for m in victims if m.classes}
    if len(widths) > 1:
        raise InputError(
            f"the models have {', '.join(map(str, sorted(widths)))} classes", "all must have the same"
        )


def _common(ids: Sequence[str], clean: Sequence[Table]) -> list[str]:
    right = torch.stack([table["correct"].bool() & table.readable for table in clean]).all(0)
    if not right.any():
        raise InputError(f"none of {len(ids)} images is right for all models", "do the data have labels?")
    return ids_where(ids, right)


def attacked(plan: Transfer, model: Model, victims: Sequence[Model], batch: Batch) -> Columns:
    """The attack on one model, and what every victim says of the image an 8-bit file would hold."""
    return _shown(plan, plan.attack, model, Onwards() if plan.onwards else Untargeted(), victims, batch)


def randomised(plan: Transfer, victims: Sequence[Model], batch: Batch) -> Columns:
    """The same with random signs as large as the region allows; which model is asked makes no difference."""
    return _shown(plan, RandomNoise(), victims[0], Untargeted(), victims, batch)


def _shown(
    plan: Transfer, attack: Attack, model: Model, goal: Goal, victims: Sequence[Model], batch: Batch
) -> Columns:
    x, y = batch.x.to(model.device), batch.y.to(model.device)
    rng = Rng.seeded(plan.seed, batch.ids, model.device)
    within = attack.region(x, plan.within)
    with model.settled():
        query = Query(model, goal, y, rng, who=type(attack).__name__)
        found = attack.found(query, within, within.around(x))
    saved = to_uint8(found).cpu()
    answers = [victim(from_uint8(saved)).cpu() for victim in victims]
    sure = [
        torch.full((len(x),), torch.nan) if v.access == "labels" else logits.softmax(1).amax(1).float()
        for v, logits in zip(victims, answers, strict=True)
    ]
    return {
        "adversarial": saved,
        "labels": torch.stack([label_of(logits) for logits in answers], 1),
        "confidences": torch.stack(sure, 1),
        "y": batch.y,
        "size": within.size(found - x).cpu(),
    }
