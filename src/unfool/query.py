"""Asking a model a question about a batch. The only file that asks for gradients."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from .answers import Answer, AtLayer, Frame, Spent
from .checks import check_all_there, checked_labels
from .derivatives import derivatives, each_derivative, exact, kept, leaf_of, there
from .detections import labels_of
from .errors import InputError
from .model import Model
from .objectives import Objective, label_of
from .rows import Rng, copies
from .tail import Tail, body
from .transforms import Change


class Query:
    """A model, an objective, the rows' targets and their random streams: all of a question but the images.

    Where ``y`` is not given it is the class the network predicts for ``images``: read off the first pass over them, so
    that explaining the predicted class costs no pass of its own. ``score`` is what that pass said of them. What an
    objective fixes, such as the predicted mask, is read off that pass too. ``fixed`` holds it, and whatever else
    objectives may read that has one entry per row, such as the masks of the data.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        y: Tensor | None,
        rng: Rng,
        *,
        images: Tensor | None = None,
        who: str = "this",
        spent: Spent | None = None,
        through: tuple[Change, ...] = (),
        fixed: Mapping[str, Tensor] | None = None,
    ):
        self.model, self.objective, self.rng, self.who = model, objective, rng, who
        self.images, self.score, self.through = images, None, through
        self._y, self._fixed = y, fixed
        self.notes: dict[str, Tensor] = {}  # what a method says beside its map, one entry per row
        self.spent = Spent.nothing(len(rng), rng.device) if spent is None else spent

    def __len__(self) -> int:
        return len(self.rng)

    @property
    def cost(self) -> Counter[str]:
        """Images put through the network forward and backward, by all cuts of this query together."""
        return self.spent.cost

    @property
    def queries(self) -> Tensor:
        """How often the network was asked about each row so far: [B]."""
        return self.spent.asked[self.spent.rows]

    @property
    def y(self) -> Tensor:
        if self._y is None:
            self._settle()
        assert self._y is not None
        return self._y

    @property
    def fixed(self) -> Mapping[str, Tensor]:
        """What objectives read beside the network's tensors, one entry per row."""
        if self._unsettled():
            self._settle()
        return self._fixed or {}

    def _unsettled(self) -> bool:
        return any(name not in (self._fixed or {}) for name in self.objective.fixes)

    @torch.no_grad()
    def _settle(self) -> None:
        """Look at the images once, for what is not known of them yet."""
        if self.images is None:
            raise InputError(f"{self.objective!r} has to see images first, {self.who} shows none")
        self._note(self.images, self.look(self.images, self._reads()))

    def _note(self, x: Tensor, trace: dict[str, Tensor]) -> Tensor:
        """The score of a pass; the first over the query's own images also settles what they decide."""
        if x is self.images and "output" in trace:
            self._learn(trace)
        seen = {**trace, **self.fixed}
        if first := self.score is None and x is self.images:
            check_all_there(self.objective.lacking(seen, self.y), self.y, self.model.classes)
        score = self.objective.score(seen, self.y)
        score = score.to(torch.promote_types(score.dtype, torch.float32))
        if first:
            self.score = score.detach()
        return score

    def _learn(self, trace: dict[str, Tensor]) -> None:
        """What a first look decides where nobody has said it: the class, and what the objective fixes."""
        given = self._fixed or {}
        still = {name: t.detach() for name, t in {**given, **trace}.items()}
        if self._y is None:
            self._y = self.objective.usual(still)
        if self._unsettled():
            self._fixed = {**given, **self.objective.fixed(still, self._y)}

    def _with(
        self,
        model: Model,
        objective: Objective,
        y: Tensor | None,
        rng: Rng,
        spent: Spent,
        images: Tensor | None = None,
        fixed: Mapping[str, Tensor] | None = None,
    ) -> "Query":
        fixed, who, through = self._fixed if fixed is None else fixed, self.who, self.through
        return Query(
            model, objective, y, rng, images=images, who=who, spent=spent, through=through, fixed=fixed
        )

    def __getitem__(self, keep: Tensor) -> "Query":
        spent = self.spent._replace(rows=self.spent.rows[keep])
        fixed = {name: t[keep] for name, t in self.fixed.items()}
        return self._with(self.model, self.objective, self.y[keep], self.rng[keep], spent, fixed=fixed)

    def tile(self, n: int) -> "Query":
        """The same question about ``n`` copies of the rows, one after the other."""
        spent, y = self.spent._replace(rows=self.spent.rows.repeat(n)), copies(self.y, n)
        fixed = {name: copies(t, n) for name, t in self.fixed.items()}
        return self._with(self.model, self.objective, y, self.rng.tile(n), spent, fixed=fixed)

    def instead(self, objective: Objective, y: Tensor | None = None) -> "Query":
        """Another question about the same rows."""
        y = self._y if y is None else y
        return self._with(self.model, objective, y, self.rng, self.spent, self.images)

    def agree(self, other: "Query", factor: float = 1.0) -> None:
        """Take over what another question about the same images has settled; its score is ``factor`` times ours."""
        self._y, self._fixed = other._y, other._fixed
        self.score = None if other.score is None else other.score / factor

    def about(self, model: Model) -> "Query":
        """The same question to another model."""
        return self._with(model, self.objective, self._y, self.rng, self.spent, self.images)

    def filmed(self) -> "Query":
        """The same question, whose ``spent.film`` will hold every state that ``iterate`` goes through."""
        other = self.about(self.model)
        other.spent = self.spent._replace(film=[])
        return other

    def show(self, x: Tensor) -> None:
        """Where a search is now; it is forgotten at once unless this query is filmed."""
        if self.spent.film is not None:
            self.spent.film.append(Frame(self.spent.rows, x.detach().clone()))

    def seen(self, through: Iterable[Change]) -> "Query":
        """The same question about the images as random transforms leave them, drawn anew for every pass."""
        other = self._with(self.model, self.objective, self._y, self.rng, self.spent)
        other.through = (*self.through, *through)
        return other

    def look(
        self, x: Tensor, reads: Sequence[str] | None = None, leaves: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """One counted forward pass."""
        self.spent.add("forward")
        first = self.model.width is None
        trace = self.model.trace(x, self.objective.reads if reads is None else reads, leaves=leaves)
        if first and self._y is not None and self._y.ndim == 1 and "output" in self.objective.reads:
            checked_labels(self._y, x, labels_of(self.model))
        return trace

    def _reads(self) -> tuple[str, ...]:
        first = self._y is None or self._unsettled()
        return tuple(dict.fromkeys((*self.objective.reads, "output"))) if first else self.objective.reads

    def _changed(self, x: Tensor, through: Iterable[Change]) -> Tensor:
        for transform in through:
            x = transform(x, self.rng)
        return x

    @torch.no_grad()
    def ask(self, x: Tensor) -> Answer:
        """The score of each image, and whether it is done."""
        score, trace = self.ask_and_read(x, ())
        return Answer(score, self.objective.reached(trace, self.y))

    @torch.no_grad()
    def ask_and_read(self, x: Tensor, reads: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The score of each image, and what else the same pass shows."""
        self.model.need("scores", self.who)
        trace = self.look(self._changed(x, self.through), tuple(dict.fromkeys((*self._reads(), *reads))))
        return self._note(x, trace), trace

    @torch.no_grad()
    def reached(self, x: Tensor) -> Tensor:
        """Which images are done; labels are enough to know."""
        trace = self.look(x) if self.model.draws == 1 else {"output": self.logits(x)}
        return self.objective.reached(trace, self.y)

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """The network's answer itself, of as many draws as the model is judged by: [B, K, *]."""
        return self.model.drawn(lambda: self.look(x, ("output",))["output"])

    def labels(self, x: Tensor) -> Tensor:
        return label_of(self.logits(x))

    def gradient(self, x: Tensor, through: Iterable[Change] = ()) -> Answer:
        """The score and its gradient with respect to the images, seen ``through`` random transforms.

        What is differentiated may be anything with one entry per row, where the first change makes images of it.
        """
        self.model.need("gradients", self.who)
        with torch.enable_grad():
            leaf = leaf_of(x)
            trace = self.look(self._changed(leaf, (*self.through, *through)), self._reads())
            score = self._note(x, trace)
            (grad,) = derivatives(score, [leaf], self.who)
        self.spent.add("backward")
        return Answer(score.detach(), self.objective.reached(trace, self.y), there(grad).contiguous())

    def each(self, ys: Iterable[Tensor]) -> list["Query"]:
        """The same question for each of several targets per row."""
        return [self.instead(self.objective, y) for y in ys]

    def gradients(self, x: Tensor, asked: Sequence["Query"]) -> tuple[Tensor, Tensor]:
        """Scores [K, B] and gradients [K, B, C, *] of several questions, from a single forward pass.

        On a GPU they go back together; a processor is as fast with one after the other, and holds less.
        """
        self.model.need("gradients", self.who)
        with torch.enable_grad():
            leaf = leaf_of(x)
            trace = self.look(self._changed(leaf, self.through), asked[0]._reads())
            scores = torch.stack([one._note(x, trace) for one in asked])
            together = max(1, self.model.capacity // len(x)) if x.is_cuda else 1
            grads = each_derivative(scores, leaf, self.who, together)
        self.spent.add("backward", len(asked))
        return scores.detach(), grads

    def at(self, layer: str, x: Tensor) -> AtLayer:
        """The score, a layer's activation and the gradient there; nothing below the layer is differentiated."""
        return self.at_layers((layer,), x)[0]

    def at_layers(self, layers: Sequence[str], x: Tensor, idle: bool = False) -> list[AtLayer]:
        """The same at several, from one pass there and one back; "input" is the images; an ``idle`` one has zeros."""
        with torch.enable_grad():
            score, trace = self.leading(layers, x)
            at = [trace[name] for name in layers]
            grads = derivatives(score, at, self.who, f"layer {layers[0]!r}", idle=idle)
        self.spent.add("backward")
        return [
            AtLayer(score.detach(), exact(kept(t)), exact(there(grad, f"layer {name!r}")))
            for name, t, grad in zip(layers, at, grads, strict=True)
        ]

    def leading(self, layers: Sequence[str], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The score and what it was made of, in a pass whose gradients may be taken at ``layers``."""
        x_leaf = leaf_of(x) if "input" in self._own(layers) else x
        trace = self.look(x_leaf, (*self._reads(), *layers), leaves=layers)
        return self._note(x, trace), trace

    def _own(self, layers: Sequence[str]) -> Sequence[str]:
        self.model.need("gradients", self.who)
        if taken := {"input", "output"} & {*layers} & {*self.model.layers}:
            raise InputError(
                f"a layer called {min(taken)!r} cannot be told from the network's own", "name one beside it"
            )
        return layers

    @torch.no_grad()
    def activations(self, layers: Sequence[str], x: Tensor) -> dict[str, Tensor]:
        """What layers give, forward alone, and the network's answer where "output" is among them.

        Only the first pass over the query's own images goes on behind the last of them: to their score.
        """
        first = x is self.images and self.score is None
        trace = self.look(x, (*(self._reads() if first else ()), *self._own(layers)))
        if first:
            self._note(x, trace)
        return {name: exact(trace[name]) for name in layers}

    def tail(self, layer: str, x: Tensor) -> Tail:
        """What follows a layer; what comes before it has run once when this returns."""
        self.spent.cost["body"] += len(x)
        y, fixed = self.y, self.fixed
        return Tail(self.model, self.objective, y, fixed, self.spent, x, body(self.model, x, layer))

    def packed(
        self, ask: Callable[["Query", Tensor], Tensor], variants: Iterable[Tensor]
    ) -> Iterator[Tensor]:
        """``ask(query, images)`` for every variant of the batch, as many variants per pass as the model holds."""
        variants, room = iter(variants), max(1, self.model.capacity // max(1, len(self)))
        while group := list(islice(variants, room)):
            yield from ask(self.tile(len(group)), torch.cat(group)).unflatten(0, (len(group), len(self)))
