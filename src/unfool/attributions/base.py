"""What every attribution has in common: one method to write, one door to come in by."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from ..checks import as_numbers, checked_images, checked_labels, row_ids
from ..detections import finds_boxes, labels_of, told
from ..errors import InputError
from ..maps import resize, strongest_channel
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..objectives import Logit, Objective, Output
from ..query import Query
from ..rows import Batch, Rng
from ..targets import Box, Segment

EMPTY = "its mask is empty"
"""Why a run leaves an image out whose score would be that of its mask."""


class Explained(NamedTuple):
    """Where a network looks, one entry per image. Nothing is normalised before it is drawn.

    ``heat`` is the signed map as computed [B, C, *small]; ``map`` one channel of it at the image's size
    [B, 1, *space]: the strongest channel's absolute value where there are several. ``score`` is what was explained,
    for class ``target``. ``notes`` is what the method says beside it, one entry per row, such as which layer it chose.
    """

    heat: Tensor
    map: Tensor
    score: Tensor
    target: Tensor
    cost: dict[str, int]
    seed: int
    notes: dict[str, Tensor] = {}  # noqa: RUF012  never written to


class Attribution(Method, ABC):
    """Which parts of an image a score depends on."""

    @abstractmethod
    def explain(self, query: Query, x: Tensor) -> Tensor:
        """A signed map per row, in whatever size comes naturally: [B, C, *]."""

    def explain_each(self, query: Query, x: Tensor, ys: Sequence[Tensor]) -> Tensor:
        """The maps for several targets per row [K, B, C, *]; some attributions share the forward pass."""
        return torch.stack([self.explain(query.instead(query.objective, y), x) for y in ys])

    @final
    def __call__(
        self,
        model: Model,
        x: Tensor,
        target: Any = None,
        *,
        objective: Objective | None = None,
        given: Mapping[str, Tensor] | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Explained:
        """Explain images ``x`` [B, C, *] in [0, 1]: the logit of class ``target``, by default of the predicted class.

        ``objective`` replaces the logit; ``target`` is then its class or channel. ``given`` is what it reads beside the
        network's tensors, one row per image: the ``mask`` of ``Segment('mask')``, the ``reference`` of ``Like()``, the
        ``box`` of ``Box('given')``. A detector is asked about its surest box.
        """
        query, x, home = self._question(model, x, target, objective, given, seed, ids)
        with model.settled():
            heat = self.explain(query, x).detach()
            score = query.ask(x).score if query.score is None else query.score
        return self._explained(heat, x, score, query.y, query, home, seed)

    def _question(
        self,
        model: Model,
        x: Tensor,
        target: Any,
        objective: Objective | None,
        given: Mapping[str, Tensor] | None,
        seed: int,
        ids: Sequence[Any] | None,
    ) -> tuple[Query, Tensor, torch.device]:
        """What is asked, the images where the model is, and where they came from."""
        checked_model(model, boxes=True)
        x = checked_images(x)
        objective = objective or (Box() if finds_boxes(model) else Logit())
        if finds_boxes(model) and isinstance(objective, Output) and not isinstance(objective, Box):
            raise InputError(
                f"{objective!r} is about scores of classes, {model.name} tells boxes", "use Box()"
            )
        home, x = x.device, x.to(model.device)
        y = None if target is None else _checked(target, x, objective, model)
        rng = Rng.seeded(seed, row_ids(ids, len(x)), model.device)
        fixed = {name: _one_per_image(name, t, x) for name, t in (given or {}).items()}
        return Query(model, objective, y, rng, images=x, who=type(self).__name__, fixed=fixed), x, home

    def _explained(
        self, heat: Tensor, x: Tensor, score: Tensor, y: Tensor, query: Query, home: torch.device, seed: int
    ) -> Explained:
        seen = resize(strongest_channel(heat), tuple(x.shape[2:]))
        notes = {name: t.to(home) for name, t in query.notes.items()}
        if isinstance(query.objective, Box):
            notes["box"] = query.fixed[query.objective.fixes[0]].to(home)
        found = (t.to(home) for t in (heat, seen, score, y))
        return Explained(*found, cost=dict(query.cost), seed=seed, notes=notes)

    @final
    def each(
        self,
        model: Model,
        x: Tensor,
        targets: Any,
        *,
        objective: Objective | None = None,
        given: Mapping[str, Tensor] | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> tuple[Explained, ...]:
        """The same for several targets of every image, sharing what can be shared.

        ``targets`` has one entry per target, each what ``target`` may be: ``[3, 8]`` are two classes of all images.
        """
        query, x, home = self._question(model, x, None, objective, given, seed, ids)
        ys = [_checked(target, x, query.objective, model) for target in targets]
        if not ys:
            raise InputError("there are no targets", "give at least one: [0]")
        query = query.instead(query.objective, ys[0])
        with model.settled():
            heats = self.explain_each(query, x, ys).detach()
            scores = [query.instead(query.objective, y).ask(x).score for y in ys]
        found = zip(heats, scores, ys, strict=True)
        return tuple(self._explained(heat, x, score, y, query, home, seed) for heat, score, y in found)

    @final
    def left_out(self, question: Question, batch: Batch) -> dict[str, str]:
        if finds_boxes(question.model):
            return self._without_a_box(question, batch)
        asked = () if question.objective is None else question.objective.fixes
        if "mask" not in asked or batch.masks is None:
            return self._without_the_class(question, batch)
        empty = ~batch.masks.flatten(1).bool().any(1)
        return {i: EMPTY for i, nothing in zip(batch.ids, empty.tolist(), strict=True) if nothing}

    def _without_the_class(self, question: Question, batch: Batch) -> dict[str, str]:
        """Images that have nothing of the class whose region is asked about."""
        objective, model = question.objective, question.model
        if question.target is None or not isinstance(objective, Segment):
            return {}
        scores = model(batch.x)
        mask = None if batch.masks is None else batch.masks.to(scores.device)
        lacking = objective.lacking(scores, question.labels(batch).to(scores.device), mask).tolist()
        names = [model.label_name(int(y)) for y in question.labels(batch)]
        told = zip(batch.ids, names, lacking, strict=True)
        return {i: f"no position of {name} to explain" for i, name, empty in told if empty}

    def _without_a_box(self, question: Question, batch: Batch) -> dict[str, str]:
        """Images in which a detector finds nothing to explain."""
        if question.objective not in (None, Box()):
            return {}
        found = [labels.tolist() for _, _, labels in told(question.model, batch.x)]
        wanted = question.target
        boxless = (not labels or (wanted is not None and int(wanted) not in labels) for labels in found)
        return {
            i: "the detector finds no such box" for i, lacks in zip(batch.ids, boxless, strict=True) if lacks
        }

    @final
    def columns(self, question: Question, batch: Batch) -> Columns:
        given = dict(question.given) | ({} if batch.masks is None else {"mask": batch.masks})
        if batch.objects is not None:
            given["box"] = batch.victims[:, :4]
        found = self(
            question.model,
            batch.x,
            question.target,
            objective=question.objective,
            given=given,
            seed=question.seed,
            ids=batch.ids,
        )
        low, high = found.map.flatten(1).aminmax(dim=1)
        return {
            "heat": found.map,
            "score": found.score,
            "target": found.target,
            "raw_min": low,
            "raw_max": high,
            "computed": torch.tensor(found.heat.shape[2:]).repeat(len(found.heat), 1),
            **found.notes,
        }


def _checked(target: Any, x: Tensor, objective: Objective, model: Model) -> Tensor:
    if objective.numbers is None:
        y = as_numbers(target, "targets").to(model.device).long()
        return y.expand(len(x), -1) if y.ndim == 1 else y
    labels = checked_labels(target, x, labels_of(model) if "output" in objective.reads else None, "targets")
    return labels.to(model.device)


def _one_per_image(name: str, t: Tensor, x: Tensor) -> Tensor:
    if t.ndim == 0 or len(t) not in (1, len(x)):
        raise InputError(f"{name} must have one row for each of {len(x)} images, not {list(t.shape)}")
    return t.detach().to(x.device).expand(len(x), *t.shape[1:])
