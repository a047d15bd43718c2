"""Several models as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..model import Model


class _Mean(nn.Module):
    """The mean logits of several models, each with its own normalisation."""

    def __init__(self, models: Sequence[Model]):
        super().__init__()
        self.nets = nn.ModuleList([model.net for model in models])
        self.models = tuple(models)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([model.trace(x)["output"].to(x.device) for model in self.models]).mean(0)


def ensemble(models: Sequence[Model]) -> Model:
    """One model whose logits are the mean of several models' logits; what fools all of them may fool others, too.

    Attacked as a whole, as by Liu et al. (2017, "Delving into transferable adversarial examples").
    """
    if len(models) < 2:
        raise InputError(f"an ensemble needs at least two models, not {len(models)}")
    first = models[0]
    whole = Model(
        _Mean(models).eval(),
        classes=first.classes,
        view=first.view,
        device=first.device,
        outputs="logits",
        name=" + ".join(model.name for model in models),
    )
    for access in ("labels", "scores"):
        if any(model.access == access for model in models):
            whole.access = access
            break
    return whole
