"""The operating envelope: how far from the images a network knows another may lie, and what is inside, or outside."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import DataError, InputError
from ..measures.embed import features_and_logits
from ..model import Model
from ..rows import Batch
from ..runs.begin import fingerprint
from ..runs.work import atomically

Status = Literal["inside", "edge", "outside"]
SCORES: tuple[str, ...] = ("energy", "Mahalanobis", "neighbours")
"""What the envelope goes by: each the larger, the further outside."""
FEWEST = 60
BANK = 5000
"""So many images at most whose features are kept for neighbours."""


class Envelope(NamedTuple):
    """What was learned from training images: tensors that can be written down."""

    means: Tensor
    """Of the features of each class: [K, D]."""
    precision: Tensor
    """The inverse of the classes' common covariance: [D, D]."""
    bank: Tensor
    """Features of length 1, among which neighbours are looked for: [M, D]."""
    known: Tensor
    """The scores of images that were kept to calibrate on, each ascending: [3, C]."""
    least: Tensor
    """The smallest p value of each of those, ascending: [C]."""
    labels: Tensor
    """The class of each mean: [K]."""
    brightness: Tensor
    """The mean brightness of the images: the baseline."""
    neighbours: int
    weights: str
    """The hash of the network's weights."""


class Judged(NamedTuple):
    """What an envelope says of images: [3, N] p values, [N] of all three together, and in words."""

    p: Tensor
    together: Tensor
    status: tuple[Status, ...]
    reason: tuple[str, ...]

    def share(self, status: Status) -> Tensor:
        return torch.tensor([s == status for s in self.status])


def fit_envelope(
    model: Model, learn: Batch, calibrate: Batch | None = None, neighbours: int = 10
) -> Envelope:
    """From training images; those ``calibrate`` should be others, or every second of the training images is kept."""
    if calibrate is None:
        rows = torch.arange(len(learn))
        learn, calibrate = learn[rows % 2 == 0], learn[rows % 2 == 1]
    if min(len(learn), len(calibrate)) < FEWEST:
        raise InputError(
            f"{len(learn)} images to learn from and {len(calibrate)} to calibrate on are too few",
            f"at least {FEWEST} of each",
        )
    features, logits = features_and_logits(model, learn.x)
    y = torch.where(learn.y >= 0, learn.y, logits.argmax(1))
    labels = y.unique()
    if len(labels) < 2:
        name = model.label_name(int(labels[0]))
        raise InputError(
            f"all images are of class {name}", "an envelope needs images of two classes at least"
        )
    flat = features.double()
    means = torch.stack([flat[y == k].mean(0) for k in labels])
    centred = flat - means[torch.searchsorted(labels, y)]
    bank = _unit(flat)[:BANK]
    fitted = Envelope(
        means,
        torch.linalg.inv(shrunk(centred)),
        bank,
        torch.zeros(3, 0, dtype=torch.float64),
        torch.zeros(0, dtype=torch.float64),
        labels,
        learn.x.double().mean(),
        min(neighbours, max(1, len(bank) // 4)),
        fingerprint(model),
    )
    scores = outside(fitted, *features_and_logits(model, calibrate.x))
    fitted = fitted._replace(known=scores.sort(1).values)
    return fitted._replace(least=(p_values(fitted.known, scores) - _own(scores)).amin(0).sort().values)


def _own(scores: Tensor) -> Tensor:
    """An image that is among the known ones itself counts once, not twice."""
    return torch.full_like(scores, 1 / (scores.shape[1] + 1))


def shrunk(centred: Tensor) -> Tensor:
    """A covariance that can be inverted however few the rows (Ledoit and Wolf, 2004)."""
    from sklearn.covariance import ledoit_wolf  # pyright: ignore[reportMissingTypeStubs]

    found: Any = ledoit_wolf(centred.numpy(), assume_centered=True)
    covariance = torch.from_numpy(found[0])
    return covariance + 1e-9 * (covariance.diagonal().mean() + 1e-12) * torch.eye(len(covariance))


def _unit(features: Tensor) -> Tensor:
    return features / features.norm(dim=1, keepdim=True).clamp_min(1e-12)


def outside(known: Envelope, features: Tensor, logits: Tensor) -> Tensor:
    """How far outside images are: energy (Liu et al., 2020), Mahalanobis distance (Lee et al., 2018), and distance to
    the k-th neighbour (Sun et al., 2022): [3, N]."""
    flat = features.double()
    energy = -logits.double().logsumexp(1)
    return torch.stack([energy, _class_distances(known, flat).amin(1), _neighbours(known, flat)])


def _class_distances(known: Envelope, flat: Tensor) -> Tensor:
    """Squared, to each class's mean: [N, K]."""
    columns: list[Tensor] = []
    for mean in known.means:
        apart = flat - mean
        columns.append(((apart @ known.precision) * apart).sum(1))
    return torch.stack(columns, 1)


def _neighbours(known: Envelope, flat: Tensor) -> Tensor:
    unit = _unit(flat)
    parts = [torch.cdist(part, known.bank).topk(known.neighbours, largest=False) for part in unit.split(512)]
    return torch.cat([part.values[:, -1] for part in parts])


def p_values(known: Tensor, scores: Tensor) -> Tensor:
    """The share of known images that are at least as far outside, the image itself among them: [3, N]."""
    n = known.shape[1]
    below = torch.searchsorted(known.contiguous(), scores.contiguous())
    return (1 + n - below).double() / (n + 1)


def finest(known: Envelope) -> float:
    """The smallest rate of false alarms that so many known images can hold: that of an image further out than all."""
    n = known.known.shape[1]
    beyond = torch.searchsorted(known.least, torch.tensor([1 / (n + 1)], dtype=known.least.dtype), right=True)
    return (1 + int(beyond)) / (n + 1)


def judge(known: Envelope, model: Model, x: Tensor, alarm: float = 0.01, edge: float | None = None) -> Judged:
    """Outside where at most ``alarm`` of known images are as far outside by one score, edge below ``edge``."""
    n, edge = known.known.shape[1], min(0.5, 5 * alarm) if edge is None else edge
    if alarm < (least := finest(known)):
        raise InputError(
            f"with {n} images to calibrate on nothing can be called outside at a false-alarm rate of {alarm:g}",
            f"a rate of {least:.2g} or more, or more images",
        )
    features, logits = features_and_logits(model, x)
    p = p_values(known.known, outside(known, features, logits))
    least = torch.searchsorted(known.least, p.amin(0).contiguous(), right=True)
    together = (1 + least).double() / (n + 1)
    status: list[Status] = [
        "outside" if v <= alarm else "edge" if v <= edge else "inside" for v in together.tolist()
    ]
    nearest = known.labels[_class_distances(known, features.double()).argmin(1)].tolist()
    names = [model.label_name(k) for k in nearest]
    reasons = [reason(s, column, name) for s, column, name in zip(status, p.T.tolist(), names, strict=True)]
    return Judged(p, together, tuple(status), tuple(reasons))


def reason(status: Status, p: list[float], nearest: str) -> str:
    """In words: which score says so, and how rare that is."""
    if status == "inside":
        return "no score is unusual"
    k = min(range(3), key=lambda k: p[k])
    rare = f"{100 * p[k]:.2g} % of known images"
    return (
        f"the network has as little evidence for any class in only {rare} (energy)",
        f"its features are as far from every class, the nearest being {nearest}, in only {rare} (Mahalanobis)",
        f"its nearest training images are as far away in only {rare} (neighbours)",
    )[k]


TENSORS = ("means", "precision", "bank", "known", "least", "labels", "brightness")


def save_envelope(known: Envelope, path: Path) -> None:
    """One safetensors file, the same bytes for the same envelope."""
    note = json.dumps({"envelope": 1, "neighbours": known.neighbours, "weights": known.weights})
    tensors = {name: getattr(known, name).contiguous() for name in TENSORS}
    atomically(path, lambda draft: save_file(tensors, draft, {"unfool": note}))


def load_envelope(path: Path, model: Model) -> Envelope:
    """An envelope of this network's; another one's is refused."""
    try:
        with safe_open(path, "pt") as file:
            note = json.loads((file.metadata() or {}).get("unfool", "{}"))
            tensors = {name: file.get_tensor(name) for name in TENSORS if name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        raise DataError(f"cannot read the envelope {path}", "unfool inspect envelope writes one") from None
    if len(tensors) < len(TENSORS) or "weights" not in note:
        raise DataError(f"{path} is no envelope", "unfool inspect envelope writes one")
    if note["weights"] != fingerprint(model):
        raise DataError(
            f"{path} is the envelope of another network ({note['weights'][:12]})",
            f"fit one for {model.name}: unfool inspect envelope",
        )
    return Envelope(**tensors, neighbours=int(note["neighbours"]), weights=note["weights"])
