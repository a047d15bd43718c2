"""How an attack's success grows with the size of the change."""

import torch
from torch import Tensor

from ..method import Columns, Method, Question
from ..objectives import Untargeted
from ..query import Query
from ..regions import Ball, Region
from ..rows import Batch, take
from ..spec import Natural, Positive
from .base import Attack


class Sweep(Method):
    """Attack every image at each of several radii of the same region, each on its own."""

    attack: Attack
    radii: tuple[Positive, ...]
    """In ascending order; the region's own size does not count."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        query, within, ball = asked(self.attack, question, batch)
        with question.model.settled():
            flipped = [query.reached(ball.center)]
            for eps in self.radii:
                here = ball._replace(eps=torch.full_like(ball.eps, eps))
                flipped.append(query.reached(self.attack.found(query, within, here)))
        return {"flipped": torch.stack(flipped, 1).cpu(), **costs(query)}


class Threshold(Method):
    """The smallest of several radii at which an attack flips each image, then the smallest change itself.

    A change that fits in one radius fits in every larger one, so each image is attacked at ``first``, then at the next
    larger radius until it flips or at the next smaller one until it does not (attacks that fail are the dear ones: of
    those there is one going down). Between the last two radii, ``finer`` halves further.
    """

    attack: Attack
    radii: tuple[Positive, ...]
    """In ascending order; the region's own size does not count."""
    first: Positive
    """The radius at which every image is attacked."""
    finer: Attack
    """Looks for the smallest change between two radii."""
    halvings: Natural = 5

    def columns(self, question: Question, batch: Batch) -> Columns:
        query, within, ball = asked(self.attack, question, batch)
        with question.model.settled():
            radii = torch.tensor((0.0, *self.radii, torch.inf), device=ball.center.device)
            wrong = query.reached(ball.center)
            low = torch.zeros_like(wrong, dtype=torch.long)
            smallest = torch.full_like(ball.eps, torch.inf).where(~wrong, 0.0)
            high = first_index(radii, smallest)
            middle = torch.full_like(low, self.radii.index(self.first) + 1)
            while len(todo := (high - low > 1).nonzero()[:, 0]):
                size = self._try(self.attack, query, within, ball, todo, radii[middle[todo]])
                smallest[todo] = torch.minimum(smallest[todo], size)
                low[todo] = torch.where(size.isinf(), middle[todo], low[todo])
                high = first_index(radii, smallest)
                middle = torch.where(smallest.isinf(), low + 1, high - 1)
            flipped = high[:, None] <= torch.arange(len(radii) - 1, device=high.device)
            radius = self._refined(query, within, ball, radii[low], smallest)
        return {"flipped": flipped.cpu(), "radius": radius.cpu(), **costs(query)}

    def _refined(self, query: Query, within: Region, ball: Ball, low: Tensor, high: Tensor) -> Tensor:
        low, high = low.clone(), high.clone()
        todo = (high.isfinite() & (high > 0)).nonzero()[:, 0]
        for _ in range(self.halvings if len(todo) else 0):
            middle = (low[todo] + high[todo]) / 2
            size = self._try(self.finer, query, within, ball, todo, middle)
            high[todo] = torch.minimum(high[todo], size)
            low[todo] = torch.where(size.isinf(), middle, low[todo])
        return high

    def _try(
        self, attack: Attack, query: Query, within: Region, ball: Ball, rows: Tensor, eps: Tensor
    ) -> Tensor:
        """The size of the change that flips each of some rows within ``eps``, infinite where none was found."""
        here, some = take(ball, rows)._replace(eps=eps), query[rows]
        found = attack.found(some, within, here)
        return torch.minimum(within.size(found - here.center), eps).where(some.reached(found), torch.inf)


def first_index(radii: Tensor, size: Tensor) -> Tensor:
    """The first radius that holds a change of each size, up to rounding."""
    return torch.searchsorted(radii, (size * (1 - 1e-6)).contiguous())


def asked(attack: Attack, question: Question, batch: Batch) -> tuple[Query, Region, Ball]:
    """Leaving each image's label, within the question's region about it."""
    within = attack.region(batch.x, question.within)
    query = question.query(batch, Untargeted(), repr(attack))
    return query, within, within.around(batch.x.to(question.model.device), question.mask(batch))


def costs(query: Query) -> dict[str, Tensor]:
    """Passes per image, the same for each row of the batch."""
    n = len(query)
    return {f"{way}_passes": torch.full((n,), query.cost.get(way, 0) / n) for way in ("forward", "backward")}
