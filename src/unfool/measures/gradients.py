"""Whether the gradients an attack follows are worth following."""

import torch

from ..method import Columns, Method, Question
from ..model import Model
from ..objectives import CrossEntropy, Margin
from ..rows import Batch

FLAT = 1e-10
"""A gradient shorter than this leads nowhere in float32."""


class GradientHealth(Method):
    """How long the gradients of cross-entropy and of the margin are at each image.

    A gradient that is exactly zero leads nowhere: the accuracy found by following it is not robustness
    (Athalye et al., 2018; Carlini et al., 2019). ``unsteady`` are the images of which the network says something else
    when asked again: it draws at random.
    """

    def columns(self, question: Question, batch: Batch) -> Columns:
        x = batch.x.to(question.model.device)
        found: Columns = {}
        for name, loss in {"cross_entropy": CrossEntropy(), "margin": Margin()}.items():
            grad = question.query(batch, loss, type(self).__name__).gradient(x).slope
            finite = torch.nan_to_num(grad, nan=0.0, posinf=0.0, neginf=0.0)
            found[f"{name}_gradient"] = finite.flatten(1).double().norm(dim=1).float().cpu()
        return found | {"unsteady": _unsteady(question.model, x).cpu()}


def _unsteady(model: Model, x: torch.Tensor) -> torch.Tensor:
    with model.settled(), torch.no_grad():  # random numbers go on from the first pass to the second
        first, second = (model.trace(x)["output"].flatten(1) for _ in range(2))
    return (first - second).abs().amax(1) > 1e-3 * first.abs().amax(1)
