"""Maps of networks whose head is a mean over positions and a linear layer: there they are exact, for all classes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..answers import AtLayer
from ..derivatives import gradient_of
from ..errors import InputError
from ..model import Model
from ..objectives import Logit
from ..query import Query
from ..rows import copies
from ..scores import mean_scores
from .base import Attribution
from .cam import LayerMap, Weighed, share_positive, spatial_mean, weighted_sum
from .layers import chosen_layers, grid_at, on_grid_for_each

COARSE = 1e-2
"""Above this relative error of an answer two kinds of head cannot be told apart."""

AT_ONCE = 256
"""How many channels are left out in one piece of arithmetic."""


class Head(NamedTuple):
    """A mean over positions and a linear layer: the logits are ``weight @ mean(maps) + rest``.

    The maps are ``plain`` where they are what the layer gives itself, before a ReLU that no module is.
    """

    weight: Tensor
    maps: Tensor
    logits: Tensor
    plain: bool

    def slopes(self, query: Query) -> Tensor:
        """How the score changes with each channel's mean: [B, K]."""
        fixed = query.fixed
        score = gradient_of(lambda z: query.objective.score({"output": z, **fixed}, query.y), self.logits)
        return score @ self.weight

    def without(self, query: Query, channels: Tensor) -> Tensor:
        """The scores without one channel of each row after another: [B, n] -> [n, B]."""
        found = [self._without(query, some) for some in channels.split(AT_ONCE, 1)]
        return torch.cat(found) if found else self.logits.new_zeros(0, len(channels))

    def _without(self, query: Query, channels: Tensor) -> Tensor:
        n = channels.shape[1]
        lost = self.maps.flatten(2).mean(2).gather(1, channels).T[..., None] * self.weight.T[channels.T]
        fixed = {name: copies(t, n) for name, t in query.fixed.items()}
        logits = (self.logits - lost).flatten(0, 1)
        return query.objective.score({"output": logits, **fixed}, copies(query.y, n)).view(n, -1)


def head_of(
    query: Query, layer: str, activation: Tensor, output: Tensor, x: Tensor, grid: tuple[int, ...]
) -> Head | str:
    """The head behind a layer, or why it is none of this kind; told by its answers, not by its code."""
    maps = grid_at(query, layer, activation, x, grid).maps(activation)
    linear = [m for m in query.model.layers.values() if isinstance(m, nn.Linear)]
    if not linear or output.ndim != 2:
        return "there is no linear head"
    weight, bias = linear[-1].weight.to(maps), linear[-1].bias
    if weight.shape != (output.shape[1], maps.shape[1]):
        return (
            f"its last linear layer takes {weight.shape[1]} numbers and gives {len(weight)}, "
            f"layer {layer!r} has {maps.shape[1]} channels"
        )
    slack = 16 * torch.finfo(linear[-1].weight.dtype).eps * weight.shape[1] ** 0.5
    if slack > COARSE:
        return f"{linear[-1].weight.dtype} is too coarse to tell its head"
    for seen in (maps, maps.relu()):
        means = seen.flatten(2).mean(2)
        logits = means @ weight.T + (0 if bias is None else bias.to(maps))
        size = means.abs() @ weight.abs().T + logits.abs()
        if ((logits - output).abs() <= slack * size + 1e-12).all():
            return Head(weight, seen, output, seen is maps)
    return f"what is between layer {layer!r} and the linear head is more than a mean over positions"


class CAM(LayerMap):
    """Each channel weighted by the linear head's own weight, signed (Zhou et al., 2016).

    Its mean over the positions is the score but for the head's bias. Needs a head that is a mean and a linear layer.
    """

    def weighed(self, query: Query, x: Tensor, layers: Sequence[str]) -> list[Weighed]:
        if query.objective.reads != ("output",):
            raise InputError(f"CAM explains the network's answer, not {query.objective!r}", _INSTEAD)
        seen = query.activations((*layers, "output"), x)
        return [self._weighed(query, x, layer, seen) for layer in layers]

    def _weighed(self, query: Query, x: Tensor, layer: str, seen: dict[str, Tensor]) -> Weighed:
        head = head_of(query, layer, seen[layer], seen["output"], x, self.grid)
        if isinstance(head, str):
            raise InputError(f"CAM cannot be computed: {head}", _INSTEAD)
        weights = head.slopes(query).view(*head.maps.shape[:2], *[1] * (head.maps.ndim - 2))
        return Weighed(weighted_sum(weights, head.maps, signed=True), share_positive(weights))


_INSTEAD = "GradCAM() is the same up to a factor where CAM exists, and works everywhere"


class EveryClass(Attribution):
    """Grad-CAM of every class at once, before what speaks against is cut off (Selvaraju et al., 2017).

    One forward pass where the head is a mean and a linear layer, elsewhere two and a pass back to the layer per class.
    The map is that of the class explained; those of all stand beside it as ``notes["classes"]`` [B, classes, *].
    """

    layer: str = "auto"
    """A layer's name; "auto" is the last layer with positions that the score depends on."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        if query.objective != Logit():
            raise InputError(
                f"{self!r} explains logits, not {query.objective!r}", "GradCAM() explains any score"
            )
        maps, scores = _of_every_class(query, x, self.layer)
        query.notes.update({"classes": maps, "class_scores": scores})
        return maps[torch.arange(len(x), device=x.device), query.y][:, None]


def all_classes(model: Model, x: Tensor, layer: str = "auto") -> Tensor:
    """The maps of :class:`EveryClass`: [B, classes, *]."""
    return EveryClass(layer)(model, x).notes["classes"]


def _of_every_class(query: Query, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    (name,) = chosen_layers(query, x, layer)
    seen = query.activations((name, "output"), x)
    scores = mean_scores(seen["output"])
    head = head_of(query, name, seen[name], seen["output"], x, ())
    if isinstance(head, Head) and head.plain:
        positions = head.maps.flatten(2).shape[2]
        return torch.einsum("ck,bk...->bc...", head.weight, head.maps).detach() / positions, scores
    each = (torch.full((len(x),), c, device=x.device) for c in range(scores.shape[1]))
    return torch.cat([_signed(at) for at in on_grid_for_each(query, name, x, each)], 1), scores


def _signed(at: AtLayer) -> Tensor:
    return weighted_sum(spatial_mean(at.grad), at.activation, signed=True)
