"""What a map of 10,000 images costs beside openTSNE alone, and a grid of 1,600: one process.

    python bench/imagemap.py [--n 10000] [--rounds 1] --json > bench/imagemap.json

50 clusters of vectors of 64 numbers. Ours is the whole way from the vectors: their principal components, and the map of
those; the rival is given the vectors as its own guide does. Seconds are of the processor, of one thread, the least of
all rounds, in turns; the exact grid beside the same assignment by halves, with the mean squared way of each.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unfool.analysis.layouts import components, quality
from unfool.analysis.tiles import EXACT, centres, grid_size, snapped, unit
from unfool.analysis.tsne import tsne


def clusters(n: int, d: int = 64, count: int = 50) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    middle = 3 * torch.randn(count, d, generator=stream)
    return middle[torch.arange(n) % count] + torch.randn(n, d, generator=stream)


def alone(x: Tensor) -> Tensor:
    made: Any = import_module("openTSNE").TSNE(perplexity=30, n_jobs=1, random_state=0).fit(x.numpy())
    return torch.tensor(np.asarray(made), dtype=torch.float32)


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    found = run()
    return time.process_time() - begun, found


def maps(n: int, rounds: int) -> list[dict[str, Any]]:
    makers: dict[str, Callable[[Tensor], Tensor]] = {
        "unfool": lambda x: tsne(components(x), 30, 0),
        "openTSNE": alone,
    }
    small, x = clusters(3500), clusters(n)
    for make in makers.values():
        make(small)  # what is compiled or loaded at first
    taken: dict[str, list[float]] = {who: [] for who in makers}
    made: dict[str, Tensor] = {}
    for _ in range(rounds):
        for who, make in makers.items():
            once, made[who] = seconds(lambda make=make: make(x))
            taken[who].append(once)
            print(who, once, file=sys.stderr, flush=True)
    least = {who: min(times) for who, times in taken.items()}
    return [
        {
            "task": f"map of {n}",
            "who": who,
            "cpu_seconds": once,
            "times": once / least["openTSNE"],
            "kept": quality(x, made[who], 10, None).kept.value,
        }
        for who, once in least.items()
    ]


def grids(n: int = EXACT) -> list[dict[str, Any]]:
    view = torch.rand(n, 2, generator=torch.Generator().manual_seed(0)).square()
    rows = []
    for who, exact in (("exact", n), ("by halves", 0)):
        once, cells = min(
            (seconds(lambda e=exact: snapped(view, e)) for _ in range(3)), key=lambda one: one[0]
        )
        there = centres(*grid_size(n))[cells[:, 0] * grid_size(n)[1] + cells[:, 1]]
        way = float(np.square(unit(view.double().numpy()) - there).sum(1).mean())
        rows.append({"task": f"grid of {n}", "who": who, "cpu_seconds": once, "way": way})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="nothing else on standard output")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = [*grids(), *maps(given.n, given.rounds)]
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        for row in found:
            print(row)


if __name__ == "__main__":
    main()
