"""First-layer filters: which are dead, noisy or double, and which way their waves run."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..model import Model

DEAD, DOUBLE, NOISY, SPREAD = 1e-3, 0.95, 0.6, 0.5
SMALLEST = 5
"""Filters with fewer positions a side are too small to say whether they are noisy."""


class Filters(NamedTuple):
    """A layer's filters [K, C, *size], batch norm folded in, with what is known of each."""

    layer: str
    weight: Tensor
    norm: Tensor
    dead: Tensor
    """Those whose norm is less than a thousandth of the median: [K] bool."""
    rough: Tensor
    """Of a filter's energy, that without its mean, the share above half the highest frequency: [K]."""
    white: float
    """The same share of white noise."""
    peaked: Tensor
    """The share of the energy in the tenth of the frequencies that has most: a third in noise, more in a wave: [K]."""
    noisy: Tensor
    """Filters as rough as noise and without a peak: too little training. None of a size too small to tell: [K] bool."""
    double: tuple[tuple[int, int, float], ...]
    """Pairs that point the same or the opposite way, and their cosine."""
    frequency: Tensor
    """Where the spectrum is largest, in waves per position along each axis: [K, dimensions]."""

    @property
    def orientation(self) -> Tensor:
        """Which way a filter's waves run, in degrees from the horizontal, 0 to 180; of two dimensions only: [K]."""
        up, along = self.frequency[:, -2], self.frequency[:, -1]
        return torch.rad2deg(torch.atan2(up, along)) % 180


def first_filters(model: Model, x: Tensor, layer: str = "") -> Filters:
    """The filters of a convolution, by default the first that images like ``x`` meet."""
    name, weight = model.filters(x, layer)
    flat = weight.flatten(1).double()
    norm = flat.norm(dim=1)
    energy, places = _spectrum(weight, tuple(weight.shape[2:]))
    radius, whole = places.norm(dim=1), energy.sum(1).clamp_min(1e-30)
    rough = (energy * (radius > 0.25)).sum(1) / whole
    white = float((radius > 0.25).sum() / max(1, int((radius > 0).sum())))
    peaked = energy.topk(-(-energy.shape[1] // 10), dim=1).values.sum(1) / whole
    fine, at = _spectrum(weight, tuple(max(32, side) for side in weight.shape[2:]))
    large = min(weight.shape[2:]) >= SMALLEST
    dead = norm < DEAD * norm.median()
    return Filters(
        name,
        weight,
        norm,
        dead,
        rough,
        white,
        peaked,
        (rough > NOISY * white) & (peaked < SPREAD) & ~dead & large,
        _double(flat, norm, dead),
        at[fine.argmax(1)],
    )


def _spectrum(weight: Tensor, sides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Each filter's energy by frequency, its mean taken out, summed over channels, and where each frequency lies.

    On more ``sides`` than it has positions a peak lies where it is rather than at the nearest of a few.
    """
    dims = tuple(range(2, weight.ndim))
    centred = weight.double() - weight.double().mean(dims, keepdim=True)
    energy = torch.fft.fftn(centred, s=sides, dim=dims).abs().square().sum(1)
    axes = torch.meshgrid(*[torch.fft.fftfreq(side, dtype=torch.float64) for side in sides], indexing="ij")
    return energy.flatten(1), torch.stack(axes, -1).flatten(0, -2)


def _double(flat: Tensor, norm: Tensor, dead: Tensor) -> tuple[tuple[int, int, float], ...]:
    """Channels are compared as they stand, the mean with the rest."""
    unit = flat / norm.clamp_min(1e-30)[:, None]
    cosine = (unit @ unit.T).where(~dead[:, None] & ~dead, 0).triu(1)
    pairs = (cosine.abs() > DOUBLE).nonzero().tolist()
    return tuple((a, b, float(cosine[a, b])) for a, b in pairs)
