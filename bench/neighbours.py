"""How long the exact nearest of 50,000 vectors of 512 numbers take, beside faiss's flat index: one process.

    python bench/neighbours.py --json > bench/neighbours.json

Both hold their vectors already. Seconds are of the processor, the least of all rounds, in turns; OMP_NUM_THREADS says
on how many threads.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import torch

from unfool.analysis.nearest import Gallery


class Trial(NamedTuple):
    """How many vectors of how many numbers, how many queries, how many nearest, and threads."""

    n: int = 50_000
    d: int = 512
    queries: int = 500
    k: int = 10
    threads: int = 1


def measured(trial: Trial, rounds: int) -> list[dict[str, Any]]:
    faiss = import_module("faiss")
    torch.set_num_threads(trial.threads)
    faiss.omp_set_num_threads(trial.threads)
    stream = torch.Generator().manual_seed(0)
    vectors, queries = (torch.randn(m, trial.d, generator=stream) for m in (trial.n, trial.queries))
    flat = faiss.IndexFlatL2(trial.d)
    flat.add(vectors.numpy())
    gallery = Gallery(vectors)
    asked: dict[str, Callable[[], Any]] = {
        "unfool": lambda: gallery.nearest(queries, trial.k).which,
        "faiss IndexFlatL2": lambda: torch.from_numpy(flat.search(queries.numpy(), trial.k)[1]),
    }
    seconds: dict[str, list[float]] = {who: [] for who in asked}
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for who, ask in asked.items():
            begun = time.process_time()
            found[who] = ask()
            seconds[who].append(time.process_time() - begun)
            print(trial, who, seconds[who][-1], file=sys.stderr, flush=True)
    return [
        {
            **trial._asdict(),
            "who": who,
            "cpu_seconds": min(taken),
            "times": min(taken) / min(seconds["unfool"]),
            "same": float((found[who] == found["unfool"]).double().mean()),
        }
        for who, taken in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads()))
    rows = measured(Trial(threads=threads), asked.rounds)
    if asked.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['threads']} threads  {row['who']:<18} {row['cpu_seconds']:.3f} s  × {row['times']:.2f}")


if __name__ == "__main__":
    main()
