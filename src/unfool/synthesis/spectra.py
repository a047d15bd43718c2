"""Arithmetic of the half of all frequencies that a real image needs, in any number of dimensions."""

import torch
from torch import Tensor


def half_of(x: Tensor) -> torch.Size:
    """The shape of one image's frequencies, as ``torch.fft.rfftn`` gives them: [C, *half]."""
    return torch.Size([*x.shape[1:-1], x.shape[-1] // 2 + 1])


def natural(x: Tensor, decay: float) -> Tensor:
    """How strong each frequency is in images without a scale of their own: f^(-D/2), at ``decay`` 1: [1, *half]."""
    sides = x.shape[2:]
    axes = [torch.fft.fftfreq(side, device=x.device, dtype=x.dtype) for side in sides[:-1]]
    axes.append(torch.fft.rfftfreq(sides[-1], device=x.device, dtype=x.dtype))
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return grid.norm(dim=0).clamp_min(1 / max(sides))[None] ** (-decay * len(sides) / 2)


def size_of(sizes: Tensor, x: Tensor) -> Tensor:
    """The standard deviation of images like ``x`` whose frequencies have these sizes, by Parseval's theorem."""
    twice = torch.full_like(sizes, 2.0)
    twice[..., 0] = 1
    if x.shape[-1] % 2 == 0:
        twice[..., -1] = 1
    power = (twice * sizes.square()).flatten(1)[:, 1:].sum(1)  # all but the mean
    return (power.mean() / x.shape[2:].numel()).sqrt()


def odd(phases: Tensor, x: Tensor) -> Tensor:
    """Phases [N, C, *half] of a real image: where a frequency and its negative are both there, one minus the other.

    Those are the first of the last axis and, of an even side, its last.
    """
    own = [0, *([phases.shape[-1] - 1] if x.shape[-1] % 2 == 0 else [])]
    edge = phases[..., own]
    axes = tuple(range(2, edge.ndim - 1))
    mirrored = edge.flip(axes).roll([1] * len(axes), axes) if axes else edge
    phases = phases.clone()
    phases[..., own] = (edge - mirrored) / 2
    return phases
