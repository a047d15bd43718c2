"""What every attack has in common: one method to write, one door to come in by."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, final

from torch import Tensor

from ..answers import Spent
from ..blackbox import Access
from ..checks import checked_images, checked_labels, row_ids
from ..errors import InputError
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..objectives import Goal, Onwards, Targeted, Untargeted, label_of
from ..pictured import html, plot, save
from ..query import Query
from ..regions import L0, L1, L2, Ball, Linf, Norm, Region
from ..rows import Batch, Rng
from ..scores import mean_scores
from ..spec import options
from ..views import from_uint8, to_uint8


class Attacked(NamedTuple):
    """What an attack found, one entry per image.

    ``x`` are the changed images [B, C, *] inside the region and [0, 1]; ``success`` is judged on the user's own
    network in its own precision; ``label`` and ``confidence`` are its answer to ``x``; ``l0`` counts changed
    positions. ``queries`` is how often the network was asked about each image, the final verdict included; ``cost``
    counts all images put through it forward and backward. ``no_start`` are those for which an attack that has to
    begin at an image where the goal is reached found none. ``origin`` are the images it began from.
    """

    x: Tensor
    success: Tensor
    label: Tensor
    confidence: Tensor
    l0: Tensor
    l1: Tensor
    l2: Tensor
    linf: Tensor
    queries: Tensor
    no_start: Tensor
    cost: dict[str, int]
    seed: int
    within: Region
    origin: Tensor

    plot, save, _repr_html_ = plot, save, html


OWN_TARGET = "it is of the target class already"
"""Why a run leaves an image out of a targeted attack."""

NORMS: tuple[type[Norm], ...] = (Linf, L2, L1, L0)


class Attack(Method, ABC):
    """A search for changed images that a network gets wrong."""

    norms: ClassVar[tuple[type[Norm], ...]] = NORMS
    """In which norms it can work, its own first."""
    nearest: ClassVar[bool] = False
    """Whether it looks for the smallest change: without a region it is then bounded by [0, 1] alone."""
    anywhere: ClassVar[bool] = False
    """Whether it looks for a sure change rather than a small one: it has then no bound either, unless one is given."""
    begins: ClassVar[bool] = False
    """Whether it has to begin at an image that reaches the goal: ``starts`` may then be some."""
    asks: ClassVar[Access] = "gradients"
    """What it has to be told, at most; attacks that count queries ask for "scores" or "labels"."""

    @abstractmethod
    def perturb(self, query: Query, within: Region, ball: Ball) -> Tensor:
        """Images near ``ball.center`` that score higher. They are brought back inside the region afterwards."""

    @final
    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Any = None,
        *,
        target: Any = None,
        within: Region | None = None,
        mask: Tensor | None = None,
        starts: Tensor | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Attacked:
        """Attack images ``x`` [B, C, *] in [0, 1]: away from labels ``y``, or towards ``target`` classes.

        Where both are given, an image whose label is its target is refused. ``within`` bounds the change (see
        :meth:`region`), ``mask`` [B, 1, *] keeps it to where it is true, ``ids`` seed each row's random numbers so that
        a row does not depend on its neighbours. ``starts`` [N, C, *] are images that an attack which ``begins``
        somewhere may begin at, such as some of the target class.
        """
        checked_model(model)
        x = checked_images(x)
        goal, labels = aimed(x, y, target, model.width)
        starts = None if starts is None else self._checked_starts(starts, x).to(model.device)
        within = self.region(x, within)
        origin, x, labels = x, x.to(model.device), labels.to(model.device)
        rng, spent = (
            Rng.seeded(seed, row_ids(ids, len(x)), model.device),
            Spent.nothing(len(x), x.device, starts),
        )
        query = Query(model, goal, labels, rng, who=type(self).__name__, spent=spent)
        with model.settled():
            found = self.found(query, within, within.around(x, mask))
            logits = query.logits(found)
        return judged(found, x, logits, query, seed, origin, within)

    @final
    def region(self, x: Tensor, within: Region | None) -> Region:
        """``within``, or without one the attack's own norm at its usual size, where it looks for the nearest at any."""
        if within is not None and not isinstance(within, Region):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"within must be a region, not {within!r}", f"such as Linf({within!r})")
        own, free = self.usable[0], any(a.nearest or a.anywhere for a in (self, *self.inside))
        return within or (own.whole(x) if free else own())  # pyright: ignore[reportCallIssue]

    def _checked_starts(self, starts: Any, x: Tensor) -> Tensor:
        if not self.has_to_begin:
            raise InputError(f"{type(self).__name__} does not begin at other images", "leave starts out")
        starts = checked_images(starts)
        if starts.shape[1:] != x.shape[1:]:
            known = f"starts of shape {list(starts.shape[1:])} for images of shape {list(x.shape[1:])}"
            raise InputError(known, "give images of the same size and channels")
        return starts.to(x.dtype)

    @property
    @final
    def has_to_begin(self) -> bool:
        """Whether this or an attack inside it begins at an image that reaches the goal."""
        return self.begins or any(inner.has_to_begin for inner in self.inside)

    @property
    @final
    def inside(self) -> "tuple[Attack, ...]":
        """The attacks this one is made of."""
        values = [getattr(self, option.name) for option in options(type(self))]
        parts = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
        return tuple(part for part in parts if isinstance(part, Attack))

    @property
    @final
    def usable(self) -> tuple[type[Norm], ...]:
        """The norms in which this and every attack inside it can work, its own first."""
        return tuple(n for n in self.norms if all(n in inner.usable for inner in self.inside))

    @final
    def found(self, query: Query, within: Region, ball: Ball) -> Tensor:
        """What :meth:`perturb` finds, for certain inside the region and [0, 1]."""
        if within.norm not in self.usable:
            known = ", ".join(norm.__name__ for norm in self.usable)
            raise InputError(
                f"{type(self).__name__} does not work in {within.norm.__name__}",
                f"it works in {known}; unfool methods lists the others",
            )
        swift = query.about(query.model.quick(ball.center))
        return within.project(self.perturb(swift, within, ball).detach(), ball)

    @final
    def left_out(self, question: Question, batch: Batch) -> dict[str, str]:
        """Images of the target class, by label or where there is none as predicted: there is nothing to fool."""
        if question.target is None:
            return {}
        own = (question._replace(target=None).labels(batch) == question.labels(batch)).tolist()
        return {i: OWN_TARGET for i, same in zip(batch.ids, own, strict=True) if same}

    @final
    def columns(self, question: Question, batch: Batch) -> Columns:
        wanted = question.labels(batch)
        aim: dict[str, Any] = {"y" if question.target is None else "target": wanted}
        how: dict[str, Any] = {"mask": question.mask(batch), "seed": question.seed, "ids": batch.ids}
        how |= {"starts": question.starts} if self.has_to_begin else {}
        found = self(question.model, batch.x, **aim, within=question.within, **how)
        return columns_of(found, question, batch, wanted)


def columns_of(found: Attacked, question: Question, batch: Batch, wanted: Tensor) -> Columns:
    """What a run keeps: the images as 8-bit files hold them, and whether they reach the goal before and after that.

    ``started`` are those that reach it to begin with, so that nobody counts them as fooled.
    """
    saved = to_uint8(found.x)
    before, again = (label_of(question.model(x)).to(wanted.device) for x in (batch.x, from_uint8(saved)))
    started, survives = ((label == wanted) == (question.target is not None) for label in (before, again))
    scores = {
        name: getattr(found, name)
        for name in ("success", "label", "confidence", "l0", "l1", "l2", "linf", "queries", "no_start")
    }
    known = {"adversarial": saved, "y": wanted.cpu()}
    return {**known, **scores, "started": started, "label_saved": again, "success_saved": survives}


def aimed(x: Tensor, y: Any, target: Any, classes: int | None) -> tuple[Goal, Tensor]:
    if y is None and target is None:
        raise InputError(
            "an attack needs labels to lead away from, or targets to lead to", "give y=… or target=…"
        )
    if target is None:
        return Untargeted(), checked_labels(y, x, classes)
    aims = checked_labels(target, x, classes, "targets")
    if y is not None and (same := (checked_labels(y, x, classes) == aims)).any():
        raise InputError(
            f"{int(same.sum())} of {len(x)} images have their own label as target",
            "leave them out, or give y alone",
        )
    return Targeted(), aims


def judged(
    found: Tensor, x: Tensor, logits: Tensor, query: Query, seed: int, origin: Tensor, within: Region
) -> Attacked:
    delta = (found - x).flatten(1)
    moved = (found != x).any(1).flatten(1).sum(1)
    probability = mean_scores(logits).softmax(1)
    reached = query.objective.reached({"output": logits}, query.y)
    sizes = moved, delta.abs().sum(1), delta.norm(dim=1), delta.abs().amax(1)
    told = (query.queries, query.spent.lost & ~reached)
    tensors = (found, reached, label_of(logits), probability.amax(1), *sizes, *told)
    homed = (t.to(origin.device) for t in tensors)
    return Attacked(*homed, cost=dict(query.cost), seed=seed, within=within, origin=origin)


def once(query: Query) -> Query:
    """The same question for those who try one thing after the other: a change of class is always enough."""
    goal = query.objective
    return query.instead(Untargeted(goal.loss)) if isinstance(goal, Onwards) else query
