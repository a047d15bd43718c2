"""How long a map by occlusion takes, beside captum's: the same windows, the same black fill, one image, one process.

    python bench/occlusion.py --json > bench/occlusion.json && python bench/table.py

Captum asks about one window at a time by default, and about 16 where told; both are timed. Weights are random. The two
maps are compared: by how much they differ, as a share of the largest fall, is in the table.
"""

import argparse
import json
import sys
import time
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import unfool
from unfool.vision import torchvision


class Trial(NamedTuple):
    """A network, the side of the image and that of the windows, which lie side by side."""

    net: str
    side: int
    window: int


TRIALS = (Trial("vgg16", 224, 16), Trial("resnet50", 224, 16), Trial("resnet18", 1024, 64))


def ours(net: nn.Module, x: Tensor, trial: Trial) -> Tensor:
    method = unfool.Occlusion(window=(trial.window,), stride=(trial.window,), fill="zero")
    return method(unfool.Model(net), x, 1).heat[0, 0]


def captums(at_once: int) -> Any:
    def asked(net: nn.Module, x: Tensor, trial: Trial) -> Tensor:
        occlusion = import_module("captum.attr").Occlusion(net)
        shape, steps = (3, trial.window, trial.window), (3, trial.window, trial.window)
        return occlusion.attribute(
            x, sliding_window_shapes=shape, strides=steps, target=1, perturbations_per_eval=at_once
        )[0, 0]

    return asked


CONTENDERS = {"unfool": ours, "captum": captums(1), "captum, 16 at once": captums(16)}


def measured(trial: Trial, rounds: int, contenders: list[str]) -> list[dict[str, Any]]:
    net = getattr(torchvision().models, trial.net)(weights=None).eval().requires_grad_(False)
    x = torch.rand(1, 3, trial.side, trial.side, generator=torch.Generator().manual_seed(0))
    maps: dict[str, Tensor] = {}
    seconds: dict[str, list[float]] = {who: [] for who in contenders}
    with torch.no_grad():
        net(x)
        for _ in range(rounds):
            for who in contenders:
                begun = time.perf_counter()
                maps[who] = CONTENDERS[who](net, x, trial)
                seconds[who].append(time.perf_counter() - begun)
                print(trial, who, seconds[who][-1], file=sys.stderr, flush=True)
    scale = float(maps["captum"].abs().max())
    off = {who: float((found - maps["captum"]).abs().max()) / scale for who, found in maps.items()}
    return [
        {
            **trial._asdict(),
            "who": who,
            "seconds": min(taken),
            "times": min(taken) / min(seconds["unfool"]),
            "off": off[who],
        }
        for who, taken in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="networks whose name holds this")
    parser.add_argument("--who", nargs="*", default=[*CONTENDERS], help="contenders")
    asked = parser.parse_args()
    torch.manual_seed(0)
    rows = [
        row for trial in TRIALS if asked.only in trial.net for row in measured(trial, asked.rounds, asked.who)
    ]
    if asked.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
