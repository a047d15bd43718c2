"""What every synthesis has in common: images made for classes, not from pictures of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, final

from torch import Tensor

from ..checks import as_numbers, checked_images, checked_labels, row_ids
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..objectives import LogProb
from ..query import Query
from ..rows import Batch, Rng
from ..views import from_uint8, to_uint8


class Drawn(NamedTuple):
    """Images and how sure the network was of each on the way: [N, C, *], [N, T]."""

    x: Tensor
    history: Tensor


class Synthesised(NamedTuple):
    """Images made for classes ``y``, one entry per class.

    ``x`` is in [0, 1]; ``confidence`` is the probability of class ``y`` that the network gives to ``x``,
    ``confidence_saved`` the one it gives to the 8-bit image; ``history`` [N, T] the former from start to end.
    """

    x: Tensor
    y: Tensor
    confidence: Tensor
    confidence_saved: Tensor
    history: Tensor
    cost: dict[str, int]
    seed: int


class Synthesis(Method, ABC):
    """A search for images that a network takes for a class. Its rows are classes."""

    @abstractmethod
    def draw(self, query: Query, start: Tensor, seed: int) -> Drawn:
        """An image for each class ``query.y``, from ``start`` [N, C, *] or only of its shape; ``seed`` is the run's."""

    @final
    def __call__(
        self,
        model: Model,
        y: Any,
        *,
        start: Tensor,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Synthesised:
        """Make an image for each of the classes ``y``.

        ``start`` [1 or N, C, *] in [0, 1] says how images are shaped, and where those methods begin that need a
        beginning: the mean of the data, or grey.
        """
        checked_model(model)
        start, wanted = checked_images(start), as_numbers(y, "classes").reshape(-1)
        start = start.expand(len(wanted), *start.shape[1:]).to(model.device)
        wanted = checked_labels(wanted, start, model.width, "classes")
        rng = Rng.seeded(seed, row_ids(ids, len(wanted)) if ids else wanted.tolist(), model.device)
        query = Query(model, LogProb(), wanted, rng, who=type(self).__name__)
        with model.settled():
            query.ask(start)  # settles how many classes there are
            drawn = self.draw(query, start, seed)
            scores = [query.ask(x).score.exp() for x in (drawn.x, from_uint8(to_uint8(drawn.x)).to(drawn.x))]
        tensors = (drawn.x, wanted, *scores, drawn.history)
        return Synthesised(*(t.cpu() for t in tensors), cost=dict(query.cost), seed=seed)

    @final
    def columns(self, question: Question, batch: Batch) -> Columns:
        """A batch's images are where its classes begin."""
        made = self(question.model, question.labels(batch), start=batch.x, seed=question.seed, ids=batch.ids)
        names = ("confidence", "confidence_saved", "history", "y")
        return {"x": to_uint8(made.x)} | {name: getattr(made, name) for name in names}
