"""A substitute for a model that gives labels only, learned from its answers."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..model import Model
from ..objectives import Logit, label_of
from ..query import Query
from ..rows import Rng
from ..spec import Count, Natural, Positive, Spec

BATCH = 128


class Round(NamedTuple):
    """What is known after a round: the substitute as it stands, and how many labels it has cost."""

    number: int
    asked: int
    substitute: Model


class Substitute(Spec):
    """A network of one's own, taught by an oracle's labels, then attacked in its place (Papernot et al., 2017).

    Each round asks the oracle about every image a step further along the sign of the substitute's slope for the label
    it was given, so the images multiply where the two may differ: ``seeds * 2**rounds`` labels in all.
    """

    rounds: Natural = 6
    """How often the images are augmented."""
    seeds: Count = 100
    """How many images of the data it begins with; none of them is scored."""
    step: Positive = 0.1
    """How far each new image is from the one it comes from, per pixel."""
    turn: Natural = 3
    """After how many rounds the step changes its sign; 0: never."""
    full: Natural = 100
    """After how many rounds each adds ``reservoir`` images drawn from all, rather than as many as there are."""
    reservoir: Count = 400
    """How many that is."""
    epochs: Count = 10
    """How long the substitute learns after each round."""
    net: Literal["conv", "dense"] = "conv"
    """What the substitute is: convolutions where images have space for them, or two dense layers."""
    rate: Positive = 2e-3
    """Learning rate of Adam."""
    eps: tuple[Positive, ...] = (0.1, 0.2, 0.3)
    """Sizes of change, each pixel at most, at which what fools the substitute is shown to the oracle."""
    steps: Count = 20
    """Steps of PGD against the substitute."""

    def asks(self, rounds: int | None = None) -> int:
        """How many labels ``rounds`` rounds cost."""
        rounds = self.rounds if rounds is None else rounds
        doubled = min(rounds, self.full)
        return self.seeds * 2**doubled + self.reservoir * (rounds - doubled)

    def learned(self, oracle: Model, x: Tensor, seed: int = 0) -> Iterator[Round]:
        """The substitute after each round, the seeds' own included; ``x`` are the seeds [N, C, *] in [0, 1]."""
        y, classes = _labels(oracle, x)
        rng = Rng.seeded(seed, ["substitute"])
        net = seeded_net(self.net, x, classes, seed)
        for number in range(self.rounds + 1):
            if number:
                new = self._further(Model(net), x, y, number - 1, rng)
                x, y = torch.cat([x, new]), torch.cat([y, _labels(oracle, new)[0]])
            self._taught(net, x, y, seed + number)
            yield Round(number, len(y), Model(net, name="substitute"))

    def _further(self, model: Model, x: Tensor, y: Tensor, number: int, rng: Rng) -> Tensor:
        """New images: ``x + step * sign`` of the slope of each image's own class, some of them once ``full``."""
        if number >= self.full:
            drawn = rng.uniform(torch.empty(1, len(x)), 0, 1)[0].argsort()[: self.reservoir]
            x, y = x[drawn.to(x.device)], y[drawn.to(y.device)]
        way = -self.step if self.turn and (number // self.turn) % 2 else self.step
        return torch.cat([some + way * _slope(model, some, of) for some, of in _cut(x, y)]).clamp(0, 1)

    def _taught(self, net: nn.Module, x: Tensor, y: Tensor, seed: int) -> None:
        """Some epochs of Adam in an order of its own."""
        adam = torch.optim.Adam(net.parameters(), lr=self.rate)
        order = torch.Generator().manual_seed(seed)
        net.train()
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x), generator=order).split(min(BATCH, 1 + len(x) // 8)):
                adam.zero_grad()
                F.cross_entropy(net(x[rows]), y[rows]).backward()
                adam.step()
        net.eval()


def _labels(oracle: Model, x: Tensor) -> tuple[Tensor, int]:
    """The oracle's labels, and of how many classes; never more of its answer than that."""
    answers = [oracle(some) for some in x.split(oracle.capacity)]
    return torch.cat([label_of(answer) for answer in answers]).to(x.device), answers[0].shape[1]


def _cut(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(x.split(BATCH), y.split(BATCH), strict=True)


def _slope(model: Model, x: Tensor, y: Tensor) -> Tensor:
    return Query(model, Logit(), y, Rng.seeded(0, range(len(x)))).gradient(x).slope.sign()


def seeded_net(kind: str, x: Tensor, classes: int, seed: int) -> nn.Module:
    """A small network for images like ``x``, always with the same weights for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return (_conv(x, classes) if kind == "conv" else _dense(x, classes)).to(x.device)


def _dense(x: Tensor, classes: int, wide: int = 200) -> nn.Module:
    layers = [nn.Flatten(), nn.Linear(x[0].numel(), wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(wide, classes))


def _conv(x: Tensor, classes: int) -> nn.Module:
    """Two or three convolutions, each at half the size of the one before, and a dense layer."""
    space = x.shape[2:]
    if len(space) > 3:
        raise InputError(f"there are no convolutions over {len(space)} dimensions", "net='dense'")
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(space) - 1]
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[len(space) - 1]
    widths = (x.shape[1], 16, 32, 32) if min(space) >= 24 else (x.shape[1], 32, 64)
    layers: list[nn.Module] = []
    for wide, out in pairwise(widths):
        layers += [
            conv(wide, out, 3, stride=2 if min(space) >= 24 or len(layers) else 1, padding=1),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, pool(4), nn.Flatten(), nn.Linear(widths[-1] * 4 ** len(space), classes))
