"""What images look like: where a new one begins, and what colours and frequencies those of a data set have."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Looks(NamedTuple):
    """Where images begin, [N or 1, C, *space] in [0, 1], and what is known of a data set.

    Without it channels are taken for independent and the spectrum for that of photographs, 1/f.
    """

    start: Tensor
    colours: Tensor | None = None
    """What independent channels are mixed by to have the data's colours: [C, C]."""
    spectrum: Tensor | None = None
    """The mean size of each frequency of a channel, half of them as ``torch.fft.rfftn`` gives them: [C, *half]."""
    apart: Tensor | None = None
    """The same of the independent channels."""

    def rows(self, keep: Tensor) -> "Looks":
        """The same for some rows."""
        return self._replace(start=self.start[keep])

    def to(self, like: Tensor) -> "Looks":
        """The same where ``like`` is, in its precision."""
        return Looks(*(None if t is None else t.to(like) for t in self))  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def looks_of(batches: Iterable[Tensor]) -> Looks:
    """The looks of images [B, C, *space] in [0, 1], which begin at their mean. The batches are gone through twice.

    Nothing but sums is kept, so ``batches`` may be a data set larger than memory; it must not be used up by the first
    time.
    """
    mean, cross, n = _moments(batches)
    colours = _mixing(cross - torch.outer(mean.flatten(1).mean(1), mean.flatten(1).mean(1)))
    totals = [0.0 * _spectrum(mean[None])[0] for _ in range(2)]
    for x in batches:
        for total, channels in zip(totals, (x, unmixed(x, colours.to(x))), strict=True):
            total += _spectrum(channels.double()).sum(0).to(total)
    return Looks(*(t.float() for t in (mean[None], colours, *(total / n for total in totals))))


def _moments(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor, int]:
    """The mean image [C, *space], the mean product of channels [C, C], and how many images there are."""
    mean, cross, n = None, None, 0
    for x in batches:
        flat = x.double().flatten(2)
        product = torch.einsum("bcp,bdp->cd", flat, flat) / flat.shape[2]
        mean = x.double().sum(0) if mean is None else mean + x.double().sum(0)
        cross, n = product if cross is None else cross + product, n + len(x)
    assert mean is not None
    assert cross is not None
    return mean / n, cross / n, n


def _mixing(covariance: Tensor) -> Tensor:
    """The root of a covariance, so large that its largest column has length 1 (Olah et al., 2017)."""
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * (values.clamp_min(0) + 1e-6).sqrt()
    return root / root.norm(dim=0).max()


def mixed(x: Tensor, colours: Tensor) -> Tensor:
    """Independent channels as colours: [B, C, *space]."""
    return torch.einsum("dc,bc...->bd...", colours, x)


def unmixed(x: Tensor, colours: Tensor) -> Tensor:
    """Colours as independent channels."""
    return mixed(x, torch.linalg.inv(colours))


def _spectrum(x: Tensor) -> Tensor:
    return torch.fft.rfftn(x, dim=tuple(range(2, x.ndim)), norm="ortho").abs()
