"""Whether a map depends on what the network has learned (Adebayo et al., 2018)."""

import torch
from torch import Tensor, nn

from ..borrow import copied
from ..maps import spearman
from ..method import Columns, Method, Question
from ..model import Model
from ..objectives import label_of
from ..rows import Batch, stable_number
from ..spec import Count, Natural


class Randomised(Method):
    """Rank correlation between a method's maps of the network and of the same network with its weights drawn anew.

    A map that hardly changes when everything learned is gone does not show what was learned. The target class is
    that of the trained network in both.
    """

    inner: Method
    """An attribution."""
    draws: Count = 1
    """How many random networks; their correlations are averaged."""
    draw: Natural = 0
    """The first one's seed."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        question = question._replace(target=label_of(question.model(batch.x)).cpu())
        heat = self._heat(question, batch)
        empty = [redrawn(question.model, self.draw + k) for k in range(self.draws)]
        others = [self._heat(question._replace(model=model), batch) for model in empty]
        correlation = torch.stack([spearman(heat, other) for other in others]).mean(0)
        blank = [(one.flatten(1) == 0).all(1) for one in (heat, *others)]
        return {"rank_correlation": correlation.float(), "blank": torch.stack(blank).any(0)}

    def _heat(self, question: Question, batch: Batch) -> Tensor:
        return self.inner.columns(question, batch)["heat"].abs()


def redrawn(model: Model, seed: int) -> Model:
    """The same model with every weight drawn anew, its batch norms as before any training."""
    empty = model.around(copied(model.net))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stable_number(seed, "redrawn") % 2**31)
        for module in empty.net.modules():
            _redraw(module)
    return empty


def _redraw(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    with torch.no_grad():  # a layer of the user's own: as wide as it was, in another order
        for p in module.parameters(recurse=False):
            p.copy_(p.flatten()[torch.randperm(p.numel())].view_as(p))
