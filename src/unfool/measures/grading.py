"""What every grade of a map has in common: one method to write, one door to come in by."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, final

import torch
from torch import Tensor

from ..checks import checked_images, row_ids
from ..detections import finds_boxes
from ..errors import InputError
from ..maps import resize, strongest_channel
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..objectives import Between, Objective, label_of
from ..query import Query
from ..rows import Batch, Rng, column, stable_number
from ..scores import pick
from ..segments import holds, of_classes, spread
from ..spec import Spec


class Maps(NamedTuple):
    """A method's signed maps as computed [B, C, *], and as one channel at the image's size [B, 1, *space]."""

    heat: Tensor
    seen: Tensor

    @classmethod
    def of(cls, heat: Tensor, space: tuple[int, ...]) -> "Maps":
        return cls(heat, resize(strongest_channel(heat), space))


Explain = Callable[[Model, Tensor], Maps]
"""The maps of images, of the same classes as ever, by the method under test."""


class Asked:
    """Some images and their maps, and all that measures have asked about them: what two need is asked once."""

    def __init__(
        self,
        query: Query,
        maps: Maps,
        masks: Tensor | None = None,
        explain: Explain | None = None,
        *,
        logits: Tensor,
        whole: bool = False,
    ):
        assert query.images is not None
        self.query, self.x, self.maps, self.masks, self.logits = query, query.images, maps, masks, logits
        self._explain = explain
        self.whole = whole
        """Whether the objective's own score counts rather than the probability of a class."""
        self._blank: dict[str, Tensor] = {}

    @property
    def probable(self) -> bool:
        """Whether what counts is a probability."""
        return not self.whole or self.query.objective.probable

    @property
    def label(self) -> Tensor:
        """What the network takes the images for."""
        return self.taken_for(self.logits)

    def taken_for(self, logits: Tensor) -> Tensor:
        """What it takes images with those answers for: their classes, largest regions or surest boxes."""
        return self.query.objective.usual({**self.query.fixed, "output": logits})

    def still(self, x: Tensor) -> Tensor:
        """Which of the changed images it takes for the same: [B] bool."""
        return (self.taken_for(self.query.logits(x)) == self.label).view(len(x), -1).all(1)

    def rng(self, who: object) -> Rng:
        """Random numbers of a measure's own: the same whatever else is measured."""
        seeds = [stable_number(seed, "graded", repr(who)) for seed in self.query.rng.seeds]
        return Rng(seeds, self.query.rng.device)

    def sure(self, query: Query, x: Tensor) -> Tensor:
        """The probability of the class explained, or the score where something else is explained."""
        if self.whole:
            return query.ask(x).score
        query.model.need("scores", query.who)
        return probability(query.logits(x), query.y)

    def each(self, variants: Iterable[Tensor]) -> list[Tensor]:
        """The same of several images for each row, [B] each."""
        return list(self.query.packed(self.sure, variants))

    @cached_property
    def before(self) -> Tensor:
        """What the network says of the images as they are."""
        if self.whole:
            return self.query.ask(self.x).score if self.query.score is None else self.query.score
        return probability(self.logits, self.query.y)

    @cached_property
    def score(self) -> Tensor:
        """What is explained, of the images as they are."""
        return self.before if self.whole else pick(self.logits, self.query.y)

    def blank(self, fill: str, make: Callable[[], Tensor]) -> Tensor:
        """What it says of images that hold nothing any more, by what was put there."""
        if fill not in self._blank:
            self._blank[fill] = self.sure(self.query, make())
        return self._blank[fill]

    @cached_property
    def kept(self) -> Tensor:
        """What it says of images of which only what the map marks is left."""
        marked = self.maps.seen.clamp_min(0)
        most = marked.flatten(1).amax(1).view(-1, *[1] * (marked.ndim - 1))
        return self.sure(self.query, self.x * (marked / most.where(most > 0, 1)).to(self.x))

    @cached_property
    def order(self) -> Tensor:
        """Positions, most relevant first, ties in random order: [B, P]."""
        flat = self.maps.seen.flatten(1)
        shuffle = self.rng("order").uniform(flat.double()).argsort(1)
        return shuffle.gather(1, flat.gather(1, shuffle).argsort(dim=1, descending=True, stable=True))

    @cached_property
    def rank(self) -> Tensor:
        """Each position's place in that order: [B, 1, *space]."""
        place = torch.arange(self.order.shape[1], device=self.order.device).expand_as(self.order)
        return torch.empty_like(self.order).scatter_(1, self.order, place).view_as(self.maps.seen)

    @property
    def empty(self) -> Tensor:
        """Which maps are the same everywhere, and so point nowhere: [B] bool."""
        low, high = self.maps.seen.flatten(1).aminmax(dim=1)
        return low == high

    def again(self, x: Tensor, model: Model | None = None) -> Maps:
        """Maps of changed images."""
        if self._explain is None:
            raise InputError(
                f"{self.query.who} makes maps of changed images", "give it the method, not a map"
            )
        return self._explain(model or self.query.model, x)


def probability(logits: Tensor, y: Tensor) -> Tensor:
    """Of class ``y``; of a map of scores, its mean over the positions."""
    return pick(logits.softmax(1), y)


class Graded(NamedTuple):
    """One number per image, not a number where a measure has nothing to say, and what it cost."""

    value: Tensor
    cost: dict[str, int]


class Measure(Spec, ABC):
    """How good a map is, as one number per image."""

    better: ClassVar[Literal["higher", "lower"]] = "higher"
    masks: ClassVar[bool] = False
    """Whether it needs to be told where the thing is."""
    probabilities: ClassVar[bool] = False
    """Whether it is about probabilities alone: scores without a scale of their own tell it nothing."""
    remakes: ClassVar[bool] = False
    """Whether it makes maps of changed images: it needs the method itself."""

    @abstractmethod
    def grade(self, asked: Asked) -> Tensor:
        """One number per row [B], not a number where the measure has nothing to say."""

    @final
    def __call__(
        self,
        model: Model,
        x: Tensor,
        heat: Any,
        target: Any = None,
        *,
        objective: Objective | None = None,
        masks: Tensor | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Graded:
        """Grade a map ``heat`` of images ``x``: any tensor [B, C, *], or the method that makes it.

        ``target`` is the class explained, by default the predicted one; ``masks`` [B, 1, *space] say where it is.
        """
        checked_model(model, boxes=True)
        x = checked_images(x).to(model.device)
        with model.settled():
            unknown = torch.full((len(x),), -1)
            batch = Batch(tuple(map(str, row_ids(ids, len(x)))), x, unknown, masks)
            question = Question(model, target=target, seed=seed, objective=objective)
            asked = asked_of(question, batch, heat, type(self).__name__)
            value = self.checked(asked)
        return Graded(value.cpu(), dict(asked.query.cost))

    def checked(self, asked: Asked) -> Tensor:
        """The grade, where what it needs is there."""
        if self.masks and asked.masks is None:
            raise InputError(f"{type(self).__name__} needs masks", "data with masks, or masks=…")
        if self.probabilities and not asked.probable:
            raise InputError(
                f"{type(self).__name__} is about probabilities, the score of {asked.query.objective!r} is none",
                "Deletion(), Insertion() and ROAD() take any score",
            )
        return self.grade(asked).double()


def asked_of(question: Question, batch: Batch, inner: Any, who: str) -> Asked:
    """What measures are given: the maps of ``inner``, a method or maps that are there, of what stays the same.

    That is the class, and whatever the objective fixes: a region, a peak, a box.
    """
    query = question.about(batch).explaining(batch.x, batch.ids, who)
    assert query.images is not None
    whole, x = question.objective is not None or finds_boxes(question.model), query.images
    if whole:
        logits = query.ask_and_read(x, ("output",))[1]["output"]
    else:
        logits = query.logits(x)
        query = query.instead(query.objective, label_of(logits) if question.target is None else None)
    y, fixed = query.y, query.fixed

    def explain(model: Model, changed: Tensor) -> Maps:
        asked = {"objective": query.objective, "given": fixed, "seed": question.seed, "ids": batch.ids}
        found = inner(model, changed, y, **asked)
        _spend(query, found.cost)
        return Maps(found.heat.to(model.device), found.map.to(model.device))

    given: Any = {"masks": _place(query, batch, logits), "logits": logits, "whole": whole}
    if isinstance(inner, Tensor):
        return Asked(query, Maps.of(_fitting(inner, x), tuple(x.shape[2:])), **given)
    if not hasattr(inner, "explain"):
        raise InputError(f"{who} grades an attribution or its map, not {inner!r}", "such as GradCAM()")
    return Asked(query, explain(question.model, x), explain=explain, **given)


def _spend(query: Query, cost: Mapping[str, int]) -> None:
    for way, n in cost.items():
        query.cost[f"maps {way}"] += n


def _fitting(heat: Tensor, x: Tensor) -> Tensor:
    if heat.ndim != x.ndim or len(heat) != len(x):
        raise InputError(f"maps of {list(x.shape)} are [B, C, *space], not {list(heat.shape)}")
    return heat.detach().to(x.device, x.dtype)


def _place(query: Query, batch: Batch, logits: Tensor) -> Tensor | None:
    """Where what is explained is, [B, 1, *space]: what the objective fixes, else the data's masks of its class."""
    y, space = query.y, tuple(batch.x.shape[2:])
    own = query.objective.place({**query.fixed, "output": logits}, y, space)
    if own is not None or batch.masks is None:
        return own
    masks = batch.masks.to(y.device)
    if len(masks) != len(batch.x) or masks.shape[2:] != space[len(space) - masks.ndim + 2 :]:
        raise InputError(
            f"masks {list(masks.shape)} do not fit images {list(batch.x.shape)}", "one mask each, as large"
        )
    about = y if y.ndim == 1 else y[:, int(isinstance(query.objective, Between))]
    if logits.ndim > 2 and of_classes(masks):
        return spread(holds(masks[:, 0], about), space)
    known = batch.y.to(y.device)
    return spread(masks.bool().any(1), space) & column((known < 0) | (known == about), batch.x)


def _graded(one: Measure, asked: Asked) -> Tensor:
    """A grade, or nothing for each row where there are no masks or probabilities and it needs them."""
    if (one.masks and asked.masks is None) or (one.probabilities and not asked.probable):
        return torch.full((len(asked.x),), torch.nan, dtype=torch.float64)
    return one.checked(asked)


class Grades(Method):
    """One method's maps graded by several measures, one column each.

    The class is the question's target, by default the one predicted for the unchanged image.
    """

    inner: Method
    """An attribution."""
    measures: tuple[Measure, ...]

    def columns(self, question: Question, batch: Batch) -> Columns:
        with question.model.settled():
            asked = asked_of(question, batch, self.inner, type(self).__name__)
            found = {repr(one): _graded(one, asked).cpu() for one in self.measures}
        return found | {
            "target": asked.query.y.cpu(),
            "label": asked.label.cpu(),
            "passes": asked.query.queries.cpu(),
        }
