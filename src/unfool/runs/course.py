"""What a training is: one line of text; and what is known of it after every epoch."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from math import sqrt
from typing import Any, Literal

from ..attacks.base import Attack
from ..attacks.gradient import PGD
from ..attacks.wrappers import Repeated
from ..data.base import Source
from ..data.labels import label_numbers
from ..errors import InputError
from ..model import Model
from ..objectives import Margin
from ..regions import Linf, Region
from ..spec import Count, Natural, Spec
from ..training.fit import Train
from .begin import chosen


class Course(Spec):
    """Who learns what from which data, and what is judged after every epoch."""

    train: Train
    model: str
    """An address."""
    data: str
    """An address; what is learned from."""
    within: Region = Linf(8 / 255)
    """The change that is to be resisted."""
    judged: str = ""
    """An address of data to judge on; by default some of ``data`` is kept for it."""
    sample: Count = 500
    """How many images are judged after every epoch; of one set of data a fifth at most."""
    judge: Attack = Repeated(PGD(steps=20, loss=Margin()), 2)
    """The attack whose survivors count: the best weights are those with most of them."""
    alarm: Literal["stop", "adapt", "tell"] = "stop"
    """What to do where one step is resisted and more are not: stop, go back and train against more steps, or say so."""
    limit: Count | None = None
    """How many images are learned from; None takes all."""
    seed: Natural = 0

    @property
    def identity(self) -> str:
        """What a folder is claimed for: a run that goes on may pass its images in more parts than it began with."""
        return repr(replace(self, train=replace(self.train, accumulate=1)))


@dataclass(frozen=True)
class Epoch:
    """What is known at the end of an epoch; number 0 is the network before it has learned anything."""

    number: int
    updates: int
    method: str
    loss: float | None
    counts: dict[int, list[int]]
    """By class: images, and how many of them are right as they are, after one step, after the judge's attack."""
    passes: tuple[int, int] = (0, 0)
    """Images put through the network forward and backward so far, to learn."""
    seconds: float = 0.0
    """How long the epoch's updates took."""
    world: int = 1
    """How many processes."""
    overfitted: bool = False
    """Whether one step is resisted and more are not."""

    def right(self, kind: int) -> int:
        """How many images are right: 1 as they are, 2 after one step, 3 after the attack; 0 counts all."""
        return sum(row[kind] for row in self.counts.values())

    @property
    def n(self) -> int:
        return self.right(0)

    def __str__(self) -> str:
        """One line for people."""
        kinds, n = {"clean": 1, "FGSM": 2, "attack": 3}, max(1, self.n)
        shares = ", ".join(f"{name} {100 * self.right(k) / n:.1f} %" for name, k in kinds.items())
        loss = "" if self.loss is None else f", loss {self.loss:.4f}, {self.seconds:.1f} s"
        alarm = ": one step is resisted, more are not" if self.overfitted else ""
        return f"epoch {self.number}: {shares} of {self.n}{loss}{alarm}"


@dataclass
class Log:
    """The epochs so far, and what else a run has to know of its past."""

    epochs: list[Epoch] = field(default_factory=list[Epoch])
    natural: float | None = None
    """Seconds that natural training takes for an image."""
    partial: float = 0.0
    """Seconds of the epoch that is not over."""
    stopped: bool = False
    images: int = 0
    """How many images are learned from."""
    notes: list[str] = field(default_factory=list[str])

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Log":
        told: dict[str, Any] = json.loads(text)
        told["epochs"] = [_epoch(row) for row in told["epochs"]]
        return cls(**told)

    def best(self, adversarial: bool) -> Epoch:
        """The first of those with most images right under attack, or of natural training as they are.

        What has learned nothing yet may by chance say one class of all, which no attack turns: it counts only alone.
        """
        order = (3, 1) if adversarial else (1, 3)
        return max(self.epochs[1:] or self.epochs, key=lambda e: tuple(e.right(kind) for kind in order))


def _epoch(row: dict[str, Any]) -> Epoch:
    row["counts"] = {int(label): found for label, found in row["counts"].items()}
    row["passes"] = tuple(row["passes"])
    return Epoch(**row)


def one_step_only(now: Epoch, before: Sequence[Epoch], grown: bool = True) -> bool:
    """Whether a network has come to resist one step and nothing else (Wong et al., 2020).

    That is so where the attack turns twice as many as at the best epoch while one step turns no more, or where it
    leaves next to nothing of what one step leaves. Differences within three standard errors do not count. Before the
    region has ``grown`` to the size that is judged, and for an epoch after, the latter says nothing: the network has
    not seen such images yet.
    """
    n = max(1, now.n)
    fgsm, robust, noise = now.right(2) / n, now.right(3) / n, 3 * sqrt(0.25 / n)
    if fgsm - robust < max(0.1, noise):
        return False
    best = max(before, key=lambda e: e.right(3), default=now)
    then_fgsm, then = best.right(2) / n, best.right(3) / n
    fell = robust < 0.5 * then and then - robust > noise and fgsm > then_fgsm - noise
    return fell or (grown and fgsm > 0.5 and robust < 0.05)


def splits(course: Course, source: Source, judged: Source | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The samples to learn from and those to judge on; none without a label is either."""
    known = labelled(source, course.seed)
    if not known:
        raise InputError(
            f"{course.data} has no labels to learn from",
            "a folder of class folders, a column of labels in a table, or y in an .npz",
        )
    if judged is not None:
        own = labelled(judged, course.seed)
        if not own:
            raise InputError(
                f"{course.judged} has no labels to judge by", "leave it out: a part is kept back"
            )
        return known[: course.limit], own[: course.sample]
    n = min(course.sample, len(known) // 5)
    if not n:
        raise InputError(
            f"{len(known)} labelled images are too few to learn from and to judge on", "five or more"
        )
    return known[n:][: course.limit], known[:n]


def labelled(source: Source, seed: int) -> tuple[str, ...]:
    """All samples with a label, in an order that depends on their ids and the seed alone."""
    return tuple(i for i in chosen(source.ids(), None, seed) if source.label(i) not in (None, -1, "", "-1"))


def check_classes(source: Source, model: Model, ids: Sequence[str], width: int) -> list[str]:
    """What is to be said of the classes learned from; labels that the network cannot give are an error."""
    names, errors = model.classes or source.label_names(), dict[str, str]()
    y = label_numbers(ids, [source.label(i) for i in ids], names, errors)
    known = sorted({label for label in y.tolist() if label >= 0})
    if not known:
        raise InputError(
            f"no image has a label that the network knows: {next(iter(errors.values()), '')}",
            f"{model.name.partition('?')[0]}?classes={_kinds(source, ids)} draws its last layer anew for these",
        )
    if known[-1] >= width:
        raise InputError(
            f"labels go up to {known[-1]}, {model.name} tells {width} classes apart",
            f"{model.name.partition('?')[0]}?classes={known[-1] + 1} draws its last layer anew",
        )
    if len(known) < 2:
        raise InputError(
            f"all {len(ids)} images are of one class: there is nothing to tell apart",
            "images of another class beside them, or another column of labels (?label=)",
        )
    missing = [names[k] if k < len(names) else str(k) for k in range(width) if k not in set(known)]
    shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
    return [f"no image of class {shown} to learn from: the network will unlearn it"] if missing else []


def _kinds(source: Source, ids: Sequence[str]) -> int:
    return len({source.label(i) for i in ids})
