"""Which layers a map is made at, and what they give as maps [B, K, *space], whatever way they lay them out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd as Convolution  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.dropout import _DropoutNd as Dropout  # pyright: ignore[reportPrivateUsage]

from ..answers import AtLayer
from ..derivatives import derivatives, exact, there
from ..errors import InputError
from ..grids import Grid, grid_of
from ..query import Query

SEVERAL = 3
"""With fewer convolutions than this a network is not said to be made of them."""
SEARCHED = ("stages", "all")
"""What stands for several layers."""
INNER = (nn.Linear, nn.Identity, nn.Softmax, Dropout)
"""What an attention is made of: queries, keys and values, of which each tells only a part, and its weights."""
RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish)
NORMS = (nn.LayerNorm, nn.GroupNorm, BatchNorm)


def chosen_layers(query: Query, x: Tensor, layer: str | tuple[str, ...]) -> tuple[str, ...]:
    """The layers that "auto", "stages", "all" or names stand for."""
    query.model.need("gradients", query.who)
    if not isinstance(layer, str):
        return layer
    ways: dict[str, Callable[[Query, Tensor], tuple[str, ...]]] = {"stages": _stages, "all": _all}
    if layer == "auto":
        return (connected_layer(query, x),)
    return ways[layer](query, x) if layer in ways else (layer,)


def connected_layer(query: Query, x: Tensor) -> str:
    """The last layer with positions on which the score depends."""
    last = query.model.last_spatial_layer(x)
    if _of_maps(query):
        return _telling(query, _connected(query, x))[-1]
    if "output" in query.objective.reads and not query.model.spatial_layers(x)[last].last:
        return last  # of maps with channels first nothing is ever cut off but by the network's own hand
    found = connected_layers(query, x)
    return last if last in found or not found else _telling(query, found)[-1]


def _of_maps(query: Query) -> bool:
    """Whether the question is about an answer that is a map of scores; the network has answered before."""
    return "output" in query.objective.reads and bool(query.model.maps)


def _before_answer(query: Query, layers: list[str], x: Tensor) -> list[str]:
    """The layers that a map of scores is read off: without those at the end that have a channel for each class.

    They are the answer, or on its way to the image's size, back to what no answer could be: a normalisation or a
    rectifier before the convolution that makes it. Where nothing else is left, all.
    """
    grids = query.model.spatial_layers(x)
    channels = query.model.observe(
        x[:1], {name: lambda out, grid=grids[name]: grid.maps(out).shape[1] for name in layers}
    )
    kept, made = list(layers), False
    while kept and channels[kept[-1]] in (1, query.model.width):
        module = query.model.layers[kept[-1]]
        if made and isinstance(module, (*NORMS, *RECTIFIERS)):
            break  # features, as many as there are classes
        made = made or isinstance(module, (Convolution, nn.Linear))
        kept.pop()
    return kept or layers


def _telling(query: Query, layers: list[str]) -> list[str]:
    """Those that are no inner part of an attention, where there are others: its weights do not lie over the image."""
    found = [name for name in layers if not isinstance(query.model.layers[name], INNER)]
    return found or layers


def _stages(query: Query, x: Tensor) -> tuple[str, ...]:
    """The last connected layer of each size."""
    grids = query.model.spatial_layers(x)
    last = {grids[name].sides: name for name in _telling(query, _connected(query, x))}
    return tuple(name for name in grids if name in last.values())


def _all(query: Query, x: Tensor) -> tuple[str, ...]:
    """Every connected convolution; of a network without, every normalisation, else whatever has positions."""
    found = _connected(query, x)
    for kind in (Convolution, NORMS):
        of_kind = [name for name in found if isinstance(query.model.layers[name], kind)]
        if len(of_kind) >= SEVERAL:
            return tuple(of_kind)
    return tuple(_telling(query, found))


def _connected(query: Query, x: Tensor) -> list[str]:
    grids = query.model.spatial_layers(x)
    if _of_maps(query):
        return _before_answer(query, connected_layers(query, x) or [*grids], x)
    if "output" in query.objective.reads and not any(grid.last for grid in grids.values()):
        return [*grids]
    return connected_layers(query, x) or [query.model.last_spatial_layer(x)]


def connected_layers(query: Query, x: Tensor) -> list[str]:
    """The layers with positions on which the score depends, in the order in which they finish.

    Of a vision transformer's last block only the class token matters: its other tokens are not connected.
    """
    grids = query.model.spatial_layers(x)
    one = query[torch.arange(1, device=query.rng.device)]
    with torch.enable_grad():
        trace = query.model.trace(x[:1], (*query.objective.reads, *grids), leaves=[*grids])
        score = query.objective.score({**trace, **one.fixed}, one.y)
        found = derivatives(score, [trace[name] for name in grids], query.who)
    near = zip(grids.items(), found, strict=True)
    return [name for (name, grid), grad in near if grad is not None and grid.maps(grad).any()]


def grid_at(query: Query, layer: str, t: Tensor, x: Tensor, sides: tuple[int, ...] = ()) -> Grid:
    """How a layer's output ``t`` lies over the images, or an error that names a layer that does."""
    grid = grid_of(tuple(t.shape), tuple(x.shape[2:]), sides)
    if grid is None:
        wanted = f" on a grid of {list(sides)}" if sides else ""
        raise InputError(
            f"layer {layer!r} gives {list(t.shape)}, which has no positions in an image of {list(x.shape[2:])}{wanted}",
            f"try {connected_layer(query, x)!r}",
        )
    return grid


def maps_at(query: Query, layers: Sequence[str], x: Tensor, sides: tuple[int, ...] = ()) -> dict[str, Tensor]:
    """Activations as maps, forward alone."""
    found = query.activations(layers, x)
    return {name: grid_at(query, name, t, x, sides).maps(t) for name, t in found.items()}


def on_grid(query: Query, layer: str, x: Tensor, sides: tuple[int, ...] = ()) -> AtLayer:
    """Score, activation and gradient at a layer as maps."""
    return on_grids(query, (layer,), x, sides)[0]


def on_grids(
    query: Query, layers: Sequence[str], x: Tensor, sides: tuple[int, ...] = (), idle: bool = False
) -> list[AtLayer]:
    """The same at several layers, from one pass there and one back; ``idle`` ones have gradient zero."""
    found = zip(layers, query.at_layers(layers, x, idle), strict=True)
    return [laid_out(query, layer, at, x, sides, idle) for layer, at in found]


def on_grid_for_each(query: Query, layer: str, x: Tensor, ys: Iterable[Tensor]) -> Iterator[AtLayer]:
    """The same at one layer for several targets per row: one pass there, one back for each."""
    place = f"layer {layer!r}"
    with torch.enable_grad():
        _, trace = query.leading((layer,), x)
    for y in ys:
        with torch.enable_grad():
            score = query.objective.score({**trace, **query.fixed}, y)
            (grad,) = derivatives(score, [trace[layer]], query.who, place, keep=True)
        query.spent.add("backward")
        made = exact(trace[layer].detach())
        grid = grid_at(query, layer, made, x)
        yield AtLayer(score.detach(), grid.maps(made), grid.maps(exact(there(grad, place))))


def laid_out(
    query: Query, layer: str, at: AtLayer, x: Tensor, sides: tuple[int, ...] = (), idle: bool = False
) -> AtLayer:
    """The same of what a query gave; a layer whose positions nothing reads is an error."""
    grid = grid_at(query, layer, at.activation, x, sides)
    maps, grad = grid.maps(at.activation), grid.maps(at.grad)
    if not idle and not grad.any() and (found := connected_layers(query, x)) and layer not in found:
        order = [*query.model.spatial_layers(x)]
        behind = order[order.index(layer) :] if layer in order else []
        near = _telling(query, [name for name in found if name not in behind] or found)[-1]
        raise InputError(
            f"the score does not depend on the positions of layer {layer!r}",
            f"the nearest that has a way to it is {near!r}",
        )
    return AtLayer(at.score, maps, grad)


def biased(module: Any) -> Tensor | None:
    """What a module adds to each channel, whatever its input: of a batch norm the whole constant part."""
    bias = getattr(module, "bias", None)
    if not isinstance(bias, Tensor) or not isinstance(module, (Convolution, nn.Linear, *NORMS)):
        return None
    if isinstance(module, BatchNorm) and module.running_mean is not None and module.running_var is not None:
        scale = module.weight / (module.running_var + module.eps).sqrt()
        return bias - module.running_mean * scale
    return bias
