"""What one look at every image costs beside a plain forward pass: ResNet-50 at 224, every layer with positions.

    python bench/units.py [--images 64] [--batch 16] [--rounds 3]

Network and images are random: times do not depend on them. Seconds are the processor's, of one thread; a plain pass is
timed before and after each look, in the same process. Writes units.json.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import torch

from unfool.measures.units import Units, unit_layers, watched
from unfool.model import Model
from unfool.rows import Batch
from unfool.zoo.torchvision import torchvision_network

HERE = Path(__file__).parent


def seconds(run: Callable[[], object]) -> float:
    begun = process_time()
    run()
    return process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("images", 64), ("batch", 16), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Model(torchvision_network("resnet50", pretrained=False).net.eval())
    x = torch.rand(args.images, 3, 224, 224)
    parts = x.split(args.batch)
    rows = []
    for what, wanted in (
        ("stages", ()),
        ("every convolution", ("conv1", "*.conv?")),
        ("every layer", ("all",)),
    ):
        grids = unit_layers(model, x[:1], wanted)
        channels = model.observe(x[:1], {n: lambda out, g=g: g.maps(out).shape[1] for n, g in grids.items()})

        def look(grids=grids, channels=channels) -> None:
            found = {name: Units.none(channels[name], 9, 2, 10) for name in grids}
            for k, part in enumerate(parts):
                numbers = torch.arange(len(part)) + k * args.batch
                batch = Batch(tuple(map(str, numbers.tolist())), part, numbers % 10)
                new = watched(model, grids, batch, numbers, numbers < 512, 10, found)
                found = {name: units.joined(new[name]) for name, units in found.items()}

        def forward() -> None:
            for part in parts:
                model(part)

        look()
        times = []
        for _ in range(args.rounds):
            before, own, after = seconds(forward), seconds(look), seconds(forward)
            times.append(own / min(before, after))
        row = {"layers": what, "count": len(grids), "units": sum(channels.values()), "times": median(times)}
        rows.append(
            {**row, "low": min(times), "high": max(times), "images": args.images, "batch": args.batch}
        )
        print(row, flush=True)
    (HERE / "units.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
