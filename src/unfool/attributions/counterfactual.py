"""What would change the network's mind."""

from torch import Tensor

from ..query import Query
from .base import Attribution
from .cam import GradCAM


class Counterfactual(Attribution):
    """What speaks against the score: any attribution of its negative (Selvaraju et al., 2017, section 7)."""

    inner: Attribution = GradCAM()

    def explain(self, query: Query, x: Tensor) -> Tensor:
        other = query.instead(-query.objective)
        heat = self.inner.explain(other, x)
        query.agree(other, -1.0)
        query.notes.update(other.notes)
        return heat
