"""What every attribution has in common: one method to write, one door to come in by."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor

from ..blackbox import Access
from ..checks import checked_images, row_ids
from ..errors import InputError
from ..maps import resize, strongest_channel
from ..method import Columns, Method, Question, checked_model, targets_of
from ..model import Model
from ..objectives import Objective
from ..pictured import html, plot, save
from ..query import Query
from ..rows import Batch
from ..targets import Box


class Explained(NamedTuple):
    """Where a network looks, one entry per image. Nothing is normalised before it is drawn.

    ``heat`` is the signed map as computed [B, C, *small]; ``map`` one channel of it at the image's size
    [B, 1, *space]: the strongest channel's absolute value where there are several. ``score`` is what was explained,
    for class ``target``. ``x`` are the images. ``notes`` is what the method says beside it, one entry per row, such as
    which layer it chose.
    """

    heat: Tensor
    map: Tensor
    score: Tensor
    target: Tensor
    x: Tensor
    cost: dict[str, int]
    seed: int
    notes: dict[str, Tensor] = {}  # noqa: RUF012  never written to

    plot, save, _repr_html_ = plot, save, html


class Attribution(Method, ABC):
    """Which parts of an image a score depends on."""

    asks: ClassVar[Access] = "gradients"
    """What it has to be told, at most, as its defaults are."""

    @abstractmethod
    def explain(self, query: Query, x: Tensor) -> Tensor:
        """A signed map per row, in whatever size comes naturally: [B, C, *]."""

    def explain_each(self, asked: Sequence[Query], x: Tensor) -> Sequence[Tensor]:
        """The maps [B, C, *] for several targets per row; some attributions share the forward pass."""
        return [self.explain(one, x) for one in asked]

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
        question = Question(model, target=target, seed=seed, objective=objective, given=given or {})
        query, x, origin = self._asked(question, x, ids)
        with model.settled():
            heat = self.explain(query, x).detach()
            if query.score is None:
                query.ask(x)
        return self._explained(heat, x, query, origin, seed)

    def _asked(
        self, question: Question, x: Tensor, ids: Sequence[Any] | None
    ) -> tuple[Query, Tensor, Tensor]:
        """What is asked, the images where the model is, and as they were given."""
        checked_model(question.model, boxes=True)
        x = checked_images(x)
        query = question.explaining(x, row_ids(ids, len(x)), type(self).__name__)
        assert query.images is not None
        return query, query.images, x

    def _explained(self, heat: Tensor, x: Tensor, query: Query, origin: Tensor, seed: int) -> Explained:
        seen = resize(strongest_channel(heat), tuple(x.shape[2:]))
        home = origin.device
        notes = {name: t.to(home) for name, t in query.notes.items()}
        if isinstance(query.objective, Box):
            notes["box"] = query.fixed[query.objective.fixes[0]].to(home)
        assert query.score is not None
        found = (t.to(home) for t in (heat, seen, query.score, query.y))
        return Explained(*found, x=origin, cost=dict(query.cost), seed=seed, notes=notes)

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
        question = Question(model, seed=seed, objective=objective, given=given or {})
        query, x, origin = self._asked(question, x, ids)
        ys = [targets_of(target, x, query.objective, model) for target in targets]
        if not ys:
            raise InputError("there are no targets", "give at least one: [0]")
        asked = query.each(ys)
        with model.settled():
            heats = [heat.detach() for heat in self.explain_each(asked, x)]
            for one in asked:
                if one.score is None:
                    one.ask(x)
        found = zip(heats, asked, strict=True)
        return tuple(self._explained(heat, x, one, origin, seed) for heat, one in found)

    @final
    def columns(self, question: Question, batch: Batch) -> Columns:
        found = self(
            question.model,
            batch.x,
            question.target,
            objective=question.objective,
            given=question.about(batch).given,
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
