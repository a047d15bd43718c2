"""A finished training in numbers: epoch by epoch, before and after, class by class, and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ..runs.course import Course, Epoch, Log
from ..runs.curves import Curves
from .counts import share
from .rates import Rate, rate


@dataclass(frozen=True)
class Cost:
    """What learning took, beside natural training of the same images."""

    forward: float
    """Passes of each image and epoch."""
    backward: float
    seconds: float | None
    """Of an epoch, the median; None where nothing was learned."""
    natural: float | None
    """Seconds that an epoch of natural training would take, as timed on a few updates."""

    @property
    def passes(self) -> float:
        """How many times the passes of natural training."""
        return (self.forward + self.backward) / 2

    @property
    def times(self) -> float | None:
        """How many times the seconds of natural training."""
        return self.seconds / self.natural if self.seconds and self.natural else None


@dataclass(frozen=True)
class ClassStanding:
    """One class of the judged images at the epoch that was kept."""

    name: str
    clean: Rate
    fgsm: Rate
    robust: Rate


@dataclass(frozen=True)
class Trained:
    """A training that is over."""

    course: Course
    log: Log
    classes: tuple[str, ...]
    curves: Curves
    apart: bool
    """Whether the curves are over images that nothing was chosen by."""

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return self.log.best(self.course.train.method.adversarial)

    @property
    def at(self) -> int:
        """The place among the curves' radii, 0 the first, of the region that was to be resisted."""
        eps = self.course.within.radius
        eps = eps[0] if isinstance(eps, tuple) else eps
        return [0.0, *self.curves.radii].index(eps)

    def curve(self, when: str, name: str) -> list[Rate]:
        """The share that is right at each radius, 0 the first."""
        table = self.curves.tables[when][name]
        return [rate(right) for right in ~table["flipped"][table.readable].bool().T]

    def told(self, when: str, name: str) -> Rate:
        """The share that is right within the region: without a change by the name "clean"."""
        return self.curve(when, "attack" if name == "clean" else name)[0 if name == "clean" else self.at]

    @property
    def cost(self) -> Cost:
        last, n = self.log.epochs[-1], max(1, self.log.images)
        images = max(1, last.number) * n
        seconds = [e.seconds for e in self.log.epochs if e.number]
        natural = None if self.log.natural is None else self.log.natural * n
        forward, backward = (passes / images for passes in last.passes)
        return Cost(forward, backward, median(seconds) if seconds else None, natural)

    @property
    def by_class(self) -> list[ClassStanding]:
        return [_class(self.classes, label, row) for label, row in self.best.counts.items()]


def _class(names: Sequence[str], label: int, row: Sequence[int]) -> ClassStanding:
    name = names[label] if label < len(names) else str(label)
    n, *right = row
    return ClassStanding(name, *(share(k, n) for k in right))


def rates_of(epoch: Epoch) -> tuple[Rate, Rate, Rate]:
    """Right as they are, after one step, and under the attack."""
    clean, fgsm, robust = (share(epoch.right(k), epoch.n) for k in (1, 2, 3))
    return clean, fgsm, robust
