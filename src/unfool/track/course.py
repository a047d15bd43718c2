"""A training as it goes, in a tracker."""

from collections.abc import Sequence

from ..runs.course import Epoch
from .base import Tracker


def follow(tracker: Tracker, epoch: Epoch, classes: Sequence[str] = ()) -> None:
    """What is known at the end of an epoch, the share that is right class by class too."""
    kinds = {"clean": 1, "fgsm": 2, "robust": 3}
    found = {f"epochs/{name}": epoch.right(k) / max(1, epoch.n) for name, k in kinds.items()}
    for label, row in epoch.counts.items():
        name = classes[label] if label < len(classes) else label
        found |= {f"epochs/by_class/{name}/{kind}": row[k] / max(1, row[0]) for kind, k in kinds.items()}
    if epoch.loss is not None:
        found |= {"epochs/loss": epoch.loss, "epochs/seconds": epoch.seconds}
    for name, value in found.items():
        tracker.number(name, value, epoch.number)
