"""Whether more dimensions make a classifier easier to fool: only where each brings a signal of its own.

One linear unit ``y = w·x`` moves by ``eps ||w||_1`` under ``eps sign(w)``, whose L2 length is ``eps sqrt(d)``, and by
about ``eps ||w||_2`` under random signs (Goodfellow et al., 2015; here with one unit, as for a matrix of weights
``x + eps W`` has no meaning). What that does to the radius that flips depends on the data, so two kinds are measured:
features that are each informative, and the same images on ever finer grids.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..attacks.gradient import PGD
from ..attacks.wrappers import Smallest
from ..model import Model
from ..objectives import Margin
from ..regions import L2, Linf
from ..samples import Samples, digits8
from ..spec import Count, Natural, Positive, Spec
from ..views import from_uint8
from ..zoo.embedded import train
from ..zoo.nets import linear, mlp
from .rates import Mean, mean_of

Law = Literal["equal", "normal", "sparse"]


class Dimensions(Spec):
    """What is measured of how radii go with the number of dimensions."""

    eps: Positive = 0.1
    law: Law = "normal"
    """How the linear unit's weights are drawn: all alike, Gaussian, or a tenth Gaussian and the others 0."""
    gaussian: tuple[Count, ...] = (16, 64, 256, 1024, 4096)
    """Numbers of informative Gaussian features."""
    sides: tuple[Count, ...] = (8, 16, 32, 64)
    """Sides of the digits, multiples of 8."""
    separation: Positive = 2.0
    """Distance of a class's mean from the boundary in standard deviations: 2 makes 97.7 % the best there is."""
    images: Count = 200
    draws: Count = 1000
    """Random signs per number of dimensions."""
    seeds: Count = 3
    seed: Natural = 0


class Unit(NamedTuple):
    """One linear unit under a change of size ``eps``: what was measured, and the formula beside it."""

    d: int
    sign: float  # change of y under eps sign(w)
    sign_formula: float  # eps ||w||_1
    length: float  # L2 length of eps sign(w)
    length_formula: float  # eps sqrt(d)
    random: float  # root mean square change of y under eps times random signs
    random_formula: float  # eps ||w||_2


class Trend(NamedTuple):
    """Median flip radii against the number of dimensions, and their slope on two logarithmic axes."""

    name: str
    d: tuple[int, ...]
    linf: tuple[Mean, ...]
    l2: tuple[Mean, ...]
    accuracy: tuple[Mean, ...]
    slope: Mean
    slope_l2: Mean
    product: tuple[Mean, ...]
    """Median Linf radius times sqrt(d)."""
    forward: float = 0.0
    """Passes of each image, mean over all networks."""
    backward: float = 0.0


def linear_unit(d: int, eps: float, law: Law, draws: int, seed: int) -> Unit:
    """The unit's answer to each change, measured by applying it."""
    stream = torch.Generator().manual_seed(seed)
    w = _weights(d, law, stream)
    x = torch.rand(d, generator=stream, dtype=torch.float64)
    change = eps * w.sign()
    signs = torch.randint(0, 2, (draws, d), generator=stream, dtype=torch.int8).double() * 2 - 1
    moved = (x + eps * signs) @ w - x @ w
    return Unit(
        d,
        float((x + change) @ w - x @ w),
        eps * float(w.abs().sum()),
        float(change.norm()),
        eps * math.sqrt(int((w != 0).sum())),
        float(moved.square().mean().sqrt()),
        eps * float(w.norm()),
    )


def _weights(d: int, law: Law, stream: torch.Generator) -> Tensor:
    if law == "equal":
        return torch.ones(d, dtype=torch.float64)
    w = torch.randn(d, generator=stream, dtype=torch.float64)
    kept = torch.rand(d, generator=stream) < 0.1
    kept[0] = True
    return w if law == "normal" else w * kept


KINDS: tuple[tuple[str, Literal["linear", "mlp"]], ...] = (("linear", "linear"), ("two hidden layers", "mlp"))


class Radii(NamedTuple):
    """Of one trained classifier: the smallest changes that flip the images it has right, and its accuracy."""

    linf: Tensor
    l2: Tensor
    accuracy: float
    forward: float = 0.0
    """Passes of each image through the network until both radii were known; none where they are exact."""
    backward: float = 0.0


def gaussian_radii(d: int, plan: Dimensions, seed: int, *, learned: bool) -> Radii:
    """Two Gaussian classes, every feature a little informative, their means ``separation`` from the middle.

    Exact radii of a plane: ``|w·x| / ||w||_1`` and ``|w·x| / ||w||_2``. The plane is the best there is, or ``learned``
    as the difference of class means of ``8 d`` samples.
    """
    rng = np.random.default_rng([seed, d, int(learned)])
    mean = plan.separation / math.sqrt(d)
    w = np.full(d, mean) if not learned else _learned(rng, d, mean)
    score, n = [], 4000
    for _ in range(0, n, 500):
        y = rng.integers(0, 2, 500) * 2 - 1
        score.append(y * ((y[:, None] * mean + rng.standard_normal((500, d), dtype=np.float32)) @ w))
    margin = torch.from_numpy(np.concatenate(score))
    right = margin[margin > 0]
    return Radii(right / float(np.abs(w).sum()), right / float(np.linalg.norm(w)), len(right) / n)


def _learned(rng: np.random.Generator, d: int, mean: float) -> np.ndarray:
    """Half the difference of the class means of ``8 d`` samples, some at a time."""
    total, n = np.zeros(d), 8 * d
    for start in range(0, n, 512):
        size = min(512, n - start)
        total += rng.standard_normal((size, d), dtype=np.float32).sum(0)
    return mean + total / n


def digit_radii(side: int, plan: Dimensions, seed: int, kind: Literal["linear", "mlp"]) -> Radii:
    """A network trained on digits of which each pixel is repeated until the image has ``side`` pixels a side.

    Radii are those of PGD by bisection, so upper bounds, except that of a linear network in Linf they are nearly exact.
    """
    learn, judge = (_enlarged(digits8(split), side) for split in ("train", "test"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = linear(side**2, 10) if kind == "linear" else mlp(side**2, 10)
        train(net, learn, 15)
    model = Model(net.eval())
    x, y = from_uint8(judge.x[: plan.images]), judge.y[: plan.images]
    right = model(x).argmax(1) == y
    attack = Smallest(PGD(steps=10, loss=Margin(), random_start=False), halvings=7)
    small = {
        norm: attack(model, x[right], y[right], within=norm(most), seed=seed)
        for norm, most in ((Linf, 0.5), (L2, 0.5 * side))
    }
    linf, l2 = (
        torch.where(small[norm].success, getattr(small[norm], name), torch.inf)
        for norm, name in ((Linf, "linf"), (L2, "l2"))
    )
    spent = (sum(one.cost[way] for one in small.values()) / len(linf) for way in ("forward", "backward"))
    return Radii(linf, l2, float(right.double().mean()), *spent)


def _enlarged(data: Samples, side: int) -> Samples:
    times = side // data.x.shape[-1]
    return data._replace(x=F.interpolate(data.x.float(), scale_factor=times, mode="nearest").to(torch.uint8))


def trend(name: str, d: Sequence[int], radii: Callable[[int, int], Radii], seeds: Sequence[int]) -> Trend:
    """``radii(d, seed)`` over all sizes and seeds."""
    found = {(n, s): radii(n, s) for n in d for s in seeds}

    def over_seeds(read: Callable[[Radii, int], float]) -> tuple[Mean, ...]:
        return tuple(mean_of([read(found[n, s], n) for s in seeds]) for n in d)

    def slopes(read: Callable[[Radii], Tensor]) -> Mean:
        return mean_of([slope(d, [float(read(found[n, s]).median()) for n in d]) for s in seeds])

    return Trend(
        name,
        tuple(d),
        over_seeds(lambda r, n: float(r.linf.median())),
        over_seeds(lambda r, n: float(r.l2.median())),
        over_seeds(lambda r, n: r.accuracy),
        slopes(lambda r: r.linf),
        slopes(lambda r: r.l2),
        over_seeds(lambda r, n: float(r.linf.median()) * math.sqrt(n)),
        sum(r.forward for r in found.values()) / len(found),
        sum(r.backward for r in found.values()) / len(found),
    )


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of log y against log x by least squares."""
    return float(np.polyfit(np.log(np.asarray(x)), np.log(np.asarray(y)), 1)[0])


class Measured(NamedTuple):
    """Everything about dimensions."""

    plan: Dimensions
    units: tuple[Unit, ...]
    gaussian: tuple[Trend, ...]
    digits: tuple[Trend, ...]


def measure_dimensions(plan: Dimensions, progress: Callable[[int], None] = lambda n: None) -> Measured:
    """Every unit and every trend; ``progress`` is told one for each of five parts."""
    seeds = [plan.seed + k for k in range(plan.seeds)]

    def told(found: Trend) -> Trend:
        progress(1)
        return found

    units = tuple(linear_unit(d, plan.eps, plan.law, plan.draws, plan.seed) for d in plan.gaussian)
    progress(1)
    gaussian = tuple(
        told(trend(name, plan.gaussian, lambda d, s, how=how: gaussian_radii(d, plan, s, learned=how), seeds))
        for name, how in (("best plane", False), ("learned plane", True))
    )
    pixels = [side**2 for side in plan.sides]
    digits = tuple(
        told(trend(name, pixels, lambda d, s, k=kind: digit_radii(math.isqrt(d), plan, s, k), seeds))
        for name, kind in KINDS
    )
    return Measured(plan, units, gaussian, digits)
