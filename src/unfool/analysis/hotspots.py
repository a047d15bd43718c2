"""Whether false positives look at an artefact, and whether they go when it is taken out."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..attributions.gradient import Gradient
from ..data.base import Source
from ..errors import InputError
from ..measures.places import hot
from ..method import Method, Question
from ..model import Model
from ..rows import Batch, stable_number
from ..runs.begin import ids_where
from ..runs.hotspots import Found, Hotspots
from ..scores import mean_scores
from .edits import Edit, predicted, remove
from .rates import Mean, Rate, mean_of, rate
from .sanity import Badge, badges


class Spot(NamedTuple):
    """Where one method's hot spots are in false positives with the artefact."""

    name: str
    hit: Rate
    """Images whose strongest position is on the artefact."""
    overlap: Mean
    """Of the hot region (Otsu), the share that is on the artefact."""


class Case(NamedTuple):
    """One image, its maps by method, and the probability of the finding before and after."""

    id: str
    image: Tensor
    maps: Tensor
    hot: Tensor
    """The same maps as they are searched for their hot spots."""
    mask: Tensor
    without: Tensor
    control: Tensor
    chance: tuple[float, float, float]
    """Of the image, of the image without the artefact, of the control."""


class Reviewed(NamedTuple):
    """Everything about one set of images."""

    plan: Hotspots
    classes: tuple[str, ...]
    groups: dict[str, Rate]
    """How often the model is right, by label and artefact."""
    area: Mean
    """The artefact's share of the image, with the tolerance: what a random place hits."""
    spots: tuple[Spot, ...]
    removed: dict[str, Edit]
    """Without the artefact: of false and of true positives that have it, how many are taken for the finding no more."""
    score: dict[str, tuple[Mean, Mean, Mean]]
    """The mean probability of the finding as such, without the artefact, and of the control."""
    positive: Case | None
    false: tuple[Case, ...]
    badges: tuple[Badge, ...]
    """Of each method."""


JUDGED = 8
"""How many false positives a map's badge is judged by."""
NAMES = {True: "positive", False: "negative"}


def review(plan: Hotspots, found: Found, model: Model, source: Source) -> Reviewed:
    batch = source.batch(ids_where(found.said.ids, found.said.readable), model.view, model.classes)
    batch = batch[batch.y >= 0]
    if batch.artefacts is None or not batch.artefacts.any():
        raise InputError(
            "the data do not say where the artefact is",
            "an .npz with artefacts beside x and y, or unfool:lesions",
        )
    has, positive = batch.artefacts.flatten(1).any(1), batch.y == plan.target
    taken = predicted(model, batch.x) == plan.target
    false, true = ~positive & taken & has, positive & taken & has
    if not false.any():
        raise InputError("no false positive has the artefact", "more images, or another --target")
    edits = {
        name: _without(plan, model, batch[rows])
        for name, rows in (("false positives", false), ("true positives", true))
    }
    maps = found.maps[0]
    heat = torch.stack([table["heat"] for table in found.maps], 1)
    shown = source.batch(maps.ids, model.view, model.classes)
    near, wrong = _near(shown, plan.tolerance), shown.y != plan.target
    rows = wrong & near.flatten(1).any(1)
    return Reviewed(
        plan,
        tuple(model.classes),
        _groups(positive, has, taken),
        mean_of(near[rows].flatten(1).double().mean(1).tolist()),
        _spots(plan, shown.x[rows], heat[rows], near[rows]),
        edits,
        {name: _scores(plan, model, edit) for name, edit in edits.items()},
        *_cases(plan, model, shown, heat, rows, ~wrong),
        _badges(plan, model, shown[rows]),
    )


def _badges(plan: Hotspots, model: Model, false: Batch) -> tuple[Badge, ...]:
    """Whether each method's maps of the false positives depend on what the network learned."""
    question = Question(model, None, plan.target, plan.seed)
    return tuple(badges(plan.methods, question, false[torch.arange(min(len(false), JUDGED))]))


def _near(batch: Batch, tolerance: int) -> Tensor:
    masks = torch.zeros_like(batch.x[:, :1], dtype=torch.bool) if batch.artefacts is None else batch.artefacts
    return widened(masks, tolerance)


def _groups(positive: Tensor, has: Tensor, taken: Tensor) -> dict[str, Rate]:
    right = positive == taken
    parts = {"all": torch.ones_like(has)}
    for p in (True, False):
        for h in (True, False):
            parts[f"{NAMES[p]}, {'with' if h else 'without'} the artefact"] = (positive == p) & (has == h)
    return {name: rate(right[rows]) for name, rows in parts.items()}


def widened(mask: Tensor, by: int) -> Tensor:
    """A mask with ``by`` pixels around it: [B, 1, *space]."""
    for d in range(2, mask.ndim):
        for _ in range(by):
            out = mask.clone()
            n = mask.shape[d] - 1
            out.narrow(d, 1, n).logical_or_(mask.narrow(d, 0, n))
            out.narrow(d, 0, n).logical_or_(mask.narrow(d, 1, n))
            mask = out
    return mask


def _spots(plan: Hotspots, x: Tensor, heat: Tensor, near: Tensor) -> tuple[Spot, ...]:
    """Every method's, then those of maps that know nothing of the network."""
    stream = torch.Generator().manual_seed(stable_number(plan.seed, "random map") % 2**31)
    named = [(repr(m), _evidence(m, heat[:, k])) for k, m in enumerate(plan.methods)]
    known = [
        ("the image's brightness", x.mean(1, keepdim=True)),
        ("random", torch.rand(near.shape, generator=stream)),
    ]
    return tuple(_spot(name, one, near) for name, one in (*named, *known))


def _evidence(method: Method, heat: Tensor) -> Tensor:
    """Of a plain gradient the size counts: its sign says whether brighter or darker would help."""
    return heat.abs() if isinstance(method, Gradient) else heat


def _spot(name: str, heat: Tensor, near: Tensor) -> Spot:
    strongest = heat.flatten(1).argmax(1)
    hit = near.flatten(1).gather(1, strongest[:, None])[:, 0]
    region = hot(heat).flatten(1)
    on = (region & near.flatten(1)).double().sum(1) / region.sum(1).clamp_min(1)
    return Spot(name, rate(hit), mean_of(on.tolist()))


def _without(plan: Hotspots, model: Model, held: Batch) -> Edit:
    assert held.artefacts is not None
    return remove(model, held.x, held.artefacts, plan.target, stable_number(plan.seed, "without"), len(held))


def _chance(plan: Hotspots, model: Model, x: Tensor) -> Tensor:
    logits = model(x)
    means = mean_scores(logits)
    return means.softmax(1)[:, plan.target].cpu()


def _scores(plan: Hotspots, model: Model, edit: Edit) -> tuple[Mean, Mean, Mean]:
    if not len(edit.before):
        nothing = mean_of([])
        return nothing, nothing, nothing
    before, after, control = (
        mean_of(_chance(plan, model, x).tolist()) for x in (edit.before, edit.after, edit.control)
    )
    return before, after, control


def _cases(
    plan: Hotspots, model: Model, batch: Batch, heat: Tensor, false: Tensor, true: Tensor
) -> tuple[Case | None, tuple[Case, ...]]:
    """The surest true positive, one without the artefact if there is one, and the surest false ones."""
    assert batch.artefacts is not None
    alone = true & ~batch.artefacts.flatten(1).any(1)
    positive = (alone if alone.any() else true).nonzero()[:1, 0].tolist()
    rows = false.nonzero()[: plan.images, 0].tolist()
    cases = [_case(plan, model, batch, heat, k) for k in (*positive, *rows)]
    return (cases[0] if positive else None), tuple(cases[len(positive) :])


def _case(plan: Hotspots, model: Model, batch: Batch, heat: Tensor, k: int) -> Case:
    """Where there is no artefact the edits change nothing."""
    one = batch[torch.tensor([k])]
    assert one.artefacts is not None
    edit = _without(plan, model, one)
    before, after, control = (float(_chance(plan, model, x)[0]) for x in (one.x, edit.after, edit.control))
    chance = (before, after, control)
    hot = torch.stack([_evidence(m, heat[k, i]) for i, m in enumerate(plan.methods)])
    after, control = edit.after[0], edit.control[0]
    return Case(one.ids[0], one.x[0], heat[k], hot, one.artefacts[0], after, control, chance)
