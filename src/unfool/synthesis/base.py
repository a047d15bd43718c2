"""What every synthesis has in common: images made for classes or units, not from pictures of them."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor

from ..aims import compares
from ..checks import as_numbers, checked_images, checked_labels, row_ids
from ..errors import InputError
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..objectives import Logit, Objective
from ..pictured import html, plot, save
from ..query import Query
from ..rows import Batch, Rng
from ..scores import mean_scores, pick
from ..views import from_uint8, to_uint8
from .looks import Looks


class Drawn(NamedTuple):
    """Images and how each did on the way: [N, C, *], [N, T]."""

    x: Tensor
    history: Tensor


class Synthesised(NamedTuple):
    """Images made for units ``y`` (classes, channels …), one entry per unit.

    ``x`` is in [0, 1]; ``score`` what the objective gives it. ``confidence`` is the probability that the network gives
    to class ``label``: the one asked for or, where the unit is no class, the likeliest. ``score_saved`` and
    ``confidence_saved`` are those of the 8-bit image. ``history`` [N, T] is how each did from start to end: the
    probability for methods that climb it, for the others the score at every step, as seen through random changes.
    """

    x: Tensor
    y: Tensor
    label: Tensor
    score: Tensor
    score_saved: Tensor
    confidence: Tensor
    confidence_saved: Tensor
    history: Tensor
    cost: dict[str, int]
    seed: int

    plot, save, _repr_html_ = plot, save, html


class Synthesis(Method, ABC):
    """A search for images that a network, or a unit in it, responds to. Its rows are units."""

    climbs: ClassVar[Objective | None] = None
    """The one objective it works for; None: any."""
    of_images: ClassVar[bool] = False
    """Whether an image is made of each that it starts from, rather than of a unit."""

    @abstractmethod
    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        """An image for each unit ``query.y``, from ``looks.start`` [N, C, *] or only of its shape."""

    def aim(self, objective: Objective | None) -> Objective:
        """What is asked about the images."""
        if objective not in (None, self.climbs) and self.climbs is not None:
            raise InputError(
                f"{type(self).__name__} works for {self.climbs!r} only, not {objective!r}", "use Maximise()"
            )
        return objective or self.climbs or Logit()

    def read(self, model: Model, start: Tensor) -> dict[str, Tensor]:
        """What the objective reads beside the network's tensors, of the images it starts from."""
        del model, start
        return {}

    @final
    def __call__(
        self,
        model: Model,
        y: Any = None,
        *,
        start: Tensor | Looks,
        objective: Objective | None = None,
        given: Mapping[str, Tensor] | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Synthesised:
        """Make an image for each of the units ``y``: classes, or channels where ``objective`` is of channels.

        ``start`` [1 or N, C, *] in [0, 1] says how images are shaped, and where those methods begin that need a
        beginning: the mean of the data, or grey; ``looks_of(batches)`` knows the data's colours and spectrum as well.
        ``given`` is what the objective reads beside the network's tensors, such as ``direction`` of ``Direction()``.
        A unit that is there several times gets several images. What is made of images (``of_images``) makes one of each
        of ``start``, and needs no ``y`` unless it is for a unit as well.
        """
        checked_model(model)
        looks = start if isinstance(start, Looks) else Looks(start)
        first = checked_images(looks.start)
        wanted = torch.arange(len(first)) if y is None else as_numbers(y, "classes").reshape(-1)
        wanted = wanted.expand(len(first)) if self.of_images and len(wanted) == 1 else wanted
        looks = looks._replace(start=_one_each(first, len(wanted), "beginnings").to(model.device))
        looks = looks.to(looks.start)
        aim = self.aim(objective)
        of_class = set(aim.reads) == {"output"} and not aim.fixes
        wanted = checked_labels(wanted, looks.start, model.width if of_class else None, "classes")
        rng = Rng.seeded(seed, row_ids(ids, len(wanted)) if ids else _names(wanted), model.device)
        with model.settled():
            fixed = {**self.read(model, looks.start), **(given or {})}
            fixed = {name: _one_each(t.to(model.device), len(wanted), name) for name, t in fixed.items()}
            who = type(self).__name__
            query = Query(model, aim, wanted, rng, images=looks.start, who=who, fixed=fixed)
            judged(
                query[torch.zeros(1, dtype=torch.long)], looks.start[:1]
            )  # settles how many classes there are
            drawn = self.draw(query, looks, seed)
            judgements = [judged(query, x) for x in (drawn.x, from_uint8(to_uint8(drawn.x)).to(drawn.x))]
        label = wanted if of_class else judgements[0].probabilities.argmax(1)
        (score, sure), (saved, sure_saved) = ((j.score, pick(j.probabilities, label)) for j in judgements)
        tensors = (drawn.x, wanted, label, score, saved, sure, sure_saved, drawn.history)
        return Synthesised(*(t.cpu() for t in tensors), cost=dict(query.cost), seed=seed)

    @final
    def columns(self, question: Question, batch: Batch) -> Columns:
        """A batch's images are where its units begin."""
        made = self(
            question.model,
            question.labels(batch),
            start=batch.x,
            objective=question.objective,
            given=question.given,
            seed=question.seed,
            ids=batch.ids,
        )
        names = ("confidence", "confidence_saved", "history", "label", "score", "score_saved", "y")
        return {"x": to_uint8(made.x)} | {name: getattr(made, name) for name in names}


class Judged(NamedTuple):
    """What a network says of images: the objective's score [N], and the probability of each class [N, K]."""

    score: Tensor
    probabilities: Tensor


def judged(query: Query, x: Tensor) -> Judged:
    """One pass over the images, in parts that the model holds."""
    found: list[tuple[Tensor, Tensor]] = []
    parts = packs(query.y, query.model.capacity, compares(query.objective))
    for keep in parts:
        score, trace = query[keep].ask_and_read(x[keep], ("output",))
        found.append((score, mean_scores(trace["output"]).softmax(1)))
    return Judged(*together(parts, found))


def packs(y: Tensor, room: int, whole: bool = False) -> list[Tensor]:
    """Rows in parts of at most ``room``; with ``whole`` those of one unit are in one part, however many there are."""
    if not whole:
        return [*torch.arange(len(y), device=y.device).split(room)]
    groups: dict[Any, list[int]] = {}
    for row, unit in enumerate(y.tolist()):
        groups.setdefault(tuple(unit) if isinstance(unit, list) else unit, []).append(row)
    parts: list[list[int]] = []
    for rows in groups.values():
        if not parts or len(parts[-1]) + len(rows) > room:
            parts.append([])
        parts[-1] += rows
    return [torch.tensor(part, device=y.device) for part in parts]


def together(parts: Sequence[Tensor], found: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """What was found for each part, one tensor of all rows for each thing."""
    back = torch.cat([*parts]).argsort()
    return [torch.cat(pieces)[back] for pieces in zip(*found, strict=True)]


def _names(y: Tensor) -> list[Any]:
    """What seeds each unit's random numbers: its number, and which of its images it is if there are several."""
    seen, names = Counter[int](), list[Any]()
    for unit in y.tolist():
        names.append(f"{unit}/{seen[unit]}" if seen[unit] else unit)
        seen[unit] += 1
    return names


def _one_each(t: Tensor, n: int, what: str) -> Tensor:
    """A row for each unit, from one for all or one for each."""
    if len(t) not in (1, n):
        raise InputError(f"there must be one row of {what} for all or one for each of {n}, not {len(t)}")
    return t.expand(n, *t.shape[1:])
