"""Asking a model a question about a batch. The only file that asks for gradients."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .checks import checked_labels
from .errors import InputError
from .model import Model
from .objectives import Objective, label_of
from .rows import Rng
from .transforms import Change


class Answer(NamedTuple):
    """What a question was answered: each row's score, whether it is done, and the gradient where it was asked for."""

    score: Tensor
    reached: Tensor
    grad: Tensor | None = None

    @property
    def slope(self) -> Tensor:
        assert self.grad is not None
        return self.grad


class AtLayer(NamedTuple):
    """Each row's score, a layer's activation [B, K, *] and the score's gradient there."""

    score: Tensor
    activation: Tensor
    grad: Tensor


class Spent(NamedTuple):
    """What a query and all its cuts share; ``rows`` are this cut's places in what has one entry per row."""

    cost: Counter[str]
    asked: Tensor
    """Forward passes of each row."""
    followed: Tensor
    """Backward passes of each row."""
    rows: Tensor
    lost: Tensor
    """Whether a search found no image to begin at."""
    starts: Tensor | None = None
    """Images [N, C, *] that a search of any row may begin at."""
    film: "list[Frame] | None" = None
    """Every state of a search in turn, where somebody wants to see it."""

    @classmethod
    def nothing(cls, n: int, device: torch.device | str, starts: Tensor | None = None) -> "Spent":
        rows = torch.arange(n, device=device)
        none = torch.zeros_like(rows)
        return cls(Counter(), none, none.clone(), rows, none.bool(), starts)

    def add(self, way: Literal["forward", "backward"], n: int = 1) -> None:
        """Note ``n`` passes of every row of this cut."""
        self.cost[way] += n * len(self.rows)
        counts = self.asked if way == "forward" else self.followed
        counts.index_add_(0, self.rows, torch.full_like(self.rows, n))


class Frame(NamedTuple):
    """Some rows' images at one moment of a search."""

    rows: Tensor
    x: Tensor


class Query:
    """A model, an objective, the rows' targets and their random streams: all of a question but the images.

    Where ``y`` is not given it is the class the network predicts for ``images``: read off the first pass over them, so
    that explaining the predicted class costs no pass of its own. ``score`` is what that pass said of them.
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
        spent: "Spent | None" = None,
        through: tuple[Change, ...] = (),
    ):
        self.model, self.objective, self.rng, self.who = model, objective, rng, who
        self.images, self.score, self.through = images, None, through
        self._y = y
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
            assert self.images is not None
            with torch.no_grad():
                trace = self.look(self.images, (*self.objective.reads, "output"))
                self._note(self.images, trace)
        assert self._y is not None
        return self._y

    def _note(self, x: Tensor, trace: dict[str, Tensor]) -> Tensor:
        """The score of a pass; the first over the query's own images also settles ``y`` and is remembered."""
        if self._y is None and x is self.images and "output" in trace:
            self._y = label_of(trace["output"].detach())
        score = self.objective.score(trace, self.y)
        score = score.to(torch.promote_types(score.dtype, torch.float32))
        if self.score is None and x is self.images:
            self.score = score.detach()
        return score

    def _with(
        self,
        model: Model,
        objective: Objective,
        y: Tensor | None,
        rng: Rng,
        spent: "Spent",
        images: Tensor | None = None,
    ) -> "Query":
        return Query(model, objective, y, rng, images=images, who=self.who, spent=spent, through=self.through)

    def __getitem__(self, keep: Tensor) -> "Query":
        spent = self.spent._replace(rows=self.spent.rows[keep])
        return self._with(self.model, self.objective, self.y[keep], self.rng[keep], spent)

    def tile(self, n: int) -> "Query":
        """The same question about ``n`` copies of the rows, one after the other."""
        spent, y = self.spent._replace(rows=self.spent.rows.repeat(n)), self.y
        return self._with(
            self.model, self.objective, y.repeat(n, *[1] * (y.ndim - 1)), self.rng.tile(n), spent
        )

    def instead(self, objective: Objective, y: Tensor | None = None) -> "Query":
        """Another question about the same rows."""
        return self._with(self.model, objective, self.y if y is None else y, self.rng, self.spent)

    def about(self, model: Model) -> "Query":
        """The same question to another model."""
        return self._with(model, self.objective, self._y, self.rng, self.spent, self.images)

    def filmed(self) -> "Query":
        """The same question, whose ``spent.film`` will hold every state that ``iterate`` goes through."""
        return self._with(
            self.model, self.objective, self._y, self.rng, self.spent._replace(film=[]), self.images
        )

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
        self, x: Tensor, reads: Sequence[str] | None = None, leaf: str | None = None
    ) -> dict[str, Tensor]:
        """One counted forward pass."""
        self.spent.add("forward")
        first = self.model.width is None
        trace = self.model.trace(x, self.objective.reads if reads is None else reads, leaf=leaf)
        if first and self._y is not None and self._y.ndim == 1 and "output" in self.objective.reads:
            checked_labels(self._y, x, self.model.width)
        return trace

    def _reads(self) -> tuple[str, ...]:
        return (
            self.objective.reads
            if self._y is not None
            else tuple(dict.fromkeys((*self.objective.reads, "output")))
        )

    def _changed(self, x: Tensor, through: Iterable[Change]) -> Tensor:
        for transform in through:
            x = transform(x, self.rng)
        return x

    @torch.no_grad()
    def ask(self, x: Tensor) -> Answer:
        """The score of each image, and whether it is done."""
        self.model.need("scores", self.who)
        trace = self.look(self._changed(x, self.through), self._reads())
        return Answer(self._note(x, trace), self.objective.reached(trace, self.y))

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
            leaf = x.detach().requires_grad_()
            trace = self.look(self._changed(leaf, (*self.through, *through)), self._reads())
            score = self._note(x, trace)
            (grad,) = torch.autograd.grad(_connected(score, self.who).sum(), leaf)
        self.spent.add("backward")
        return Answer(score.detach(), self.objective.reached(trace, self.y), grad.contiguous())

    def gradients(self, x: Tensor, ys: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Scores [K, B] and gradients [K, B, C, *] for several targets per row, from a single forward pass."""
        self.model.need("gradients", self.who)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            trace = self.look(x)
            scores = [self.objective.score(trace, y) for y in ys]
            last = len(scores) - 1
            grads = [torch.autograd.grad(s.sum(), x, retain_graph=k < last)[0] for k, s in enumerate(scores)]
        self.spent.add("backward", len(ys))
        return torch.stack(scores).detach(), torch.stack(grads)

    def at(self, layer: str, x: Tensor) -> AtLayer:
        """The score, a layer's activation and the gradient there; nothing below the layer is differentiated."""
        self.model.need("gradients", self.who)
        if layer in ("input", "output"):
            raise InputError(
                f"a layer called {layer!r} cannot be told from the network's own", "name one beside it"
            )
        with torch.enable_grad():
            trace = self.look(x, (*self._reads(), layer), leaf=layer)
            score = self._note(x, trace)
            (grad,) = torch.autograd.grad(
                _connected(score, self.who, layer).sum(), trace[layer], allow_unused=True
            )
        self.spent.add("backward")
        if grad is None:
            raise InputError(
                f"the score does not depend on layer {layer!r}", "name a layer on the way to the output"
            )
        exact = torch.promote_types(grad.dtype, torch.float32)
        return AtLayer(score.detach(), trace[layer].detach().to(exact), grad.to(exact))

    def packed(
        self, ask: Callable[["Query", Tensor], Tensor], variants: Iterable[Tensor]
    ) -> Iterator[Tensor]:
        """``ask(query, images)`` for every variant of the batch, as many variants per pass as the model holds."""
        variants, room = iter(variants), max(1, self.model.capacity // max(1, len(self)))
        while group := list(islice(variants, room)):
            yield from ask(self.tile(len(group)), torch.cat(group)).unflatten(0, (len(group), len(self)))


def gradient_of(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of what asks no network, such as roughness, summed over the rows."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad(f(leaf).sum(), leaf)
    return grad


def _connected(score: Tensor, who: str, layer: str | None = None) -> Tensor:
    if torch.is_inference_mode_enabled():
        raise InputError(
            f"{who}: there are no gradients in torch.inference_mode()", "torch.no_grad() does no harm"
        )
    if not score.requires_grad:
        place = f"layer {layer!r}" if layer else "the image"
        raise InputError(f"{who}: the score does not depend on {place}: the network cuts the gradient")
    return score
