"""The embedded networks: small, named layer by layer, logits out."""

from itertools import pairwise

from torch import Tensor, nn


class Conv(nn.Module):
    """Convolutions on an ever coarser grid, a mean over parts of the last one, one linear layer.

    The grid is halved by steps of two pixels, or with ``pooled`` by the largest of four; the last map keeps its own.
    """

    def __init__(
        self, widths: tuple[int, ...], classes: int, pool: int = 1, norm: bool = False, pooled: bool = False
    ):
        super().__init__()
        blocks: list[nn.Module] = []
        for k, (wide, out) in enumerate(pairwise((1, *widths)), 1):
            last = k == len(widths)
            blocks += [nn.Conv2d(wide, out, 3, stride=1 if pooled or last else 2, padding=1)]
            blocks += [*[nn.BatchNorm2d(out)] * norm, nn.ReLU(), *[nn.MaxPool2d(2)] * (pooled and not last)]
        self.features = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(pool)
        self.head = nn.Linear(widths[-1] * pool**2, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


def mlp(pixels: int, classes: int, wide: int = 64) -> nn.Module:
    """Two hidden layers over all pixels."""
    layers = [nn.Flatten(), nn.Linear(pixels, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(wide, classes))


def linear(pixels: int, classes: int) -> nn.Module:
    """Logistic regression: each class's score is a weighted sum of pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes))


NETS = {
    "digits_conv": lambda: Conv((16, 32, 32), 10, pool=4),
    "digits_robust": lambda: Conv((16, 32, 32), 10, pool=4),
    "digits_shuffled": lambda: Conv((16, 32, 32), 10, pool=4),
    "digits_mlp": lambda: mlp(1024, 10),
    "digits_linear": lambda: linear(1024, 10),
    "digits8_conv": lambda: Conv((32, 64), 10, pool=4, pooled=True),
    "digits8_mlp": lambda: mlp(64, 10),
    "digits8_linear": lambda: linear(64, 10),
    "lesions_conv": lambda: Conv((16, 32, 32), 2, norm=True, pooled=True),
    "lesions_plain": lambda: Conv((16, 32, 32), 2, norm=True, pooled=True),
}
"""The architecture of each embedded network."""
