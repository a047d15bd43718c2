"""What a network says of images with a window changed, recomputing what that changes, is what it says of the whole."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles import KINDS, images, seeded
from unfool.model import Model
from unfool.partial.changed import Base, Changed
from unfool.partial.images import changed
from unfool.vision import torchvision

SIDES = (15, 12)


def windows(space: tuple[int, ...], size: int) -> Tensor:
    """Every corner of the image, its middle, and some place between."""
    ends = [torch.tensor([0, (side - size) // 3, side // 2 - size // 2, side - size]) for side in space]
    return torch.cartesian_prod(*ends).view(-1, len(space))


def both(model: Model, x: Tensor, size: int = 3) -> tuple[Tensor, Tensor]:
    """The network's answer to images with a window changed, whole and by parts, of two images in turn."""
    at = windows(tuple(x.shape[2:]), size)
    row = torch.arange(len(at)) % len(x)
    crop = images(len(at), x.shape[1], *[size] * (x.ndim - 2), seed=3)
    whole = x[row].clone()
    for k, corner in enumerate(at.tolist()):
        whole[(k, slice(None), *(slice(a, a + size) for a in corner))] = crop[k]
    with torch.no_grad():
        return model(whole), model(changed(Base(x), row, at, crop, model.net))


def close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-5, atol=1e-5 * float(a.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network(kind: str):
    net, x = KINDS[kind](), images(2, 3, 8, 8)
    assert close(*both(Model(net, mean=0.3, std=0.5, outputs="logits"), x))


class Net(nn.Module):
    """Whatever ``f`` does with a layer's output, then a head."""

    def __init__(self, f: Callable[[nn.ModuleDict, Tensor], Tensor], **parts: nn.Module):
        super().__init__()
        self.f, self.parts = f, nn.ModuleDict(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.f(self.parts, x)


def stages(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def conv(i: int = 4, o: int = 4, k: int = 3, **how: Any) -> nn.Module:
    return nn.Conv2d(i, o, k, **how)


class Permuted(nn.Module):
    """A ConvNeXt block: channels last in between."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depth = conv(3), conv(padding=1, groups=4)
        self.norm, self.wide, self.narrow = nn.LayerNorm(4), nn.Linear(4, 8), nn.Linear(8, 4)
        self.scale = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        h = self.norm(self.depth(x).permute(0, 2, 3, 1))
        h = self.narrow(F.gelu(self.wide(h))).permute(0, 3, 1, 2)
        return stages(x + self.scale * h)


@seeded
def special(name: str) -> nn.Module:
    return {
        "strides, dilation, padding": lambda: Net(
            lambda p, x: stages(p["c"](p["b"](p["a"](x)))),
            a=conv(3, k=5, stride=2, padding=2),
            b=conv(dilation=2, padding=2),
            c=conv(k=1, stride=2),
        ),
        "same padding": lambda: Net(lambda p, x: stages(p["a"](x).relu()), a=conv(3, padding="same")),
        "even kernels": lambda: Net(
            lambda p, x: stages(p["b"](p["a"](x))), a=conv(3, k=2), b=conv(k=4, stride=3)
        ),
        "pooling": lambda: Net(
            lambda p, x: stages(F.avg_pool2d(F.max_pool2d(p["a"](x), 3, 2, 1, ceil_mode=True), 2, 1)),
            a=conv(3),
        ),
        "padded average": lambda: Net(
            lambda p, x: stages(F.avg_pool2d(p["a"](x), 3, 1, 1, count_include_pad=False)), a=conv(3)
        ),
        "in place": lambda: Net(
            lambda p, x: stages(F.relu(p["a"](x), True).mul_(2).add_(1).relu_()), a=conv(3)
        ),
        "residual in place": lambda: Net(_residual, a=conv(3), b=conv(padding=1)),
        "dense": lambda: Net(
            lambda p, x: stages(torch.cat([p["a"](x), p["b"](x)], 1)), a=conv(3, padding=1), b=conv(3, k=1)
        ),
        "chunks": lambda: Net(lambda p, x: stages(torch.cat(p["a"](x).chunk(2, 1)[::-1], 1)), a=conv(3)),
        "squeeze": lambda: Net(_squeeze, a=conv(3), b=conv(k=1)),
        "flattened": lambda: Net(lambda p, x: p["b"](p["a"](x).flatten(1)), a=conv(3), b=nn.Linear(520, 3)),
        "pads": lambda: Net(lambda p, x: stages(p["a"](F.pad(x, (2, 1, 0, 3), value=0.5))), a=conv(3)),
        "standardised": lambda: Net(lambda p, x: stages(F.conv2d(x, p["a"].weight * 2)), a=conv(3)),
        "upsampling": lambda: Net(
            lambda p, x: stages(p["b"](F.interpolate(p["a"](x), scale_factor=2.0))), a=conv(3), b=conv()
        ),
        "shared": lambda: Net(lambda p, x: stages(p["a"](p["a"](p["b"](x)))), a=conv(padding=1), b=conv(3)),
        "clamped": lambda: Net(lambda p, x: stages((1 - p["a"](x)).clamp(-0.2, 0.3) / 3), a=conv(3)),
        "channels last": lambda: Permuted(),
        "scores of positions": lambda: Net(lambda p, x: p["a"](x), a=conv(3)),
    }[name]()


def _residual(p: nn.ModuleDict, x: Tensor) -> Tensor:
    x = p["a"](x)
    out = p["b"](x.relu())
    out += x
    return stages(out)


def _squeeze(p: nn.ModuleDict, x: Tensor) -> Tensor:
    x = p["a"](x)
    return stages(x * p["b"](F.adaptive_avg_pool2d(x, 1)).sigmoid())


NAMES = (
    "strides, dilation, padding|same padding|even kernels|pooling|padded average|in place|residual in place|dense"
    "|chunks|squeeze|flattened|pads|standardised|upsampling|shared|clamped|channels last|scores of positions"
)


@pytest.mark.parametrize("name", NAMES.split("|"))
@pytest.mark.parametrize("size", [1, 4])
def test_every_operation(name: str, size: int):
    assert close(*both(Model(special(name)), images(2, 3, *SIDES), size))


@pytest.mark.parametrize("dims", [1, 3])
def test_lines_and_volumes(dims: int):
    convolution = {1: nn.Conv1d, 3: nn.Conv3d}[dims]
    pool = {1: nn.MaxPool1d, 3: nn.MaxPool3d}[dims]
    make = seeded(lambda: nn.Sequential(convolution(2, 4, 3, padding=1), nn.ReLU(), pool(2), nn.Flatten()))
    assert close(*both(Model(make()), images(2, 2, *(9, 8, 10)[:dims]), 2))


def test_only_what_the_window_changes_is_computed():
    """A 3x3 window seen by two 3x3 convolutions: 5x5, then 7x7 positions, for each of 16 windows."""
    sizes: list[tuple[int, ...]] = []

    class Watched(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            sizes.append(tuple(out.crop.shape) if isinstance(out, Changed) else tuple(out.shape))
            return out

    net = nn.Sequential(
        Watched(3, 4, 3, padding=1), nn.ReLU(inplace=True), Watched(4, 5, 3, padding=1)
    ).eval()
    both(Model(net), images(2, 3, 32, 32))
    assert sizes == [(16, 4, 32, 32), (16, 5, 32, 32), (16, 4, 5, 5), (16, 5, 7, 7)]


def test_the_unchanged_images_run_once():
    counts: list[int] = []

    class Counted(nn.Conv2d):
        def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return Step.of(input, weight, bias)

    class Step:
        @staticmethod
        def of(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            counts.append(1)
            return F.conv2d(x, weight, bias)

    net, x = nn.Sequential(Counted(3, 4, 3), nn.ReLU()).eval(), images(1, 3, 16, 16)
    base, at = Base(x), torch.tensor([[2, 2]])
    model = Model(net, mean=0.5)
    for _ in range(3):
        model(changed(base, torch.zeros(1, dtype=torch.long), at, images(1, 3, 2, 2), net))
    assert len(base._made) == 1  # pyright: ignore[reportPrivateUsage]
    dressed = next(iter(base._made.values()))[1]  # pyright: ignore[reportPrivateUsage]
    assert len(dressed._made) == 1  # pyright: ignore[reportPrivateUsage]


FAMILIES = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 googlenet inception_v3 maxvit_t mnasnet0_5 mobilenet_v2 "
    "vit_b_32 mobilenet_v3_small regnet_y_400mf resnet18 resnet50 resnext50_32x4d shufflenet_v2_x1_0 squeezenet1_1 "
    "swin_t vgg11_bn"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES.split())
def test_architectures(name: str):
    models = torchvision().models
    how = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net = seeded(lambda: getattr(models, name)(weights=None, **how))()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)  # pyright: ignore[reportOptionalMemberAccess]
                module.running_var.uniform_(0.5, 1.5)  # pyright: ignore[reportOptionalMemberAccess]
    x = images(1, 3, 224, 224)
    at = torch.tensor([[0, 0], [100, 36], [208, 208]])
    crop, row = images(3, 3, 16, 16, seed=3), torch.zeros(3, dtype=torch.long)
    whole = x.repeat(3, 1, 1, 1)
    for k, (i, j) in enumerate(at.tolist()):
        whole[k, :, i : i + 16, j : j + 16] = crop[k]
    model = Model(net, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert close(model(whole), model(changed(Base(x), row, at, crop, model.net)))


def test_grey_images_are_not_put_together_again():
    """Dressing one channel for a network moves axes about; only the window is dressed."""
    sizes: list[Any] = []

    class Watched(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            sizes.append(tuple(out.crop.shape) if isinstance(out, Changed) else None)
            return out

    model = Model(nn.Sequential(Watched(1, 4, 3)).eval(), mean=0.5)
    assert close(*both(model, images(2, 1, 16, 16)))
    assert sizes == [None, (16, 4, 5, 5)]
