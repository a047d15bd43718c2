"""Several processes of the same command, each of which does its share of every run: torchrun, job arrays, by hand."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence

from ..errors import InputError
from .engine import Chunk, Engine, Local, Rows
from .parts import whole

PATIENCE = 5.0
"""Seconds without a part from the others, beyond what a chunk takes here, after which theirs are done here as well."""


class Ranks(Engine):
    """One of ``world`` processes that share a folder and nothing else.

    Chunk k falls to rank ``k % world``. Where a run needs all chunks before it can go on, a rank that is done waits for
    the others, and does what is missing itself when nothing comes any more: none is waited for in vain.
    """

    def __init__(self, rank: int, world: int):
        if not 0 <= rank < world:
            raise InputError(
                f"there is no part {rank + 1} of {world}", f"--part 1/{max(1, world)} is the first"
            )
        self.rank, self.world, self.patience = rank, world, PATIENCE
        self.last = False
        """Whether this one joins what all have done: what then follows it does alone."""

    def do(self, rows: Rows, chunks: Sequence[Chunk], done: Callable[[Chunk], None], together: bool) -> None:
        begun = time.monotonic()
        own = [c for c in chunks if c.number % self.world == self.rank]
        Local().do(rows, own, done, together)
        others = [c for c in chunks if c.number % self.world != self.rank]
        if self.last:
            Local().do(rows, others, done, together)
        elif together:
            slow = (time.monotonic() - begun) / max(1, len(own))
            self._rest(rows, others, done, self.patience + 2 * slow)
        elif all(whole(c.path) for c in others):
            self.last = True

    def _rest(self, rows: Rows, left: list[Chunk], done: Callable[[Chunk], None], patience: float) -> None:
        """Wait for the others' parts, and do one whenever none has come for ``patience`` seconds."""
        turn = len(left) * self.rank // self.world  # so that two who help begin at different chunks
        left, since = left[turn:] + left[:turn], time.monotonic()
        while left:
            come = [c for c in left if whole(c.path)]
            if not come and time.monotonic() - since > patience:
                Local().do(rows, left[:1], done, True)
                left = left[1:]
                continue
            for chunk in come:
                done(chunk)
                left.remove(chunk)
            if come:
                since = time.monotonic()
            elif left:
                time.sleep(0.05)


def part_of(text: str) -> Ranks:
    """``3/8``: the third of eight."""
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if not found:
        raise InputError(f"--part must be such as 3/8, not {text!r}", "1/8 is the first of eight")
    return Ranks(int(found[1]) - 1, int(found[2]))


def ranks_of(environment: Mapping[str, str] = os.environ) -> Ranks:
    """Which rank the environment says this process is: torchrun's, else a Slurm array's, else srun's."""
    for rank, world in (
        ("RANK", "WORLD_SIZE"),
        ("SLURM_ARRAY_TASK_ID", ""),
        ("SLURM_PROCID", "SLURM_NTASKS"),
    ):
        if rank in environment and not world:
            return _in_array(environment)
        if rank in environment and world in environment:
            return Ranks(_number(environment, rank), _number(environment, world))
    raise InputError(
        "nothing says which rank this process is: neither RANK and WORLD_SIZE nor SLURM_ARRAY_TASK_ID are set",
        "start it by torchrun, as a job array, or name its --part 1/8",
    )


def _in_array(environment: Mapping[str, str]) -> Ranks:
    """An array's tasks may begin at any number and go in any step."""
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")
    task, first, last, count = (_number(environment, name) for name in names)
    step = (last - first) // max(1, count - 1) or 1
    if (task - first) % step or first + step * (count - 1) != last:
        raise InputError(
            f"the tasks of the array, {first} to {last}, are not evenly spaced",
            "name each one's --part, such as 3/8",
        )
    return Ranks((task - first) // step, count)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isdecimal():
        raise InputError(f"{name} is {text!r}, not a number", "name the --part, such as 3/8")
    return int(text)


def under_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is one of several that torchrun has started."""
    return "TORCHELASTIC_RUN_ID" in environment and environment.get("WORLD_SIZE", "1") != "1"


def own_device(device: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Under torchrun ``cuda`` is each process's own GPU."""
    local = environment.get("LOCAL_RANK", "") if under_torchrun(environment) else ""
    return f"cuda:{local}" if device == "cuda" and local.isdecimal() else device
