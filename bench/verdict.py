"""Is ``Standard`` ever weaker than AutoAttack (the authors' code as a package), and what does each spend?

    python bench/verdict.py DATA --json > bench/verdict.json

``DATA`` holds networks.py, models/, mnist/test.npz, cifar10/test2000.npz, and imagenet/ with imagenet_classes.txt. Both
attack the same images of the same network, one after the other, in float32; passes are counted by the network itself,
images forward and backward.
"""

import argparse
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import unfool
from unfool.analysis.rates import rate
from unfool.vision import torchvision


class Trial(NamedTuple):
    """One network, how large a change is allowed, and on how many images."""

    net: str
    eps: float
    n: int


TRIALS = (
    Trial("digits", 0.1, 50),
    Trial("digits?robust=1", 0.2, 50),
    Trial("mnist_small_robust", 0.3, 50),
    Trial("mnist_plain", 0.1, 50),
    Trial("mnist_robust", 0.3, 50),
    Trial("cifar10_resnet20", 1 / 255, 16),
    Trial("imagenet_squeezenet1_1", 0.1 / 255, 8),
)


class Counted(nn.Module):
    """A network that counts the images it is asked about, forward and backward."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.passes = net.eval().requires_grad_(False), {"forward": 0, "backward": 0}

    def forward(self, x: Tensor) -> Tensor:
        self.passes["forward"] += len(x)
        if x.requires_grad:
            x.register_hook(lambda grad: self.noted(len(x)))
        return self.net(x)

    def noted(self, n: int) -> None:
        self.passes["backward"] += n


def standard(net: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
    return unfool.Standard()(unfool.Model(net), x, y, within=unfool.Linf(eps)).x


def autoattack(net: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
    from pyautoattack import AutoAttack

    attack: Any = AutoAttack(net, norm="Linf", eps=eps, version="standard", seed=0)
    return attack.run_standard_evaluation(x, y, batch_size=len(x))[0]


CONTENDERS: dict[str, Callable[..., Tensor]] = {"unfool Standard": standard, "AutoAttack": autoattack}


def measured(who: str, trial: Trial, net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
    counted, begun = Counted(net), time.perf_counter()
    found = CONTENDERS[who](counted, x, y, trial.eps)
    seconds = time.perf_counter() - begun
    inside = ((found - x).abs() <= trial.eps + 1e-6).flatten(1).all(1)
    right = (counted.net(found).argmax(1) == y) | ~inside
    spent = {way: n / len(x) for way, n in counted.passes.items()}
    return {
        "net": trial.net,
        "eps": trial.eps,
        "who": who,
        "right": rate(right).as_dict(),
        **spent,
        "seconds": seconds,
    }


def brought(trial: Trial, data: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """A network with its images and labels."""
    if trial.net.startswith("digits"):
        model, source = unfool.load(f"unfool:{trial.net}"), unfool.open_data("unfool:digits")
        batch = source.batch(source.ids()[: trial.n], None, model.classes)
        return model.net, batch.x, batch.y
    if "imagenet" in trial.net:
        torchvision()
        view = unfool.View(resize=256, crop=224, channels=3)
        names, net = data / "imagenet_classes.txt", f"{data / 'networks.py'}:{trial.net}"
        model, source = unfool.load(net, classes=names, view=view), unfool.open_data(str(data / "imagenet"))
        batch = source.batch(
            sorted(source.ids())[:: len(source.ids()) // trial.n][: trial.n], view, model.classes
        )
        return model.net, batch.x, batch.y
    spec = importlib.util.spec_from_file_location("networks", data / "networks.py")
    assert spec is not None
    assert spec.loader is not None
    networks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(networks)
    file = np.load(data / ("mnist/test.npz" if "mnist" in trial.net else "cifar10/test2000.npz"))
    x = torch.from_numpy(file["x"][: trial.n]).float() / 255
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2) if x.shape[-1] == 3 else x
    return getattr(networks, trial.net)(), x.contiguous(), torch.from_numpy(file["y"][: trial.n]).long()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="networks whose name holds this")
    parser.add_argument("--who", default="", help="contenders whose name holds this")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    warnings.simplefilter("ignore")  # the other library's own
    for trial in (t for t in TRIALS if asked.only in t.net):
        net, x, y = brought(trial, asked.data)
        for who in (name for name in CONTENDERS if asked.who in name):
            rows.append(measured(who, trial, net, x, y))
            print(rows[-1], file=sys.stderr, flush=True)
    if asked.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
