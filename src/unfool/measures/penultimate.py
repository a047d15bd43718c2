"""What the last linear layer of a network is given: the features that the decision is made of."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from ..errors import InputError
from ..hooks import calls_of, observed_calls
from ..model import Model
from ..scores import mean_scores

LINEAR: tuple[type[nn.Module], ...] = (nn.Linear, _ConvNd)


def penultimate(model: Model, x: Tensor) -> Tensor:
    """[B, D], of a layer with positions their mean; of a black box its logits."""
    return asked(model, x)[0]


def asked(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """The features [B, D] and the logits [B, K] of one pass, on the CPU."""
    both = [_part(model, part) for part in x.split(model.capacity)]
    features, logits = zip(*both, strict=True)
    return torch.cat(features), torch.cat(logits)


def features_of(model: Model, x: Tensor) -> Tensor:
    """The features alone [B, D], where the model is, with slopes; a network without linear layers is an error."""
    layers = [m for m in model.net.modules() if isinstance(m, LINEAR)]
    of_images = [c for c in calls_of(lambda: model.trace(x), layers) if len(c.given) == len(x)]
    if not of_images:
        raise InputError(
            f"{model.name} has no linear layer to take features from", "an alarm that sees images"
        )
    return _flat(of_images[-1])


def _part(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    layers = [m for m in model.net.modules() if isinstance(m, LINEAR)]
    if model.access != "gradients" or not layers:
        logits = mean_scores(model(x)).cpu()
        return logits, logits
    answers = list[Tensor]()
    calls = observed_calls(lambda: answers.append(model(x)), layers)
    of_images = [c for c in calls if isinstance(c.given, Tensor) and len(c.given) == len(x)]
    logits = mean_scores(answers[0]).cpu()
    return (_features(of_images[-1]).cpu() if of_images else logits), logits


def _features(call: Any) -> Tensor:
    return _flat(call).detach()


def _flat(call: Any) -> Tensor:
    given: Tensor = call.given.float()
    if given.ndim <= 2:
        return given.reshape(len(given), -1)
    return given.flatten(2).mean(2) if isinstance(call.module, _ConvNd) else given.flatten(1, -2).mean(1)
