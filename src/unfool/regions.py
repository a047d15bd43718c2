"""Where a perturbation may go."""

import torch
from torch import Tensor

from .errors import InputError
from .region import Ball as Ball
from .region import Norm as Norm
from .region import Region as Region
from .region import l2_norm, only, unit
from .rows import Rng, column
from .spec import Fraction, PerRow


class Linf(Norm):
    """No value moves by more than ``eps``."""

    eps: PerRow = 8 / 255

    def shrink(self, delta: Tensor, eps: Tensor) -> Tensor:
        limit = column(eps, delta)
        return delta.clamp(-limit, limit)

    def ascend(self, grad: Tensor) -> Tensor:
        return grad.sign()

    def draw(self, like: Tensor, eps: Tensor, rng: Rng) -> Tensor:
        return column(eps, like) * rng.uniform(like)

    def farthest(self, direction: Tensor, eps: Tensor) -> Tensor:
        return direction * column(eps / self.size(direction).clamp_min(1e-12), direction)

    def size(self, delta: Tensor) -> Tensor:
        return delta.flatten(1).abs().amax(1)


class L2(Norm):
    """The whole change is at most ``eps`` long."""

    eps: PerRow = 0.5

    def shrink(self, delta: Tensor, eps: Tensor) -> Tensor:
        return delta * column((eps / l2_norm(delta).clamp_min(1e-12)).clamp(max=1), delta)

    def ascend(self, grad: Tensor) -> Tensor:
        return unit(grad)

    def draw(self, like: Tensor, eps: Tensor, rng: Rng) -> Tensor:
        radius = eps * rng.uniform(like.flatten(1)[:, :1], 0, 1)[:, 0] ** (1 / like[0].numel())
        return unit(rng.normal(like)) * column(radius, like)

    def farthest(self, direction: Tensor, eps: Tensor) -> Tensor:
        return unit(direction) * column(eps, direction)

    def size(self, delta: Tensor) -> Tensor:
        return l2_norm(delta)


class L1(Norm):
    """The sizes of all changes add up to at most ``eps``."""

    eps: PerRow = 12.0

    def shrink(self, delta: Tensor, eps: Tensor) -> Tensor:
        """Projection onto the l1 ball by sorting (Duchi et al., 2008)."""
        flat = delta.flatten(1)
        sizes = flat.abs().sort(1, descending=True).values
        excess = sizes.cumsum(1) - eps[:, None]
        counts = torch.arange(1, flat.shape[1] + 1, device=delta.device)
        kept = ((sizes * counts) > excess).sum(1).clamp_min(1)
        threshold = (excess.gather(1, kept[:, None] - 1)[:, 0] / kept).clamp_min(0)
        return (flat.sign() * (flat.abs() - threshold[:, None]).clamp_min(0)).view_as(delta)

    def ascend(self, grad: Tensor) -> Tensor:
        flat = grad.flatten(1)
        best = flat.abs().argmax(1, keepdim=True)
        return torch.zeros_like(flat).scatter(1, best, flat.gather(1, best).sign()).view_as(grad)

    def draw(self, like: Tensor, eps: Tensor, rng: Rng) -> Tensor:
        """Uniform in the ball: differences of sorted uniforms, signed."""
        flat = like.flatten(1)
        cuts = rng.uniform(flat, 0, 1).sort(1).values
        spacings = cuts.diff(dim=1, prepend=torch.zeros_like(cuts[:, :1]))
        return (eps[:, None] * spacings * rng.sign(flat)).view_as(like)

    def farthest(self, direction: Tensor, eps: Tensor) -> Tensor:
        return direction * column(eps / self.size(direction).clamp_min(1e-12), direction)

    def size(self, delta: Tensor) -> Tensor:
        return delta.flatten(1).abs().sum(1)


class L0(Norm):
    """At most ``eps`` positions change, each in all its channels and by any amount."""

    eps: PerRow = 1
    least = 1.0

    def shrink(self, delta: Tensor, eps: Tensor) -> Tensor:
        change = delta.abs().amax(1).flatten(1)  # [B, positions]
        order = change.argsort(1, descending=True)
        rank = torch.empty_like(order).scatter(
            1, order, torch.arange(order.shape[1], device=delta.device).expand_as(order)
        )
        return delta * (rank + 1 <= eps[:, None]).view(len(delta), 1, *delta.shape[2:])

    def ascend(self, grad: Tensor) -> Tensor:
        """Each position's own steepest sign step; the projection keeps the best."""
        return grad / column(grad.flatten(1).abs().amax(1).clamp_min(1e-12), grad)

    def draw(self, like: Tensor, eps: Tensor, rng: Rng) -> Tensor:
        return rng.uniform(like)

    def farthest(self, direction: Tensor, eps: Tensor) -> Tensor:
        return self.shrink(self.ascend(direction), eps)

    def scatter(self, direction: Tensor, ball: Ball, rng: Rng) -> Tensor:
        direction = only(direction, ball)
        lots = rng.uniform(direction[:, :1], 0, 1) * (direction != 0).any(1, keepdim=True)
        return direction * (self.shrink(lots, ball.eps) > 0)

    def size(self, delta: Tensor) -> Tensor:
        return (delta != 0).any(1).flatten(1).sum(1).to(delta.dtype)


class Mask(Region):
    """Another region, kept to a box of the image or to the mask given with the images."""

    inner: Region = Linf(1.0)
    box: tuple[Fraction, ...] = ()
    """(top, left, bottom, right) as shares of the last two dimensions; empty: the mask that comes with the images."""

    def __str__(self) -> str:
        where = ", ".join(repr(share).removesuffix(".0") for share in self.box)
        return f"Mask({self.inner}, box=({where}))" if where else f"Mask({self.inner})"

    def around(self, x: Tensor, mask: Tensor | None = None) -> Ball:
        here = _box(x, self.box) if self.box else mask
        if here is None:
            raise InputError(
                "Mask needs to know where", "give Mask(box=(top, left, bottom, right)) or mask=…"
            )
        return self.inner.around(x, here.to(x.dtype))

    def sized(self, eps: float) -> "Mask":
        return Mask(self.inner.sized(eps), self.box)

    @property
    def radius(self) -> float | tuple[float, ...]:
        return self.inner.radius

    @property
    def norm(self) -> type[Norm]:
        return self.inner.norm

    def shrink(self, delta: Tensor, eps: Tensor) -> Tensor:
        return self.inner.shrink(delta, eps)

    def ascend(self, grad: Tensor) -> Tensor:
        return self.inner.ascend(grad)

    def draw(self, like: Tensor, eps: Tensor, rng: Rng) -> Tensor:
        return self.inner.draw(like, eps, rng)

    def farthest(self, direction: Tensor, eps: Tensor) -> Tensor:
        return self.inner.farthest(direction, eps)

    def scatter(self, direction: Tensor, ball: Ball, rng: Rng) -> Tensor:
        return self.inner.scatter(direction, ball, rng)

    def size(self, delta: Tensor) -> Tensor:
        return self.inner.size(delta)


def _box(x: Tensor, box: tuple[float, ...]) -> Tensor:
    """A mask that is 1 inside the box: [1, 1, ..., H, W]."""
    if len(box) != 4 or box[0] >= box[2] or box[1] >= box[3]:
        raise InputError(f"Mask.box must be (top, left, bottom, right) as shares of the image, not {box}")
    height, width = x.shape[-2:]
    mask = torch.zeros_like(x[:, :1])
    top, left, bottom, right = (
        round(b * s) for b, s in zip(box, (height, width, height, width), strict=True)
    )
    mask[..., top : max(bottom, top + 1), left : max(right, left + 1)] = 1
    return mask
