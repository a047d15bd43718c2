"""What one look at every image costs beside a plain forward pass: ResNet-50 at 224, every layer with positions.

    python bench/units.py [--images 208] [--batch 26] [--rounds 2] --json > bench/units.json

Network and images are random: times do not depend on them. Seconds are the processor's, of one thread; each batch is
passed plainly before and after it is looked at, in the same process, and the shorter of both counts. Most of what a
look costs beyond its reading is due where an image is among the best of a unit, which is most often at the beginning:
the last half of the images stands beside all of them.
"""

import argparse
import json
import sys
from collections.abc import Callable
from statistics import median
from time import process_time

import torch
from torch import Tensor

from unfool.measures.units import Units, unit_layers, watched
from unfool.model import Model
from unfool.rows import Batch
from unfool.zoo.torchvision import torchvision_network

LAYERS = {"stages": (), "every convolution": ("conv1", "*.conv?", "*.downsample.0"), "every layer": ("all",)}


def seconds(run: Callable[[], object]) -> float:
    begun = process_time()
    run()
    return process_time() - begun


class Look:
    """One pass over all images that goes on from batch to batch."""

    def __init__(self, model: Model, like: Tensor, wanted: tuple[str, ...]):
        self.model, self.grids = model, unit_layers(model, like, wanted)
        see = {n: lambda out, g=g: g.maps(out).shape[1] for n, g in self.grids.items()}
        self.channels = model.observe(like, see)
        self.found = {name: Units.none(self.channels[name], 9, 2, 10) for name in self.grids}

    def __call__(self, part: Tensor, first: int) -> None:
        numbers = torch.arange(len(part)) + first
        batch = Batch(tuple(map(str, numbers.tolist())), part, numbers % 10)
        new = watched(self.model, self.grids, batch, numbers, numbers < 512, 10, self.found)
        self.found = {name: units.joined(new[name]) for name, units in self.found.items()}


def one_round(
    model: Model, parts: tuple[Tensor, ...]
) -> tuple[list[float], dict[str, list[float]], list[Look]]:
    """Seconds of every batch, plain and looked at."""
    looks = {name: Look(model, parts[0][:1], wanted) for name, wanted in LAYERS.items()}
    plain, taken = list[float](), {name: list[float]() for name in LAYERS}
    model(parts[0])
    for k, part in enumerate(parts):
        around = [seconds(lambda part=part: model(part))]
        for name, look in looks.items():
            taken[name].append(seconds(lambda look=look, part=part, k=k: look(part, k * len(parts[0]))))
        around.append(seconds(lambda part=part: model(part)))
        plain.append(min(around))
        print(
            k,
            plain[-1],
            {name: took[-1] / plain[-1] for name, took in taken.items()},
            file=sys.stderr,
            flush=True,
        )
    return plain, taken, list(looks.values())


def told(times: list[float]) -> dict[str, float]:
    return {"times": median(times), "low": min(times), "high": max(times)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("images", 208), ("batch", 26), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true", help="nothing else on standard output")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Model(torchvision_network("resnet50", pretrained=False).net.eval())
    parts = torch.rand(args.images, 3, 224, 224).split(args.batch)
    half = len(parts) // 2
    whole, last = {name: list[float]() for name in LAYERS}, {name: list[float]() for name in LAYERS}
    looks = list[Look]()
    for _ in range(args.rounds):
        plain, taken, looks = one_round(model, parts)
        for name, took in taken.items():
            whole[name].append(sum(took) / sum(plain))
            last[name].append(sum(took[half:]) / sum(plain[half:]))
    sizes = {"images": args.images, "batch": args.batch, "rounds": args.rounds}
    rows = [
        {
            "layers": name,
            "count": len(look.grids),
            "units": sum(look.channels.values()),
            "whole": told(whole[name]),
            "last": told(last[name]),
            **sizes,
        }
        for name, look in zip(LAYERS, looks, strict=True)
    ]
    print(json.dumps(rows, indent=1) if args.json else "\n".join(map(str, rows)))


if __name__ == "__main__":
    main()
