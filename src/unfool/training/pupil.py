"""A network that learns: a private copy of the user's, its optimiser, and what it has cost so far."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..answers import Spent
from ..attacks.base import Attack
from ..borrow import copied
from ..errors import DataError, InputError
from ..method import Columns
from ..model import Model
from ..objectives import Goal
from ..query import Query
from ..regions import Ball, Region
from ..rows import Batch, Rng
from .copies import Swift, buffers_kept, laid, trainable
from .optimisers import Optimiser, Schedule
from .ranks import Ranks, unsynced

Mode = Literal["evaluation", "training"]
"""How the network stands while it is attacked: as it is judged, or with each batch's own means and its dropout."""


class Part(NamedTuple):
    """Some of an update's images: as many as pass through the network together."""

    x: Tensor
    y: Tensor
    ids: tuple[str, ...]
    ball: Ball
    within: Region
    seed: int
    place: int
    """Where in the update's images they begin, all processes together."""
    counts: bool = True
    """Whether they are learned from; a process without images of its own passes one through for the others' sake."""


class Kept(NamedTuple):
    """What an update that fails must leave as it was."""

    buffers: list[Tensor]
    told: Tensor
    carried: Tensor | None
    updates: int


class Pupil:
    """A copy of a model's network, all that an update leaves behind, and the passes it took.

    ``judged`` is the model as it stands, or with averaged weights where they are averaged: in float32, in evaluation
    mode. The user's own network is not touched.
    """

    def __init__(
        self,
        model: Model,
        like: Batch,
        optimiser: Optimiser,
        schedule: Schedule,
        *,
        rows: int,
        average: float = 0.0,
        smoothing: float = 0.0,
        precision: Literal["float32", "bfloat16"] = "float32",
    ):
        self.like = like
        self.net, last = laid(trainable(model), like.x[:1].to(model.device))
        self.ranks, self.rate, self.schedule = Ranks.here(), optimiser.rate, schedule
        mixed = precision == "bfloat16"
        inner = Swift(self.net, mixed, last) if mixed or last else self.net
        self.model, self.plain = self._around(model, inner), self._around(model, self.net)
        self.joined = self._around(model, self.ranks.joined(inner))
        weights = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = optimiser.over(weights)
        self.rows, self.average, self.smoothing = rows, average, smoothing
        self.mean: dict[str, Tensor] = {}
        self.carried: Tensor | None = None
        self.told = torch.zeros(2, dtype=torch.float64, device=model.device)
        """The sum of the losses of this epoch, and of how many images."""
        self.spent: Counter[str] = Counter()
        self.updates, self.split, self.span = 0, 1, (0.0, 1.0)
        self._passed = 0

    def _around(self, model: Model, net: nn.Module) -> Model:
        other = model.around(net)
        other.fast, other.draws = False, 1
        return other

    def warm(self) -> None:
        """One image through the network: what it answers with, and in which order processes add their gradients.

        They settle on one in their first pass. As it is made here, a run that is taken up again adds in the same order.
        """
        x = self.like.x[:1].to(self.device)
        if (logits := self.plain(x)).ndim != 2:
            raise InputError(
                f"{self.model.name} answers with maps {list(logits.shape[1:])}, not with classes of images",
                "training is for classifiers",
            )
        if self.ranks.world > 1:
            self.net.eval()
            with self.joined.lent():
                (self.joined.trace(x)["output"].sum() * 0).backward()
            self.optimiser.zero_grad()

    @property
    def device(self) -> torch.device:
        return self.model.device

    def logits(self, x: Tensor) -> Tensor:
        """The network's answer as it learns: [B, K]; gradients reach its weights."""
        self._passed += len(x)
        return self.joined.trace(x)["output"]

    def surprise(self, logits: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of each row, smoothed where labels are: [B]."""
        return F.cross_entropy(logits, y, reduction="none", label_smoothing=self.smoothing)

    def changed(
        self,
        part: Part,
        attack: Attack,
        goal: Goal,
        mode: Mode,
        fixed: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The images an attack finds against the weights of this moment; nothing of the weights is differentiated."""
        spent = Spent.nothing(len(part.x), part.x.device)
        rng = Rng.seeded(part.seed, part.ids)
        query = Query(
            self.model, goal, part.y, rng, who=type(attack).__name__, spent=spent, fixed=fixed or {}
        )
        with self.standing(mode):
            found = attack.found(query, part.within, part.ball)
        self.note(part, **query.cost)
        return found

    def note(self, part: Part, **passes: int) -> None:
        """Count passes of a part's images, where they are learned from."""
        self.spent.update({way: n for way, n in passes.items() if part.counts})

    @contextmanager
    def standing(self, mode: Mode) -> Generator[None]:
        """The network as it is attacked: frozen, in one mode or the other, its running means left alone."""
        if mode == "evaluation":
            with self.model.settled():
                yield
            return
        wanted = [p for p in self.net.parameters() if p.requires_grad]
        try:
            for p in wanted:
                p.requires_grad_(False)
            with self.model.lent(), buffers_kept(self.net.train()):
                yield
        finally:
            for p in wanted:
                p.requires_grad_(True)

    def backward(self, graded: Sequence[tuple[Part, Callable[[], Tensor]]], noted: bool = True) -> None:
        """The gradient of the mean loss over all images of all parts and processes, in each weight's ``grad``.

        The loss counts among those told of the epoch where it is ``noted``.
        """
        images = self.ranks.total(sum(len(part.x) for part, _ in graded if part.counts))
        self.optimiser.zero_grad()
        self.net.train()
        with self.joined.lent(), torch.enable_grad():
            for k, (part, losses) in enumerate(graded):
                with unsynced(self.joined.net, k + 1 < len(graded)):
                    each = losses()
                    share = self.ranks.world / max(images, 1) if part.counts else 0.0
                    (each.sum() * share).backward()
                passed, self._passed = self._passed, 0
                self.note(part, forward=passed, backward=passed)
                if part.counts and noted:
                    self.told[0] += each.detach().sum()
                    self.told[1] += len(each)

    def step(self, k: int = 0, of: int = 1) -> None:
        """One step along the gradients, the ``k``-th of so many that an update takes."""
        begin, end = self.span
        factor = self.schedule.factor(begin + (end - begin) * (k + 0.5) / of)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * factor
        self.optimiser.step()
        self.updates += 1
        if self.average:
            self._averaged()

    @torch.no_grad()
    def _averaged(self) -> None:
        """The mean of the weights so far, the recent ones weighing most; it follows faster in the beginning."""
        keep = min(self.average, self.updates / (9 + self.updates))
        for name, value in self.net.state_dict().items():
            if name in self.mean and value.is_floating_point():
                self.mean[name].lerp_(value, 1 - keep)
            else:
                self.mean[name] = value.clone()

    def kept(self) -> Kept:
        carried = None if self.carried is None else self.carried.clone()
        return Kept([b.clone() for b in self.net.buffers()], self.told.clone(), carried, self.updates)

    @torch.no_grad()
    def put_back(self, before: Kept) -> None:
        """The state before an update that failed before its first step."""
        for buffer, value in zip(self.net.buffers(), before.buffers, strict=True):
            buffer.copy_(value)
        self.told, self.carried, self._passed = before.told, before.carried, 0
        self.optimiser.zero_grad()

    def weights(self) -> Columns:
        """What is judged and given away, by name."""
        held = self.mean or self.net.state_dict()
        return {name: value.detach().clone() for name, value in held.items()}

    def judged(self) -> Model:
        """A model of its own with those weights, in evaluation mode."""
        if not self.mean:
            self.net.eval()
            return self.plain
        net = copied(self.net)
        net.load_state_dict(self.mean)
        return self.plain.around(net.eval())

    def agree(self) -> None:
        """Make running means the same in every process: the mean of everybody's."""
        running = {name for name, b in self.net.named_buffers() if b.is_floating_point()}
        self.ranks.add([b for b in self.net.buffers() if b.is_floating_point()], mean=True)
        self.ranks.add([b for name, b in self.mean.items() if name in running], mean=True)

    @torch.no_grad()
    def load(self, weights: Columns) -> None:
        """Put weights in place, or say that they are another network's."""
        own = self.net.state_dict()
        wrong = [name for name in own if name not in weights or weights[name].shape != own[name].shape]
        if wrong or len(weights) != len(own):
            named = wrong[0] if wrong else next(name for name in weights if name not in own)
            raise DataError(
                f"the checkpoint is another network's: {named!r} does not fit",
                "give another folder with --out",
            )
        for name, value in own.items():
            value.copy_(weights[name])

    def restart(self, weights: Columns) -> None:
        """Go on from other weights, with nothing remembered of the steps that led elsewhere."""
        self.load(weights)
        self.optimiser.state.clear()
        if self.mean:
            self.mean = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        self.carried = None
