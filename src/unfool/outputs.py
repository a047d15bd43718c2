"""What networks give back, and the scores in it."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from .errors import InputError

Outputs = Literal["logits", "probabilities", "values"]
"""Unnormalised scores, probabilities, or numbers that are no scores of classes, as of a regression."""


def as_scores(out: Any) -> Tensor:
    """The scores in what a network returned: a tensor, an object with ``.logits``, or a dict or tuple of tensors."""
    if isinstance(out, Tensor):
        return out
    if isinstance(getattr(out, "logits", None), Tensor):
        return out.logits
    if isinstance(out, Mapping):
        for key in ("logits", "out", "output", "scores"):
            if isinstance(out.get(key), Tensor):
                return out[key]
        raise InputError(f"the network returns a dict with {', '.join(map(str, out))}", "return logits=…")
    if isinstance(out, (tuple, list)) and out and isinstance(out[0], Tensor):
        return out[0]
    raise InputError(
        f"the network returns {type(out).__name__}, not scores", "wrap it so that it returns a tensor"
    )


def told_outputs(out: Tensor) -> Outputs:
    """Whether these are logits or probabilities, as far as the numbers tell."""
    with torch.no_grad():
        if out.isnan().any():
            raise InputError(
                "the network answers NaN to images in [0, 1]",
                "are its weights whole, is its normalisation right?",
            )
        inside = bool(((out >= 0) & (out <= 1)).all())
        if out.shape[1] == 1:
            if inside:
                raise InputError(
                    "the network gives one number in [0, 1] per image: a probability or a logit?",
                    "say Model(…, outputs='probabilities') or outputs='logits'",
                )
            return "logits"
        if not inside or not torch.allclose(out.sum(1), torch.ones_like(out[:, 0]), atol=1e-3):
            return "logits"
    warnings.warn(
        "the network returns probabilities; their logarithm is used. Saturated probabilities hide gradients: "
        "return logits where you can",
        stacklevel=2,
    )
    return "probabilities"


def as_logits(out: Tensor, outputs: Outputs) -> Tensor:
    """Logits of at least two classes: log of probabilities, plus and minus half of one logit; values as they are."""
    if outputs == "values":
        return out
    if outputs == "logits":
        return torch.cat([-out / 2, out / 2], 1) if out.shape[1] == 1 else out
    least = torch.finfo(out.dtype).tiny
    both = torch.cat([1 - out, out], 1) if out.shape[1] == 1 else out
    return both.clamp_min(least).log()


def mean_logits(answers: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean probability of several answers."""
    return torch.stack([logits.log_softmax(1) for logits in answers]).logsumexp(0) - math.log(len(answers))
