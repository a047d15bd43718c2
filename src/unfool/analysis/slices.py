"""Groups of images on which a model fails and that nobody has named: found on one half, judged on the other."""

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import fisher_exact
from torch import Tensor

from ..errors import InputError
from ..measures.embed import features_and_logits
from ..model import Model
from ..rows import Batch, stable_number
from ..spec import Count, Fraction, Natural, Positive, Spec
from .edits import Cue, Edit, insert, remove
from .groups import apart, holm, usual
from .rates import Rate, rate
from .shortcuts import Verdict, judged, placed

FEWEST, HALF = 10, 60
"""Images that a slice has at least on either half; that either half has at least."""
EDITED = 200


class Slices(Spec):
    """Where unnamed groups of failures are looked for, and which edits say whether a cue is why."""

    model: str
    data: str
    cue: str = ""
    """A picture of what is suspected, where the data do not mark it."""
    slices: Count = 12
    """Into how many parts the images fall."""
    components: Count = 16
    """How many principal components of the features are kept."""
    weight: Positive = 1.0
    """How much labels and answers count beside the features while slices are looked for."""
    least: Fraction = 0.1
    """By what share of images more than its control an edit must change for the model to use a cue."""
    images: Count = 6
    """How many images of each slice are shown."""
    sample: Count = 2000
    seed: Natural = 0


class Mark(NamedTuple):
    """A group that is more frequent in a slice than in the rest."""

    name: str
    here: Rate
    rest: Rate
    p: float


class Slice(NamedTuple):
    """One part of the images; all rates are of the half that was not searched."""

    name: str
    error: Rate
    rest: Rate
    searched: Rate
    """Its error on the half on which it was found: flattered by the search."""
    usual: tuple[float, float]
    """Where 19 of 20 slices of this size lie that are drawn at random."""
    holm: float
    """Of its error being that of the rest, corrected for every slice that was tested."""
    expected: float
    """The error that the network's own probabilities lead one to expect."""
    marks: tuple[Mark, ...]
    examples: Tensor
    said: tuple[tuple[int, int], ...]
    """Of the examples the label and what the model says."""
    edits: tuple[Edit, ...]
    verdict: Verdict | None
    """Whether the cue is why; None where no cue is known."""
    lacks: bool = False
    """Whether the slice's mistakes lack the cue rather than have it."""

    @property
    def suspicious(self) -> bool:
        return self.holm < 0.05 and self.error.value > self.rest.value


class Sliced(NamedTuple):
    """Everything about one set of images."""

    plan: Slices
    classes: tuple[str, ...]
    error: Rate
    slices: tuple[Slice, ...]
    """Suspicious ones first, then by their error."""
    control: tuple[Tensor, tuple[tuple[int, int], ...]]
    """Some images of the judged half drawn at random, with label and answer."""
    cue_known: bool

    @property
    def suspicious(self) -> list[Slice]:
        return [one for one in self.slices if one.suspicious]


class _Half(NamedTuple):
    """The half that judges: images, what the model says of them, and the part each is in."""

    batch: Batch
    logits: Tensor
    where: Tensor

    @property
    def said(self) -> Tensor:
        return self.logits.argmax(1)

    @property
    def wrong(self) -> Tensor:
        return self.said != self.batch.y


def slice_up(plan: Slices, model: Model, batch: Batch, picture: Tensor | None = None) -> Sliced:
    """``picture`` [C + 1, *] is a cue that is suspected, its last channel where it counts."""
    batch = batch[batch.y >= 0]
    if len(batch) < 2 * HALF:
        raise InputError(
            f"{len(batch)} images with labels are too few to slice", f"it takes {2 * HALF} at least"
        )
    features, logits = features_and_logits(model, batch.x)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(plan.seed))
    search, judge = order[: len(order) // 2], order[len(order) // 2 :]
    where = parts(plan, features, logits.double().softmax(1), batch.y, search)
    wrong = logits.argmax(1) != batch.y
    tested = [k for k in where.unique().tolist() if _candidate(where == k, wrong, search, judge)]
    half = _Half(batch[judge], logits[judge], where[judge])
    ps = holm([_worse(half.wrong, half.where == k) for k in tested])
    found = [
        _slice(plan, model, half, k, p, rate(wrong[search][where[search] == k]), picture)
        for k, p in zip(tested, ps, strict=True)
    ]
    ordered = sorted(found, key=lambda one: (not one.suspicious, -one.error.value))
    some = half.batch[torch.arange(min(plan.images, len(judge)))]
    known = picture is not None or (batch.artefacts is not None and bool(batch.artefacts.any()))
    return Sliced(
        plan,
        tuple(model.classes),
        rate(half.wrong),
        tuple(one._replace(name=f"slice {i}") for i, one in enumerate(ordered, 1)),
        (some.x, _pairs(some.y, half.said)),
        known,
    )


def parts(plan: Slices, features: Tensor, chances: Tensor, y: Tensor, search: Tensor) -> Tensor:
    """The part each image is in, after Domino (Eyuboglu et al., 2022): [N].

    The mixture is fitted on the rows ``search`` by features, labels and answers together, so that a part is alike in
    how it is mistaken; images are put into the parts by their features alone, or a part would hold mistakes by
    definition.
    """
    from sklearn.decomposition import PCA  # pyright: ignore[reportMissingTypeStubs]
    from sklearn.mixture import GaussianMixture  # pyright: ignore[reportMissingTypeStubs]

    flat = features.double().numpy()
    if not flat[search].var(0).sum():
        raise InputError("all images have the same features", "another model, or other images")
    size = min(plan.components, flat.shape[1], len(search) // 4)
    reduced: Any = PCA(size, random_state=0).fit(flat[search])
    points = reduced.transform(flat)
    points = points / points[search].std()
    told = plan.weight * np.concatenate([np.eye(chances.shape[1])[y.numpy()], chances.numpy()], 1)
    count = max(2, min(plan.slices, len(search) // 20))
    mixture: Any = GaussianMixture(
        count, covariance_type="diag", reg_covar=1e-2, random_state=plan.seed % 2**31
    )
    mixture.fit(np.concatenate([points, told], 1)[search])
    means, spread = mixture.means_[:, :size], mixture.covariances_[:, :size]
    apart2 = (points[:, None] - means) ** 2 / spread + np.log(spread)
    return torch.from_numpy((np.log(mixture.weights_) - apart2.sum(2) / 2).argmax(1))


def _candidate(here: Tensor, wrong: Tensor, search: Tensor, judge: Tensor) -> bool:
    """Large enough on both halves, and worse than the rest where it was searched."""
    own, rest = wrong[search][here[search]], wrong[search][~here[search]]
    large = min(len(own), int(here[judge].sum())) >= FEWEST and len(rest) > 0
    return large and float(own.double().mean()) > float(rest.double().mean())


def _worse(wrong: Tensor, here: Tensor) -> float:
    table = [[int(wrong[rows].sum()), int((~wrong[rows]).sum())] for rows in (here, ~here)]
    return float(fisher_exact(table, alternative="greater")[1])  # pyright: ignore[reportArgumentType]


def _pairs(y: Tensor, said: Tensor) -> tuple[tuple[int, int], ...]:
    return tuple(zip(y.tolist(), said.tolist(), strict=False))


def _slice(
    plan: Slices, model: Model, half: _Half, k: int, p: float, searched: Rate, picture: Tensor | None
) -> Slice:
    here, wrong = half.where == k, half.wrong
    rows = here.nonzero()[:, 0]
    sure = half.logits.double().softmax(1).amax(1)[here]
    shown = rows[wrong[rows].long().argsort(descending=True, stable=True)][: plan.images]
    found = Slice(
        "",
        rate(wrong[here]),
        rate(wrong[~here]),
        searched,
        usual(wrong, len(rows)),
        p,
        float((1 - sure).mean()),
        _marks(half.batch, here),
        half.batch.x[shown],
        _pairs(half.batch.y[shown], half.said[shown]),
        (),
        None,
    )
    return _with_edits(plan, model, found, half, here, picture) if found.suspicious else found


def _marks(batch: Batch, here: Tensor) -> tuple[Mark, ...]:
    """Labels' groups that are more frequent in the slice than elsewhere, the clearest first, corrected for all."""
    pairs = [(name, value) for name, values in batch.groups.items() for value in sorted(set(values))]
    flags = [torch.tensor([v == value for v in batch.groups[name]]) for name, value in pairs]
    ps = holm([apart(flag, here) for flag in flags])
    told = [
        Mark(f"{name}: {value}", rate(flag[here]), rate(flag[~here]), p)
        for (name, value), flag, p in zip(pairs, flags, ps, strict=True)
    ]
    kept = [m for m in told if m.p < 0.05 and m.here.value > m.rest.value]
    return tuple(sorted(kept, key=lambda m: m.p))


def _with_edits(
    plan: Slices, model: Model, found: Slice, half: _Half, here: Tensor, picture: Tensor | None
) -> Slice:
    """A cue put into images and taken out: does the model's answer follow it?

    Where the slice's mistakes have the cue, it is put into images of the rest and taken out of the mistakes; where they
    lack it, put into the mistakes, which it may put right, and taken out of images of the rest.
    """
    wrong, said, batch, seed = here & half.wrong, half.said, half.batch, stable_number(plan.seed, "slices")
    has = torch.zeros_like(here) if batch.artefacts is None else batch.artefacts.flatten(1).any(1)
    with_it = picture is not None or int(has[wrong].sum()) * 2 >= int(wrong.sum())
    if with_it:
        target = int(said[wrong].mode().values)
        others, held = ~here & ~has & (said != target), wrong & has & (said == target)
    else:
        target = int(batch.y[wrong].mode().values)
        others, held = wrong & ~has & (batch.y == target), ~here & has & (said == target)
    without, own = (batch[rows.nonzero()[:EDITED, 0]] for rows in (others, held))
    if picture is not None and len(without):
        edits = (insert(model, without.x, placed(picture, batch.x, seed), target, seed),)
    elif own.artefacts is not None and len(own) and len(without):
        cue = Cue(own.x, own.artefacts)
        edits = (
            insert(model, without.x, cue, target, seed),
            remove(model, own.x, own.artefacts, target, seed),
        )
    else:
        return found
    return found._replace(edits=edits, verdict=judged(edits, plan.least), lacks=not with_it)
