"""Networks whose answers are known, and one of every kind that a user may bring.

A plane ``s(x) = w·(x - 1/2)`` with logits ``(-s, s)`` is ``|s| / ||w||_q`` away, where q is the dual of the norm.
"""

import hashlib
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def images(
    *shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0, dtype: Any = torch.float32
) -> Tensor:
    """Uniform random images."""
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=stream, dtype=torch.float64).mul(high - low).add(low).to(dtype)


def same(a: Tensor, b: Tensor) -> bool:
    """Equal up to the rounding that differs between kernels; whole numbers and flags exactly."""
    if a.dtype != b.dtype or a.shape != b.shape or not a.is_floating_point():
        return torch.equal(a, b)
    return torch.allclose(a, b, rtol=1e-4, atol=1e-6)


def seeded(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """The same weights each time, whatever was drawn before; in evaluation mode."""

    def made(*args: Any, seed: int = 0, **how: Any) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return make(*args, **how).eval()

    return made


class Plane(nn.Module):
    """Two classes on the two sides of a plane."""

    def __init__(self, *shape: int, seed: int = 0, scale: float = 1.0):
        super().__init__()
        stream = torch.Generator().manual_seed(seed)
        self.w = nn.Parameter(torch.randn(shape or (3, 6, 6), generator=stream) * 0.1)
        self.scale = scale
        self.eval()

    def side(self, x: Tensor) -> Tensor:
        return ((x - 0.5) * self.w).flatten(1).sum(1)

    def forward(self, x: Tensor) -> Tensor:
        s = self.scale * self.side(x)
        return torch.stack([-s, s], 1)

    def label(self, x: Tensor) -> Tensor:
        return (self.side(x) > 0).long()

    def radius(self, x: Tensor, norm: str) -> Tensor:
        """How far the plane is, in "Linf", "L2" or "L1"."""
        w = self.w.detach().abs()
        steepest = {"Linf": w.sum(), "L2": w.norm(), "L1": w.max()}[norm]
        return self.side(x).abs().detach() / steepest


class Quadratic(nn.Module):
    """Logit k is ``-a_k ||x - c_k||² / 2``; its gradient is ``a_k (c_k - x)``."""

    def __init__(self, *shape: int, classes: int = 3):
        super().__init__()
        self.centers = nn.Parameter(images(classes, *shape, seed=5))
        self.curve = nn.Parameter(torch.arange(1.0, classes + 1))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return -self.curve * (x[:, None] - self.centers).flatten(2).square().sum(2) / 2

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        return self.curve[y].view(-1, *[1] * (x.ndim - 1)) * (self.centers[y] - x)


@seeded
def conv(channels: int = 3, classes: int = 5, dims: int = 2) -> nn.Module:
    """Convolutions with in-place ReLUs, a global mean and a linear head: 0 to 6."""
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[dims]
    return nn.Sequential(
        convolution(channels, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        convolution(8, 8, 3, padding=1, stride=2),
        nn.ReLU(inplace=True),
        pool(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )


def smooth(classes: int = 4, seed: int = 0) -> nn.Module:
    """A network without kinks, in float64, for finite differences."""
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1),
            nn.Softplus(),
            nn.Conv2d(6, 6, 3),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(96, classes),
        ).double()
    )(seed=seed)


class _Functional(nn.Module):
    """ReLUs that are functions, so that no module can be found for them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu_(self.second(F.relu(self.first(x))))
        return self.head(h.mean((2, 3)))


class _Shared(nn.Module):
    """One convolution and one ReLU, each used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.head = (
            nn.Conv2d(3, 3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Linear(3, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = self.relu(self.conv(x))
        return self.head(x.mean((2, 3)))


class _Residual(nn.Module):
    """A residual block with batch norm, added in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.conv, self.bn, self.relu = (
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
        )
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(8, 5)
        for norm in (self.stem[1], self.bn):
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        out = self.bn(self.conv(x))
        out += x
        return self.head(self.drop(self.relu(out).mean((2, 3))))


class _TinyViT(nn.Module):
    """Patches, a class token, one block of attention; the head sees the class token only."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 8, 2, stride=2), nn.Parameter(torch.randn(1, 1, 8))
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.last, self.head = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        t = self.patches(x).flatten(2).mT
        t = self.norm(torch.cat([self.token.expand(len(t), -1, -1), t], 1))
        return self.head(self.last(t + self.attention(t, t, t, need_weights=False)[0])[:, 0])


class _OneSquare(nn.Module):
    """Looks at nothing but one square of the image."""

    def __init__(self, where: tuple[slice, slice] = (slice(1, 4), slice(4, 7)), size: int = 8):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)
        with torch.no_grad():
            self.conv.weight.abs_()
            self.head.weight.copy_(torch.tensor([-1.0, 1.0])[:, None].expand(2, 4))
        mask = torch.zeros(1, 1, size, size)
        mask[(..., *where)] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x * self.mask).mul(self.mask).relu().mean((2, 3)))


class InPlace(nn.Module):
    """Normalises its input in place, as much code in the wild does."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.sub_(0.5).mul_(2))


class Gives(nn.Module):
    """The same network with its answer in other clothes."""

    def __init__(self, net: nn.Module, dress: Callable[[Tensor], Any]):
        super().__init__()
        self.net, self.dress = net, dress
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.dress(self.net(x))


def segmenter(classes: int = 3) -> nn.Module:
    """A map of logits of the image's own size."""
    return seeded(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, classes, 1))
    )()


def frozen(net: nn.Module) -> nn.Module:
    return net.requires_grad_(False)


def half_frozen(net: nn.Module) -> nn.Module:
    """In training mode, but for its batch norms, as in fine-tuning."""
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return net


functional, shared, residual, tiny_vit, one_square = map(
    seeded, (_Functional, _Shared, _Residual, _TinyViT, _OneSquare)
)

KINDS: dict[str, Callable[[], nn.Module]] = {
    "plane": lambda: Plane(3, 8, 8),
    "quadratic": lambda: Quadratic(3, 8, 8),
    "in-place ReLU": conv,
    "functional ReLU": functional,
    "shared modules": shared,
    "residual, batch norm": residual,
    "vision transformer": tiny_vit,
    "one square": one_square,
    "in-place on the image": lambda: InPlace(conv()),
    "dict": lambda: Gives(conv(), lambda out: {"features": out * 2, "out": out}),
    ".logits": lambda: Gives(conv(), lambda out: SimpleNamespace(logits=out)),
    "tuple": lambda: Gives(conv(), lambda out: (out, "auxiliary")),
    "one logit": lambda: Gives(conv(classes=1), lambda out: out[:, 0]),
    "frozen": lambda: frozen(conv()),
    "bfloat16": lambda: conv().to(torch.bfloat16),
    "segmenter": segmenter,
}
"""Every kind of network for images [B, 3, 8, 8]."""

SPACES: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "one channel": lambda: (conv(1), images(3, 1, 9, 9)),
    "five channels": lambda: (conv(5), images(3, 5, 8, 8)),
    "one dimension": lambda: (conv(2, dims=1), images(3, 2, 16)),
    "volume": lambda: (conv(1, dims=3), images(3, 1, 6, 8, 8)),
    "series": lambda: (conv(2, dims=3), images(3, 2, 12, 6, 6)),
    "two classes": lambda: (conv(classes=2), images(3, 3, 8, 8)),
}
"""Other shapes: a network and images for it."""


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def state_of(net: nn.Module) -> dict[str, Any]:
    """All of a network that a call might change."""
    weights = {
        name: (t.data_ptr(), t.dtype, t.requires_grad, t._version) for name, t in net.state_dict().items()
    }
    digest = hashlib.sha256()
    for t in net.state_dict().values():
        digest.update(t.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    modules = {
        name: (
            module.training,
            sorted(module.__dict__),
            *(list(getattr(module, kind)) for kind in _HOOKS),
        )
        for name, module in net.named_modules()
    }
    grads = {
        name: None if p.grad is None else (id(p.grad), p.grad.sum().item())
        for name, p in net.named_parameters()
    }
    wanted = [p.requires_grad for p in net.parameters()]
    return {
        "weights": weights,
        "digest": digest.hexdigest(),
        "modules": modules,
        "grads": grads,
        "wanted": wanted,
    }


def random_state() -> tuple[Any, ...]:
    return torch.random.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())
