"""Training against the worst weights nearby, too."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..spec import Fraction, Positive
from .base import Regenerated, Training
from .copies import buffers_kept
from .plain import Madry
from .pupil import Part, Pupil


class AWP(Training):
    """Another training whose gradient is taken at the worst weights nearby (Wu et al., 2020, arXiv:2004.05884).

    Every layer's weights go up the loss by ``gamma`` times their own length, the gradient is taken there, and the step
    made from where they were. One forward and one backward pass more for each update.
    """

    inner: Regenerated = Madry()
    """What is trained so."""
    gamma: Positive = 0.01
    """How far each layer goes, in lengths of its weights; the authors take half of it for Trades."""
    after: Fraction = 0.0
    """From which share of the learning on."""

    def taught(self, pupil: Pupil, parts: Sequence[Part]) -> None:
        graded = self.inner.graded(pupil, parts)
        if pupil.span[0] < self.after:
            pupil.backward(graded)
        else:
            with buffers_kept(pupil.net):
                pupil.backward(graded, noted=False)
            with shifted(pupil.net, self.gamma):
                pupil.backward(graded)
        pupil.step()

    def stronger(self) -> Training:
        inner = self.inner.stronger()
        return AWP(inner, self.gamma, self.after) if isinstance(inner, Regenerated) else inner


@contextmanager
def shifted(net: nn.Module, gamma: float) -> Generator[None]:
    """Every weight of two and more dimensions up its gradient by ``gamma`` times its own length, and back."""
    moved = [p for p in net.parameters() if p.grad is not None and p.ndim > 1]
    before = [p.detach().clone() for p in moved]
    try:
        with torch.no_grad():
            for p in moved:
                p.add_(uphill(p), alpha=gamma)
        yield
    finally:
        with torch.no_grad():
            for p, value in zip(moved, before, strict=True):
                p.copy_(value)


def uphill(p: Tensor) -> Tensor:
    """A weight's gradient at the weight's own length."""
    assert p.grad is not None
    return p.grad / p.grad.norm().clamp_min(torch.finfo(p.dtype).tiny) * p.norm()
