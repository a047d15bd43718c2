"""How an evolved image is written, and how what is written changes from parent to child."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..rows import Rng, column
from ..spec import Fraction, Positive, Spec

Genomes = tuple[Tensor, ...]
"""Many genomes: tensors with one entry per genome."""


class Encoding(Spec, ABC):
    """How an image is written. Random numbers come from a stream of one row that all genomes share."""

    @abstractmethod
    def first(self, n: int, like: Tensor, rng: Rng) -> Genomes:
        """Random genomes of images shaped as ``like`` [*, C, *space]."""

    @abstractmethod
    def bred(self, parents: Genomes, n: int, rng: Rng) -> Genomes:
        """``n`` children of parents drawn at random."""

    @abstractmethod
    def painted(self, genomes: Genomes, like: Tensor) -> Tensor:
        """The images [N, C, *space] in [0, 1]."""


class Direct(Encoding):
    """Value by value: crossover of two parents, then each value mutates on its own (Nguyen et al., 2015)."""

    mutated: Fraction = 0.1
    """The chance of each value to mutate."""
    mutation: Positive = 15.0
    """The exponent of the polynomial mutation: the larger, the smaller its steps."""
    crossed: Fraction = 0.5
    """The chance of a child to have two parents."""
    crossover: Positive = 10.0
    """The exponent of the simulated binary crossover: the larger, the nearer to its parents."""

    def first(self, n: int, like: Tensor, rng: Rng) -> Genomes:
        return (uniform(like.new_empty(n, *like.shape[1:]), rng),)

    def bred(self, parents: Genomes, n: int, rng: Rng) -> Genomes:
        (values,) = parents
        a, b = (values[drawn(n, len(values), values, rng)] for _ in range(2))
        two = column(uniform(a.flatten(1)[:, 0], rng) < self.crossed, a)
        child = torch.where(two & (uniform(a, rng) < 0.5), crossed(a, b, self.crossover, rng), a)
        change = polynomial(child, self.mutation, rng) * (uniform(child, rng) < self.mutated)
        return ((child + change).clamp(0, 1),)

    def painted(self, genomes: Genomes, like: Tensor) -> Tensor:
        return genomes[0]


def uniform(like: Tensor, rng: Rng) -> Tensor:
    """Numbers in [0, 1), all from the one stream."""
    return rng.uniform(like[None], 0, 1)[0]


def drawn(n: int, of: int, like: Tensor, rng: Rng) -> Tensor:
    """``n`` whole numbers below ``of``."""
    return (uniform(like.new_empty(n), rng) * of).long().clamp(max=of - 1)


def polynomial(like: Tensor, exponent: float, rng: Rng) -> Tensor:
    """Mutations in (-1, 1), most of them small (Deb & Goyal, 1996)."""
    u, power = uniform(like, rng), 1 / (exponent + 1)
    return torch.where(u < 0.5, (2 * u) ** power - 1, 1 - (2 - 2 * u) ** power)


def crossed(a: Tensor, b: Tensor, exponent: float, rng: Rng) -> Tensor:
    """Simulated binary crossover: as far from ``a`` as a cut through bits would lead (Deb & Agrawal, 1995)."""
    u, power = uniform(a, rng), 1 / (exponent + 1)
    spread = torch.where(u <= 0.5, (2 * u) ** power, (2 - 2 * u).clamp_min(1e-9) ** -power)
    return ((1 + spread) * a + (1 - spread) * b) / 2
