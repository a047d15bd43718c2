"""What an operating envelope says of images that it should know, and of images that it should not."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..attacks.gradient import PGD
from ..attacks.noise import RandomNoise
from ..data.base import Source
from ..measures.embed import features_and_logits
from ..model import Model
from ..regions import Linf, Region
from ..rows import Batch, Rng
from ..runs.begin import chosen
from ..spec import Count, Fraction, Natural, Spec
from ..synthesis.base import Synthesis
from ..synthesis.fooling import Fooling
from .discrimination import auc
from .drift import FEWEST, MOST, Covariate, Share, covariate_shift, label_shift
from .envelope import SCORES, Envelope, Judged, Status, judge, outside
from .rates import Mean, Rate, rate

CONTROLS = ("brightness", "random")
STATUSES: tuple[Status, ...] = ("inside", "edge", "outside")


class Watched(Spec):
    """Whose envelope, learned from which images, and what it is tried on."""

    model: str
    data: str
    training: str = ""
    """What the network has learned from; "" where an envelope was given."""
    calibrate: str = ""
    """Images it has not learned from; by default every second one of the training images."""
    envelope: str = ""
    """A file of an envelope that was learned before."""
    alarm: Fraction = 0.01
    """The share of images like the known ones that may be called outside."""
    edge: Fraction = 0.05
    """Likewise of those called edge or outside."""
    neighbours: Count = 10
    attack: Attack = PGD(steps=20)
    within: Region = Linf(0.1)
    fooling: Synthesis = Fooling()
    images: Count = 200
    """How many images of the data are changed and attacked."""
    sample: Count = 2000
    """How many images of either data at most."""
    seed: Natural = 0


class Kind(NamedTuple):
    """One kind of images and how well each score tells them from the data."""

    name: str
    n: int
    judged: Judged
    shares: dict[Status, Rate]
    auroc: dict[str, Mean]
    """By score; brightness and random numbers are controls."""
    examples: Tensor
    changed: Rate | None
    """Where images were changed: how many the model then takes for something else."""


class Watch(NamedTuple):
    """Everything about one envelope and one set of images."""

    plan: Watched
    classes: tuple[str, ...]
    known: Envelope
    ids: tuple[str, ...]
    kinds: tuple[Kind, ...]
    """The data themselves first."""
    right: dict[Status, Rate]
    """How often the model is right on the data's images with labels, by their status."""
    left_out: tuple[str, ...]
    covariate: Covariate | None
    labels: tuple[Share, ...]


def watch(
    plan: Watched, model: Model, known: Envelope, batch: Batch, learned: Batch | None, held: Batch | None
) -> Watch:
    """``learned`` are the training images; ``held`` labelled ones that the model has not learned from."""
    some = batch[torch.arange(min(plan.images, len(batch)))]
    made, left_out = strange(plan, model, some, learned)
    usual = _scores(plan, model, known, batch.x, "data")
    kinds = [_kind(plan, model, known, "the data", batch.x, None, usual)]
    for name, (x, origin) in made.items():
        kinds.append(_kind(plan, model, known, name, x, origin, usual))
    features, logits = features_and_logits(model, batch.x)
    said = logits.argmax(1)
    right: dict[Status, Rate] = {
        s: rate((said == batch.y)[kinds[0].judged.share(s) & (batch.y >= 0)]) for s in STATUSES
    }
    reference = held if held is not None else learned
    shift, labels = None, tuple[Share, ...]()
    if reference is not None:
        before = features_and_logits(model, reference.x)
        if len(reference) >= 2 * FEWEST and len(batch) >= FEWEST:
            shift = covariate_shift(before[0], features, plan.seed)
        if 1 < len(reference.y[reference.y >= 0].unique()) <= MOST:
            labels = label_shift(before[1].argmax(1), reference.y, said, batch.y, plan.seed)
    return Watch(plan, tuple(model.classes), known, batch.ids, tuple(kinds), right, left_out, shift, labels)


def strange(
    plan: Watched, model: Model, some: Batch, learned: Batch | None
) -> tuple[dict[str, tuple[Tensor, Tensor | None]], tuple[str, ...]]:
    """Images that are none of the data's, by kind, with the images they were made from; and what was left out, why."""
    x, left_out = some.x, list[str]()
    made: dict[str, tuple[Tensor, Tensor | None]] = {
        "noise": (Rng.seeded(plan.seed, some.ids).uniform(x, 0, 1), None),
        "inverted": (1 - x, x),
    }
    if x.ndim > 3 and x.shape[-1] == x.shape[-2]:
        made["rotated by 90°"] = (x.rot90(1, (-2, -1)), x)
    else:
        left_out.append("rotated by 90°: the images are not square")
    if model.access != "gradients":
        left_out.append("fooling and adversarial images: the model gives no gradients")
        return made, tuple(left_out)
    start = (x if learned is None else learned.x).double().mean(0, keepdim=True).to(x.dtype)
    made["fooling"] = (_fooling(plan, model, start), None)
    y = features_and_logits(model, x)[1].argmax(1)
    made["adversarial"] = (
        plan.attack(model, x, y, within=plan.within, seed=plan.seed, ids=some.ids).x.cpu(),
        x,
    )
    control = RandomNoise()(model, x, y, within=plan.within, seed=plan.seed, ids=some.ids)
    made["random change of that size"] = (control.x.cpu(), x)
    return made, tuple(left_out)


def _fooling(plan: Watched, model: Model, start: Tensor) -> Tensor:
    """As many of every class as give some 40."""
    classes = model.width or 2
    some = torch.arange(classes)[: 40 if classes > 40 else classes]
    times = max(1, 40 // len(some))
    y = some.repeat(times)
    return plan.fooling(model, y, start=start, seed=plan.seed, ids=[f"fooling {k}" for k in range(len(y))]).x


def _scores(plan: Watched, model: Model, known: Envelope, x: Tensor, name: str) -> dict[str, Tensor]:
    """Every score and every control: the larger, the further outside."""
    found: dict[str, Tensor] = dict(zip(SCORES, outside(known, *features_and_logits(model, x)), strict=True))
    found["brightness"] = (x.double().flatten(1).mean(1) - known.brightness).abs()
    stream = Rng.seeded(plan.seed, [f"{name} {k}" for k in range(len(x))])
    found["random"] = stream.uniform(torch.zeros(len(x), 1), 0, 1)[:, 0].double()
    return found


def _kind(
    plan: Watched,
    model: Model,
    known: Envelope,
    name: str,
    x: Tensor,
    origin: Tensor | None,
    usual: dict[str, Tensor],
) -> Kind:
    judged = judge(known, model, x, plan.alarm, plan.edge)
    shares: dict[Status, Rate] = {status: rate(judged.share(status)) for status in STATUSES}
    auroc = dict[str, Mean]()
    if name != "the data":
        scores = _scores(plan, model, known, x, name)
        for score, values in scores.items():
            both = torch.cat([usual[score], values])
            auroc[score] = auc(both, torch.arange(len(both)) >= len(usual[score]))
    said, before = (None if t is None else features_and_logits(model, t)[1].argmax(1) for t in (x, origin))
    changed = None if said is None or before is None else rate(said != before)
    return Kind(name, len(x), judged, shares, auroc, x[:6], changed)


def some_of(source: Source, model: Model, sample: int, seed: int) -> Batch:
    """At most so many images that could be read."""
    return source.batch(chosen(source.ids(), sample, seed), model.view, model.classes).readable()
