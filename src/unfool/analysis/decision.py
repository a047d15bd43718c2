"""One decision of a network on one record: what it said, how sure, why, what would change it, and cases like it."""

from hashlib import sha256
from typing import NamedTuple

import torch
from torch import Tensor

from ..attacks.nearest import DDN, FMN
from ..attacks.noise import RandomNoise
from ..attributions.base import Attribution
from ..attributions.cam import GradCAM
from ..attributions.counterfactual import Counterfactual
from ..attributions.gradient import Gradient
from ..attributions.occlusion import Occlusion
from ..borrow import copied
from ..data.base import Source
from ..errors import InputError
from ..maps import spearman
from ..measures.embed import features_and_logits
from ..measures.sanity import redrawn
from ..model import Model
from ..regions import L2, Linf
from ..rows import Batch
from ..runs.begin import chosen, fingerprint
from ..spec import Count, Natural, Spec
from .calibration import Calibrated, calibrate, halves, logits_of
from .known import Known, known_case
from .rates import Rate, rate
from .sanity import ANEW, Badge, Sanity, badge


class Decision(Spec):
    """Whose decision on which sample, and what else is known."""

    model: str
    data: str
    id: str = ""
    """Which sample of the data; by default its first."""
    training: str = ""
    """Data among which the nearest cases are looked for."""
    cases: str = ""
    """Labelled data that the model has not learned from: one half calibrates it, the other half judges it."""
    methods: tuple[Attribution, ...] = (Gradient(), GradCAM(), Occlusion())
    draws: Count = 3
    """Networks with weights drawn anew, with which each map is compared."""
    neighbours: Count = 5
    sample: Count = 2000
    """How many images of the training data and of the cases at most."""
    seed: Natural = 0


class Evidence(NamedTuple):
    """One map, the same of a network that has learned nothing, and how alike the two are."""

    name: str
    heat: Tensor
    empty: Tensor
    correlation: float
    low: float
    high: float

    n: int
    """How many networks with weights drawn anew there were."""

    @property
    def badge(self) -> Badge:
        """By rank correlation with their maps, on this one image."""
        found = Sanity(self.name, self.correlation, self.low, self.high, self.n)
        return badge(self.name, [(ANEW, found)], "no weights to draw anew")

    @property
    def status(self) -> str:
        return {
            "pass": "depends on what was learned",
            "weak": "depends on it weakly",
            "fail": "hardly depends on what was learned",
            "unknown": "not known",
        }[self.badge.verdict]


class Flip(NamedTuple):
    """The smallest change found in one norm, and noise of its size."""

    name: str
    size: float
    found: bool
    label: str
    image: Tensor
    noise: Rate
    """How many of the random changes of the same L2 length flip it."""


class Neighbour(NamedTuple):
    """A training case near in the features the last layer reads."""

    id: str
    label: str
    distance: float
    image: Tensor


class Contributions(NamedTuple):
    """Of a linear model: weight times difference to the mean case, by position. They sum to the score's difference."""

    values: Tensor
    score: float
    mean_score: float
    error: float


class Record(NamedTuple):
    """The whole record."""

    plan: Decision
    id: str
    image: Tensor
    classes: tuple[str, ...]
    known: str
    label: int
    logits: tuple[float, ...]
    probability: float
    calibrated: float | None
    calibration: Calibrated | None
    evidence: tuple[Evidence, ...]
    against: Evidence | None
    """What would change its mind."""
    flips: tuple[Flip, ...]
    neighbours: tuple[Neighbour, ...]
    usual: float | None
    """The median distance of a training case to this one."""
    envelope: Known | None
    groups: dict[str, Rate]
    contributions: Contributions | None
    hashes: dict[str, str]


def decide(
    plan: Decision, model: Model, source: Source, training: Source | None = None, cases: Source | None = None
) -> Record:
    one = _sample(plan, model, source)
    logits = logits_of(model, one.x)
    label = int(logits.argmax())
    learned = None if training is None else _some(plan, model, training)
    held = None if cases is None else _some(plan, model, cases, labelled=True)
    calibration = None if held is None else calibrate(model, held)
    warm = None if calibration is None else float((logits / calibration.temperature).softmax(1)[0, label])
    near, usual = _nearest(plan, model, one.x, learned)
    mean = None if learned is None else learned.x.double().mean(0, keepdim=True)
    hashes = {"weights": fingerprint(model), "image": digest(one.x)}
    hashes |= {} if learned is None else {"training": digest(learned.x)}
    hashes |= {} if held is None else {"cases": digest(held.x)}
    known = model.label_name(int(one.y[0])) if int(one.y[0]) >= 0 else "unknown"
    return Record(
        plan,
        one.ids[0],
        one.x[0],
        tuple(model.classes),
        known,
        label,
        tuple(logits[0].tolist()),
        float(logits.softmax(1)[0, label]),
        warm,
        calibration,
        _evidence(plan, model, one.x, label),
        _against(plan, model, one.x, label),
        _flips(plan, model, one.x, label),
        near,
        usual,
        None if learned is None else known_case(model, one.x, learned, held),
        {} if held is None else _groups(model, held, one, label),
        contributions(model, one.x, mean, label),
        hashes,
    )


def digest(x: Tensor) -> str:
    return sha256(x.contiguous().numpy().tobytes()).hexdigest()


def _sample(plan: Decision, model: Model, source: Source) -> Batch:
    ids = source.ids()
    if not ids or (plan.id and plan.id not in ids):
        raise InputError(f"{plan.data} has no sample {plan.id!r}", f"such as {ids[0]!r}" if ids else "")
    batch = source.batch([plan.id or ids[0]], model.view, model.classes)
    if batch.errors:
        raise InputError(f"cannot read {batch.ids[0]}: {batch.errors[batch.ids[0]]}")
    return batch


def _some(plan: Decision, model: Model, source: Source, labelled: bool = False) -> Batch:
    batch = source.batch(chosen(source.ids(), plan.sample, plan.seed), model.view, model.classes).readable()
    batch = batch[batch.y >= 0] if labelled else batch
    if len(batch) < (4 if labelled else 1):
        raise InputError(f"{len(batch)} cases are too few", "labels are needed")
    return batch


def _methods(plan: Decision, model: Model, x: Tensor) -> list[Attribution]:
    """Those that the model allows: a class activation map needs positions."""
    if model.access != "gradients":
        return [m for m in plan.methods if isinstance(m, Occlusion) and model.access == "scores"]
    return [m for m in plan.methods if not isinstance(m, GradCAM) or model.spatial_layers(x)]


def _evidence(plan: Decision, model: Model, x: Tensor, label: int) -> tuple[Evidence, ...]:
    return tuple(_one(plan, model, x, label, method) for method in _methods(plan, model, x))


def _one(plan: Decision, model: Model, x: Tensor, label: int, method: Attribution) -> Evidence:
    empty = [redrawn(model, k) for k in range(plan.draws)] if model.access == "gradients" else []
    heat = method(model, x, label, seed=plan.seed).map
    others = [method(net, x, label, seed=plan.seed).map for net in empty]
    alike = [float(spearman(heat.abs(), other.abs())[0]) for other in others] or [float("nan")]
    first = others[0][0] if others else torch.zeros_like(heat[0])
    mean = sum(alike) / len(alike)
    return Evidence(repr(method), heat[0], first, mean, min(alike), max(alike), len(others))


def _against(plan: Decision, model: Model, x: Tensor, label: int) -> Evidence | None:
    """What speaks against the decision."""
    if model.access != "gradients" or not model.spatial_layers(x):
        return None
    return _one(plan, model, x, label, Counterfactual())


def _flips(plan: Decision, model: Model, x: Tensor, label: int) -> tuple[Flip, ...]:
    """Upper bounds: the smallest change that an attack has found."""
    if model.access != "gradients":
        return ()
    y = torch.tensor([label])
    found: list[Flip] = []
    for name, attack, within in (("L2", DDN(), None), ("Linf", FMN(), Linf(1.0))):
        result = attack(model, x, y, within=within, seed=plan.seed)
        flipped, length = bool(result.success[0]), float(result.l2[0])
        tries = RandomNoise(kind="gaussian")(
            model,
            x.expand(100, *x.shape[1:]),
            y.expand(100),
            within=L2(max(length, 1e-9)),
            seed=plan.seed,
        )
        size = float((result.l2 if name == "L2" else result.linf)[0])
        told = model.label_name(int(result.label[0]))
        found.append(Flip(name, size, flipped, told, result.x[0], rate(tries.success.bool())))
    return tuple(found)


def _nearest(
    plan: Decision, model: Model, x: Tensor, learned: Batch | None
) -> tuple[tuple[Neighbour, ...], float | None]:
    if learned is None:
        return (), None
    own, others = (features_and_logits(model, images)[0].double() for images in (x, learned.x))
    distance = torch.cdist(own, others)[0]
    order = distance.argsort(stable=True)[: plan.neighbours].tolist()
    names = [model.label_name(int(y)) if y >= 0 else "unknown" for y in learned.y.tolist()]
    near = tuple(Neighbour(learned.ids[k], names[k], float(distance[k]), learned.x[k]) for k in order)
    return near, float(distance.median())


def _groups(model: Model, held: Batch, one: Batch, label: int) -> dict[str, Rate]:
    """On the half that judges: how often the model is right, on all, where it says the same, on the case's groups."""
    judged = held[torch.arange(len(held))[halves(len(held))[1]]]
    said = logits_of(model, judged.x).argmax(1)
    right = said == judged.y
    found = {"all cases": rate(right), f"where it says {model.label_name(label)}": rate(right[said == label])}
    every = torch.ones(len(judged), dtype=torch.bool)
    parts: dict[str, Tensor] = {}
    for name, values in one.groups.items():
        known = judged.groups.get(name, ("",) * len(judged))
        parts[f"{name}: {values[0]}"] = torch.tensor([v == values[0] for v in known], dtype=torch.bool)
        every &= parts[f"{name}: {values[0]}"]
    if len(parts) > 1:
        parts["; ".join(parts)] = every
    for name, same in parts.items():
        found[name] = rate(right[same])
        found[f"{name}, where it says {model.label_name(label)}"] = rate(right[same & (said == label)])
    return found


def contributions(model: Model, x: Tensor, mean: Tensor | None, label: int) -> Contributions | None:
    """Of a model that turns out linear between the mean case and this one, in double precision; None of others."""
    if model.access != "gradients":
        return None
    exact = model.around(copied(model.net).double())
    at = x.double()
    middle = torch.zeros_like(at) if mean is None else mean
    values = Gradient()(exact, at, label).heat * (at - middle)
    score, base = (float(logits_of(exact, t)[0, label]) for t in (at, middle))
    error = abs(float(values.sum()) - (score - base))
    if error > 1e-9 * max(1.0, abs(score), abs(base)):
        return None
    return Contributions(values[0], score, base, error)
