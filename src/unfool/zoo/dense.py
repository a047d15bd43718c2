"""The embedded networks whose answer is a map of scores; ``python -m unfool.zoo.dense`` trains them again."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..phantoms import FRAMES, centres, cine, landmarks
from ..samples import Samples
from ..views import from_uint8
from .embedded import WEIGHTS

SIGMA = 2.5
"""Spread of a landmark's heat map in training, in pixels."""


class CineNet(nn.Module):
    """A U-Net over space and time: a series [B, 1, T, H, W] in, one map of class scores [B, K, H, W] out.

    Convolutions over time and space on an ever coarser grid; at each of its three levels one that spans all frames
    hands a map on to the way back up.
    """

    def __init__(self, classes: int = 3, frames: int = FRAMES, widths: tuple[int, int, int] = (8, 16, 32)):
        super().__init__()
        one, two, three = widths
        self.fine = nn.Sequential(*_block3d(1, one, (2, 1, 1)))
        self.middle = nn.Sequential(*_block3d(one, two, 2))
        self.coarse = nn.Sequential(*_block3d(two, three, 2), *_block3d(three, three, 1))
        self.over_time = nn.ModuleList(
            nn.Conv3d(wide, wide, (frames // step, 1, 1)) for wide, step in ((one, 2), (two, 4), (three, 8))
        )
        self.up_middle = nn.Sequential(*_block2d(three + two, two))
        self.up_fine = nn.Sequential(*_block2d(two + one, one))
        self.head = nn.Conv2d(one, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        levels = zip(self.over_time, (fine, middle, coarse), strict=True)
        top, mid, low = (torch.relu(still(level)[:, :, 0]) for still, level in levels)
        mid = self.up_middle(torch.cat([_larger(low, mid), mid], 1))
        return self.head(self.up_fine(torch.cat([_larger(mid, top), top], 1)))


def _block3d(wide: int, out: int, stride: int | tuple[int, int, int]) -> tuple[nn.Module, ...]:
    return nn.Conv3d(wide, out, 3, stride, padding=1), nn.BatchNorm3d(out), nn.ReLU()


def _block2d(wide: int, out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(wide, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()


def _larger(low: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(low, like.shape[2:], mode="bilinear", align_corners=False)


def landmark_net(points: int = 3, wide: int = 16) -> nn.Module:
    """Heat maps of points and of none of them, each from the 15x15 pixels around a place: [B, 1 + points, H, W]."""
    layers: list[nn.Module] = []
    for k, reach in enumerate((1, 1, 2, 2, 1)):
        layers += [nn.Conv2d(wide if k else 1, wide, 3, padding=reach, dilation=reach)]
        layers += [nn.BatchNorm2d(wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(wide, 1 + points, 1))


def heat_maps(discs: Tensor, points: int = 3) -> Tensor:
    """What a landmark network learns to give: Gaussians of peak 1, and the rest as "none" [B, 1 + points, H, W]."""
    at = centres(discs, points)[..., None, None]
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in discs.shape[2:]), indexing="ij")
    far = (rows - at[:, :, 0]).square() + (columns - at[:, :, 1]).square()
    heat = (-far / (2 * SIGMA**2)).exp()
    none = (1 - heat.sum(1, keepdim=True)).clamp_min(0)
    both = torch.cat([none, heat], 1)
    return both / both.sum(1, keepdim=True)


def classes_of(discs: Tensor) -> Tensor:
    return discs[:, 0].long()


DENSE: dict[str, tuple[Callable[[], nn.Module], Callable[..., Samples], Callable[[Tensor], Tensor], int]] = {
    "cine": (CineNet, cine, classes_of, 14),
    "landmarks": (landmark_net, landmarks, heat_maps, 12),
}
"""Network, data, what it learns from their masks, and for how many epochs."""


def build_dense(name: str) -> nn.Module:
    """An embedded network with its weights, in evaluation mode."""
    net = DENSE[name][0]()
    held = load_file(WEIGHTS / f"{name}_dense.safetensors")
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in held.items()})
    return net.eval()


def retrain(name: str) -> nn.Module:
    """Train one network from its seed and write its weights in half precision."""
    make, data, wanted, epochs = DENSE[name]
    held = data("train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = make()
        train(net, from_uint8(held.x), wanted(held.masks) if held.masks is not None else held.y, epochs)
    halves = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_file(halves, WEIGHTS / f"{name}_dense.safetensors")
    return net.eval()


def train(net: nn.Module, x: Tensor, wanted: Tensor, epochs: int, rate: float = 5e-3) -> None:
    """Adam down a cosine on cross-entropy at every position."""
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    steps = epochs * -(-len(x) // 8)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch)).split(8):
            net.train()
            adam.zero_grad()
            F.cross_entropy(net(x[rows]), wanted[rows]).backward()
            adam.step()
            schedule.step()


if __name__ == "__main__":
    for name in DENSE:
        retrain(name)
