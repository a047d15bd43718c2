"""Whether a network uses a cue that has nothing to do with the class: clusters of maps propose, edits decide."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..data.base import Source
from ..errors import InputError
from ..measures.places import hot
from ..model import Model
from ..rows import Batch, stable_number
from ..runs.begin import ids_where
from ..runs.shortcuts import Shortcuts, class_ids
from ..runs.table import Table
from .edits import Cue, Edit, insert, predicted, remove
from .rates import Rate, rate
from .spray import Clusters, fingerprints, spray

Verdict = Literal["the model uses it", "the model hardly uses it (false alarm)", "undecided: too few images"]
USES, HARDLY, UNDECIDED = Verdict.__args__


class Suspect(NamedTuple):
    """A cue and what edits say of it: that of a cluster of maps, or one that was given."""

    name: str
    n: int
    """Images in the cluster, or those that have the given cue."""
    heat: Tensor | None
    """The cluster's mean map [1, *space]."""
    region: Tensor
    """Where the cue is: [1, *space], of a given one the share of images that have it there."""
    examples: Tensor
    groups: dict[str, dict[str, Rate]]
    inserted: Edit
    removed: Edit
    verdict: Verdict


class Studied(NamedTuple):
    """Everything about one class."""

    plan: Shortcuts
    classes: tuple[str, ...]
    clusters: Clusters
    groups: dict[str, tuple[str, ...]]
    """Of every image that was explained, by the name of the group."""
    suspects: tuple[Suspect, ...]
    given: Suspect | None
    found_given: float | None
    """How well the clusters part images with the given cue from those without: from 0 (not at all) to 1."""


def study(plan: Shortcuts, table: Table, model: Model, source: Source, cue: Tensor | None = None) -> Studied:
    """``cue`` is a picture [C + 1, *] of what is suspected, its last channel where it counts."""
    fine = table.readable
    ids = ids_where(table.ids, fine)
    heat, own = table["heat"][fine], source.batch(ids, model.view, model.classes)
    clusters = spray(heat, plan.side, plan.most, plan.seed)
    others = _others(plan, model, source)
    suspects = tuple(_of_cluster(plan, model, own, others, heat, clusters, k) for k in range(clusters.n))
    marked = None if own.artefacts is None else own.artefacts.flatten(1).any(1)
    has = None if marked is None or not marked.any() else marked
    given = _given(plan, model, own, others, has, cue)
    parted = None if has is None else _parted(clusters.label, has)
    return Studied(plan, tuple(model.classes), clusters, own.groups, suspects, given, parted)


def _others(plan: Shortcuts, model: Model, source: Source) -> Batch:
    """Images of other classes that the model does not take for the class, without a marked cue."""
    _, ids = class_ids(source, model, plan.target, plan.sample, plan.seed)
    batch = source.batch(ids, model.view, model.classes).readable()
    keep = predicted(model, batch.x) != plan.target
    if batch.artefacts is not None:
        keep &= ~batch.artefacts.flatten(1).any(1)
    return batch[keep]


def _of_cluster(
    plan: Shortcuts, model: Model, own: Batch, others: Batch, heat: Tensor, clusters: Clusters, k: int
) -> Suspect:
    """The cue is where the cluster's maps are stronger than the others'."""
    rows, rest = clusters.members(k), (clusters.label != k).nonzero()[:, 0]
    size = heat.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *[1] * (heat.ndim - 1))
    mean = (heat / size)[rows].mean(0)
    region = hot((mean - (heat / size)[rest].mean(0))[None])[0]
    points = fingerprints(heat, plan.side)
    near = (points[rows] @ points[rows].mean(0)).argsort(descending=True)
    held = own[rows]
    cue = Cue(held.x, region.expand(len(rows), *region.shape))
    name = f"cluster {k + 1}"
    return _suspect(plan, model, name, held, others, cue, held[near[: plan.images]].x, mean, region.float())


def _given(
    plan: Shortcuts, model: Model, own: Batch, others: Batch, has: Tensor | None, picture: Tensor | None
) -> Suspect | None:
    if picture is not None:
        cue = placed(picture, own.x, plan.seed)
        held = own[torch.zeros(len(own), dtype=torch.bool)]
    elif has is not None and own.artefacts is not None:
        held = own[has]
        assert held.artefacts is not None
        cue = Cue(held.x, held.artefacts)
    else:
        return None
    shown = (
        held.x[: plan.images] if len(held) else torch.where(cue.mask, cue.pixels, others.x[:1])[: plan.images]
    )
    where = cue.mask.float().mean(0)
    return _suspect(plan, model, "given cue", held, others, cue, shown, None, where)


def _suspect(
    plan: Shortcuts,
    model: Model,
    name: str,
    held: Batch,
    others: Batch,
    cue: Cue,
    examples: Tensor,
    mean: Tensor | None,
    region: Tensor,
) -> Suspect:
    seed = stable_number(plan.seed, name)
    inserted = insert(model, others.x, cue, plan.target, seed, plan.images)
    taken = predicted(model, held.x) == plan.target
    removed = remove(model, held.x[taken], cue.mask[: len(held)][taken], plan.target, seed, shown=plan.images)
    groups = {
        group: {value: rate(torch.tensor([v == value for v in values])) for value in sorted(set(values))}
        for group, values in held.groups.items()
    }
    verdict = judged((inserted, removed), plan.least)
    return Suspect(name, len(held), mean, region, examples, groups, inserted, removed, verdict)


def judged(edits: tuple[Edit, ...], least: float) -> Verdict:
    """Used where either edit changes at least that much more than its control, beyond the interval."""
    told = [edit.decides for edit in edits if edit.changed["cue"].n]
    if any(low > least for _, low, _ in told):
        return USES
    return HARDLY if told and all(high < least for _, _, high in told) else UNDECIDED


def placed(picture: Tensor, x: Tensor, seed: int, copies: int = 64) -> Cue:
    """A picture of a cue where it stands, if it is as large as the images; a smaller one at random places."""
    channels, space = x.shape[1], tuple(x.shape[2:])
    sides = tuple(picture.shape[1:])
    if picture.shape[0] != channels + 1 or any(a > b for a, b in zip(sides, space, strict=True)):
        raise InputError(
            f"the cue is {[len(picture) - 1, *sides]} and does not fit into images of {list(x.shape[1:])}",
            "a picture of the images' kind, as large as they are or smaller",
        )
    if sides == space:
        return Cue(picture[None, :-1], picture[None, -1:] > 0.5)
    whole = x.new_zeros(copies, channels + 1, *space)
    stream = torch.Generator().manual_seed(stable_number(seed, "placed") % 2**31)
    for one in whole:
        at = [int(torch.randint(n - m + 1, (), generator=stream)) for n, m in zip(space, sides, strict=True)]
        one[(slice(None), *(slice(a, a + m) for a, m in zip(at, sides, strict=True)))] = picture
    return Cue(whole[:, :-1], whole[:, -1:] > 0.5)


def _parted(label: Tensor, has: Tensor) -> float:
    """The largest difference between two clusters in the share of images with the cue."""
    shares = [float(has[label == k].double().mean()) for k in range(int(label.max()) + 1)]
    return max(shares) - min(shares)
