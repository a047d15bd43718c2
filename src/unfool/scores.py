"""Arithmetic of class scores [B, K, *]: the label, one class's entry, the gap to the best other."""

import torch
from torch import Tensor

from .errors import InputError


def gap_to_best(logits: Tensor, y: Tensor) -> Tensor:
    """The best other logit minus that of class ``y``, at each position: [B, 1, *]."""
    index = index_like(logits, y)
    return logits.scatter(1, index, -torch.inf).amax(1, keepdim=True) - logits.gather(1, index)


def index_like(logits: Tensor, y: Tensor) -> Tensor:
    """A class per row as an index into dimension 1: [B] -> [B, 1, *]."""
    return y.view(-1, *[1] * (logits.ndim - 1)).expand(-1, 1, *logits.shape[2:])


def spread_of(logits: Tensor, best: int) -> Tensor:
    """How far the best logit is above the third, or with 4 above the mean of third and fourth; 1 of fewer classes.

    Of three classes the fourth would be missing and the third be the rival itself: the ratio would be a constant.
    """
    if logits.shape[1] < best:
        return torch.ones_like(logits[:, :1])
    top = logits.topk(best, dim=1).values
    return (top[:, :1] - top[:, 2:].mean(1, keepdim=True)).clamp_min(1e-12)


def label_of(output: Tensor) -> Tensor:
    """The class of each image; for a map of scores, of its mean over the positions: [B, K, *] -> [B]."""
    return mean_scores(output).argmax(1)


def mean_scores(output: Tensor) -> Tensor:
    """One score a class: of a map of scores, the mean over its positions."""
    return output.flatten(2).mean(2) if output.ndim > 2 else output


def pick(scores: Tensor, y: Tensor) -> Tensor:
    """The entry ``y`` of each row, averaged over positions: [B, K, *] -> [B]."""
    try:
        chosen = scores[torch.arange(len(y), device=y.device), y]
    except IndexError:
        raise InputError(
            f"there are {scores.shape[1]} classes or channels, {int(y.max())} is not one of them",
            f"0 to {scores.shape[1] - 1}",
        ) from None
    return chosen.flatten(1).mean(1) if chosen.ndim > 1 else chosen


def map_of(output: Tensor, who: object) -> Tensor:
    """What a network answers, where that is a map of scores."""
    if output.ndim < 3:
        raise InputError(
            f"{who!r} asks for a map of scores, the network gives {list(output.shape)}", "use Logit()"
        )
    return output


def chosen(scores: Tensor, y: Tensor) -> Tensor:
    """Class ``y``'s map: [B, K, *space] -> [B, *space]."""
    if int(y.max()) >= scores.shape[1]:
        raise InputError(
            f"there are {scores.shape[1]} classes or channels, {int(y.max())} is not one of them",
            f"0 to {scores.shape[1] - 1}",
        )
    return scores[torch.arange(len(y), device=y.device), y]
