"""The embedded networks: small, named layer by layer, logits out."""

from itertools import pairwise

from torch import Tensor, nn


class Conv(nn.Module):
    """Convolutions that halve the grid, a mean over what is left of it, one linear layer."""

    def __init__(self, widths: tuple[int, ...], classes: int, pool: int = 1, norm: bool = False):
        super().__init__()
        blocks: list[nn.Module] = []
        for wide, out in pairwise((1, *widths)):
            blocks += [nn.Conv2d(wide, out, 3, padding=1), *[nn.BatchNorm2d(out)] * norm, nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*blocks[:-1])  # the last map keeps its grid
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
    "digits_mlp": lambda: mlp(1024, 10),
    "digits_linear": lambda: linear(1024, 10),
    "digits8_conv": lambda: Conv((32, 64), 10, pool=4),
    "digits8_mlp": lambda: mlp(64, 10),
    "digits8_linear": lambda: linear(64, 10),
    "lesions_conv": lambda: Conv((16, 32, 32), 2, norm=True),
}
"""The architecture of each embedded network."""
