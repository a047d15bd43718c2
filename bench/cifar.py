"""Fast adversarial training of CIFAR-10's ResNet-18 at 8/255, as Wong et al. (2020) publish it, on a GPU.

    python bench/cifar.py DATA --device cuda
    python bench/cifar.py DATA --device cpu --limit 512 --epochs 1 --judged 50      # whether it runs at all

``DATA`` holds train.npz and test.npz with x [N, 32, 32, 3] of bytes and y. The published figures are 46.06 % under PGD
of 50 steps and 10 starts, 83.81 % clean, after 12.4 minutes on one GPU of 2019. The 15 epochs of the authors' own code
take half of that, and come to 44.9 % and 79.5 % where they run it again themselves: hence 30 here. A row goes into
train.json, which ``python bench/table.py`` writes into README.md. This file is an address as well:
``bench/cifar.py:resnet18``.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from train import RUNS, kept, right, trained, where

import unfool
from unfool.analysis.rates import rate
from unfool.runs.course import Course
from unfool.training.base import Training
from unfool.training.optimisers import Schedule

WITHIN = unfool.Linf(8 / 255)
JUDGES = {
    "pgd": unfool.Repeated(unfool.PGD(steps=50, step=2 / 255), 10),
    "standard": unfool.Standard(),
}


class Block(nn.Module):
    """Two convolutions, each behind its norm and rectifier (He et al., 2016)."""

    def __init__(self, wide: int, out: int, stride: int):
        super().__init__()
        self.before, self.between = nn.BatchNorm2d(wide), nn.BatchNorm2d(out)
        self.first = nn.Conv2d(wide, out, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        same = stride == 1 and wide == out
        self.short = None if same else nn.Conv2d(wide, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        seen = F.relu(self.before(x))
        short = x if self.short is None else self.short(seen)
        return self.second(F.relu(self.between(self.first(seen)))) + short


class Centred(nn.Module):
    """Colours less the mean of the training set's, in units of their spread."""

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.new_tensor([[0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616]])[..., None, None]
        return (x - mean) / std


def resnet18() -> nn.Module:
    """ResNet-18 for pictures of 32 x 32, norms before convolutions: 11 million weights."""
    sizes = ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1))
    blocks = [Block(*size) for size in (*sizes, (256, 512, 2), (512, 512, 1))]
    head = [nn.BatchNorm2d(512), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    return nn.Sequential(Centred(), nn.Conv2d(3, 64, 3, 1, 1, bias=False), *blocks, *head)


def cifar(given: argparse.Namespace) -> dict[str, Any]:
    """One training, then judged on test images."""
    method = unfool.parse(given.method, Training)
    half = "bfloat16" if given.half else "float32"
    fit = unfool.Train(
        method,
        unfool.SGD(0.2),
        unfool.parse(given.schedule, Schedule),
        augment=(unfool.Slide(4), unfool.Flip()),
        epochs=given.epochs,
        rows=128,
        precision=half,
        average=given.average,
    )
    course = Course(
        fit,
        f"{Path(__file__)}:resnet18",
        str(given.data / "train.npz"),
        WITHIN,
        judge=unfool.PGD(steps=20, loss=unfool.Margin()),
        sample=500,
        limit=given.limit,
        seed=given.seed,
    )
    folder = given.out or RUNS / f"cifar-{given.seed}"
    spent = trained(course, folder, given.device)
    model = unfool.load(str(folder), device=given.device)
    test, begun = str(given.data / "test.npz"), time.perf_counter()
    told: dict[str, Any] = {"clean": rate(right(model, None, test, WITHIN, 10_000, 1000)).as_dict()}
    for name, attack in JUDGES.items():
        if n := given.judged if name == "pgd" else given.whole:
            told[name] = rate(right(model, attack, test, WITHIN, n, 1000)).as_dict()
            print(name, told[name], f"{time.perf_counter() - begun:.0f} s", flush=True)
            kept(
                [
                    {
                        "task": "cifar",
                        "method": repr(method),
                        "eps": 8 / 255,
                        "where": where(model),
                        **told,
                        **spent,
                    }
                ]
            )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--method", default="Fast()")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--schedule", default="Cyclic(peak=0.5)", help="how fast in the course of it")
    parser.add_argument("--average", type=float, default=0.0, help="how much of the mean weights stays")
    parser.add_argument("--half", action="store_true", help="products in bfloat16")
    parser.add_argument("--limit", type=int, help="images learned from")
    parser.add_argument(
        "--judged", type=int, default=10_000, help="test images under PGD of 50 steps, 10 starts"
    )
    parser.add_argument("--whole", type=int, default=1000, help="test images under Standard")
    parser.add_argument("--device")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    print(cifar(parser.parse_args()), flush=True)


if __name__ == "__main__":
    main()
