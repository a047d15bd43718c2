"""Images as small networks of their coordinates, evolved node by node."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..rows import Rng
from ..spec import Count, Fraction, Positive
from .genomes import Encoding, Genomes, drawn, polynomial, uniform

SHAPES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda v: (3 * v).sin(),
    lambda v: (-v.square()).exp(),
    torch.tanh,
    lambda v: v,
)
"""What a node may do to the sum of its inputs."""

SPAN = 3.0
"""Weights lie in ± this."""


class Networks(NamedTuple):
    """Many networks of M nodes: first the inputs, then the outputs, then places for hidden nodes.

    A node's ``place`` is 0 for inputs, 1 for outputs and between them for hidden ones; wires lead upwards only.
    """

    place: Tensor  # [N, M]
    alive: Tensor  # [N, M] bool
    shape: Tensor  # [N, M] which of SHAPES
    wired: Tensor  # [N, M, M] bool: to, from
    weight: Tensor  # [N, M, M]


class CPPN(Encoding):
    """A small network from coordinates to colours, whose nodes and wires evolve (Stanley, 2007; Nguyen et al., 2015).

    The chances are those of adding and removing wires and nodes in one child.
    """

    hidden: Count = 16
    """Hidden nodes at most."""
    add_wire: Fraction = 0.5
    drop_wire: Fraction = 0.3
    add_node: Fraction = 0.5
    drop_node: Fraction = 0.2
    reshaped: Fraction = 0.1
    """The chance of each node to change what it does."""
    mutated: Fraction = 0.3
    """The chance of each weight to mutate."""
    mutation: Positive = 15.0
    """The exponent of the polynomial mutation: the larger, the smaller its steps."""

    def first(self, n: int, like: Tensor, rng: Rng) -> Genomes:
        inputs, outputs = like.ndim, like.shape[1]  # coordinates, radius and 1; one per channel
        nodes = inputs + outputs + self.hidden
        place = like.new_full((n, nodes), 0.5)
        place[:, :inputs], place[:, inputs : inputs + outputs] = 0, 1
        wired = torch.zeros(n, nodes, nodes, dtype=torch.bool, device=like.device)
        wired[:, inputs : inputs + outputs, :inputs] = True
        weight = SPAN * (2 * uniform(wired.to(like.dtype), rng) - 1)
        shape = drawn(n * nodes, len(SHAPES), like, rng).view(n, nodes)
        grown = Networks(place, place != 0.5, shape, wired, weight)
        for _ in range(3):
            grown = self._mutated(grown, rng)
        return tuple(grown)

    def bred(self, parents: Genomes, n: int, rng: Rng) -> Genomes:
        chosen = drawn(n, len(parents[0]), parents[0], rng)
        return tuple(self._mutated(Networks(*(part[chosen] for part in parents)), rng))

    def _mutated(self, nets: Networks, rng: Rng) -> Networks:
        weight, chance = nets.weight, uniform(nets.weight, rng)
        change = SPAN * polynomial(weight, self.mutation, rng) * (chance < self.mutated)
        other = drawn(nets.shape.numel(), len(SHAPES), nets.place, rng).view_as(nets.shape)
        shape = torch.where(uniform(nets.place, rng) < self.reshaped, other, nets.shape)
        nets = nets._replace(
            weight=(weight + change).clamp(-SPAN, SPAN), shape=shape, wired=nets.wired.clone()
        )
        nets = nets._replace(place=nets.place.clone(), alive=nets.alive.clone())
        drop_node(nets, self.drop_node, rng)
        drop_wire(nets, self.drop_wire, rng)
        add_node(nets, self.add_node, rng)
        add_wire(nets, self.add_wire, rng)
        return nets

    def painted(self, genomes: Genomes, like: Tensor) -> Tensor:
        nets, points = Networks(*genomes), coordinates(like)
        room = max(1, 2**24 // (nets.place.shape[1] * points.shape[1]))
        some = zip(*(part.split(room) for part in nets), strict=True)
        return torch.cat([values(Networks(*part), points, like.shape[1]) for part in some]).view(
            -1, *like.shape[1:]
        )


def coordinates(like: Tensor) -> Tensor:
    """Each position's coordinates in [-1, 1], its distance from the middle, and 1: [dimensions + 2, positions]."""
    axes = [torch.linspace(-1, 1, side, dtype=like.dtype, device=like.device) for side in like.shape[2:]]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    return torch.cat([grid, grid.norm(dim=0, keepdim=True), torch.ones_like(grid[:1])])


def values(nets: Networks, points: Tensor, outputs: int) -> Tensor:
    """What every network's outputs are at every point, in [0, 1]: [N, outputs, points]. Node by node, all at once."""
    inputs, order = len(points), nets.place.argsort(dim=1, stable=True)
    weight = nets.weight * nets.wired
    weight = weight.gather(1, order[:, :, None].expand_as(weight))
    weight = weight.gather(2, order[:, None].expand_as(weight))
    shape, alive = nets.shape.gather(1, order), nets.alive.gather(1, order)
    known = points.new_zeros(*order.shape, points.shape[1])
    known[:, :inputs] = points
    for k in range(inputs, order.shape[1]):
        total = (weight[:, k : k + 1, :k] @ known[:, :k])[:, 0]
        for kind, f in enumerate(SHAPES):
            rows = (shape[:, k] == kind) & alive[:, k]
            known[rows, k] = f(total[rows])
    where = order.argsort(dim=1)[:, inputs : inputs + outputs]
    found = known.gather(1, where[:, :, None].expand(-1, -1, points.shape[1]))
    return (0.5 + found / 2).clamp(0, 1)


def picked(allowed: Tensor, chance: float, rng: Rng) -> tuple[Tensor, Tensor]:
    """In which rows it happens, and which of the allowed places it strikes there: [N, Q] -> [R], [R]."""
    lots = uniform(allowed.to(torch.float32), rng) * allowed
    happens = (uniform(lots[:, 0], rng) < chance) & allowed.any(1)
    rows = happens.nonzero()[:, 0]
    return rows, lots[rows].argmax(1)


def add_wire(nets: Networks, chance: float, rng: Rng) -> None:
    upward = (nets.place[:, None] < nets.place[:, :, None]) & nets.alive[:, None] & nets.alive[:, :, None]
    rows, wire = picked((upward & ~nets.wired).flatten(1), chance, rng)
    nets.wired.flatten(1)[rows, wire] = True


def drop_wire(nets: Networks, chance: float, rng: Rng) -> None:
    rows, wire = picked(nets.wired.flatten(1), chance, rng)
    nets.wired.flatten(1)[rows, wire] = False


def add_node(nets: Networks, chance: float, rng: Rng) -> None:
    """A node in the middle of a wire: in with weight 1, out with the wire's own."""
    nodes = nets.place.shape[1]
    free = ~nets.alive
    rows, wire = picked(nets.wired.flatten(1) & free.any(1, keepdim=True), chance, rng)
    to, source, new = wire // nodes, wire % nodes, free[rows].long().argmax(1)
    nets.place[rows, new] = (nets.place[rows, to] + nets.place[rows, source]) / 2
    nets.alive[rows, new] = nets.wired[rows, new, source] = nets.wired[rows, to, new] = True
    nets.weight[rows, to, new], nets.weight[rows, new, source] = nets.weight[rows, to, source], 1.0
    nets.wired[rows, to, source] = False


def drop_node(nets: Networks, chance: float, rng: Rng) -> None:
    hidden = nets.alive & (nets.place > 0) & (nets.place < 1)
    rows, node = picked(hidden, chance, rng)
    nets.alive[rows, node] = nets.wired[rows, node] = False
    nets.wired[rows, :, node] = False
