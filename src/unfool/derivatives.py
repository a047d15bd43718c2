"""The one place where derivatives are taken: of inputs and activations, never of weights."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from .errors import InputError

_recorded = ContextVar("recorded", default=False)


@contextmanager
def recorded() -> Generator[None]:
    """Derivatives taken meanwhile can be differentiated in turn, with respect to images that want their gradient."""
    token = _recorded.set(True)
    try:
        yield
    finally:
        _recorded.reset(token)


def leaf_of(x: Tensor) -> Tensor:
    """What a score is differentiated with respect to: the tensor itself where derivatives are recorded, else a copy."""
    return x if _recorded.get() and x.requires_grad else x.detach().requires_grad_()


def kept(t: Tensor) -> Tensor:
    """A tensor that goes into a map: with its past where derivatives are recorded, else without."""
    return t if _recorded.get() else t.detach()


def derivatives(
    score: Tensor,
    at: Sequence[Tensor],
    who: str,
    place: str = "the image",
    keep: bool = False,
    idle: bool = False,
) -> Sequence[Tensor | None]:
    """Each row's derivative of its score with respect to ``at``; None where the score does not depend on it.

    ``keep`` leaves what a further pass back needs; with ``idle`` there are zeros where it would be None.
    """
    if torch.is_inference_mode_enabled():
        raise InputError(
            f"{who}: there are no gradients in torch.inference_mode()", "torch.no_grad() does no harm"
        )
    if not score.requires_grad:
        raise InputError(f"{who}: the score does not depend on {place}: the network cuts the gradient")
    again = _recorded.get()
    return torch.autograd.grad(
        score.sum(),
        at,
        allow_unused=True,
        retain_graph=keep or again,
        create_graph=again,
        materialize_grads=idle,
    )


def each_derivative(scores: Tensor, at: Tensor, who: str, together: int = 1) -> Tensor:
    """The derivative of each row of scores [K, B] with respect to ``at`` [B, *]: [K, B, *].

    So many of them go back ``together``, in one batched call. What has no rule for that goes back one by one.
    """
    if together > 1 and len(scores) > 1:
        try:  # without a rule for it, or without the memory; what is wrong besides is wrong below, too
            return torch.cat([_batched(scores, some, at) for some in _units(scores).split(together)])
        except RuntimeError:
            pass
    return torch.stack([there(derivatives(score, [at], who, keep=True)[0]) for score in scores])


def _units(scores: Tensor) -> Tensor:
    """One of each row and nothing of the others: [K, K, B]."""
    return torch.eye(len(scores), dtype=scores.dtype, device=scores.device)[:, :, None].expand(
        -1, -1, scores.shape[1]
    )


def _batched(scores: Tensor, units: Tensor, at: Tensor) -> Tensor:
    (grads,) = torch.autograd.grad(
        scores, at, units, retain_graph=True, create_graph=_recorded.get(), is_grads_batched=True
    )
    return grads


def there(grad: Tensor | None, place: str = "the image") -> Tensor:
    """A derivative that must not be missing."""
    if grad is None:
        raise InputError(f"the score does not depend on {place}", "name a layer on the way to the output")
    return grad


def exact(t: Tensor) -> Tensor:
    """In float32 at least."""
    return t.to(torch.promote_types(t.dtype, torch.float32))


def gradient_of(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of what asks no network, such as roughness, summed over the rows."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad(f(leaf).sum(), leaf)
    return grad


def pulled(
    f: Callable[..., Tensor], at: Sequence[Tensor], weigh: Callable[[Tensor], Tensor]
) -> Sequence[Tensor]:
    """The derivatives of ``f(*at)``, its numbers weighted by what ``weigh`` makes of them."""
    with torch.enable_grad():
        leaves = [t.detach().requires_grad_() for t in at]
        made = f(*leaves)
        return torch.autograd.grad(made, leaves, weigh(made.detach()))
