"""The processes that learn together: one, or as many as torchrun has started."""

import os
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import EngineError, InputError


class Ranks(NamedTuple):
    """Which of how many processes this one is."""

    rank: int = 0
    world: int = 1

    @classmethod
    def here(cls) -> "Ranks":
        """As torch.distributed has them, where somebody has begun that."""
        alone = not dist.is_available() or not dist.is_initialized()
        return cls() if alone else cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def bounds(self, n: int) -> tuple[int, int]:
        """Where this process's part of ``n`` rows begins and ends."""
        return n * self.rank // self.world, n * (self.rank + 1) // self.world

    def total(self, n: int) -> int:
        """The sum of everybody's number."""
        if self.world == 1:
            return n
        told = torch.tensor([n], device=_place())
        dist.all_reduce(told)
        return int(told)

    def add(self, tensors: Sequence[Tensor], mean: bool = False) -> None:
        """Put the sum, or the mean, of everybody's numbers in place of each."""
        if self.world == 1:
            return
        for t in tensors:
            told = t.detach().to(_place())
            dist.all_reduce(told)
            with torch.no_grad():
                t.copy_(told / self.world if mean else told)

    def gathered(self, part: Any) -> list[Any]:
        """Everybody's part, in the order of the ranks."""
        if self.world == 1:
            return [part]
        parts: list[Any] = [None] * self.world
        dist.all_gather_object(parts, part)
        return parts

    def from_first(self, value: Any) -> Any:
        """What the first process has."""
        if self.world == 1:
            return value
        told = [value]
        dist.broadcast_object_list(told, 0)
        return told[0]

    def joined(self, net: nn.Module) -> nn.Module:
        """The network whose backward passes add up everybody's gradients; running means are the caller's affair."""
        if self.world == 1:
            return net
        device = next(net.parameters()).device
        where = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(
            net, device_ids=where, broadcast_buffers=False, find_unused_parameters=True
        )


def _place() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


def local_device(device: str | None) -> str | None:
    """The device of this process: of several GPUs the one whose number torchrun gave it."""
    if device != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    return f"cuda:{int(os.environ['LOCAL_RANK']) % max(1, torch.cuda.device_count())}"


@contextmanager
def joined_ranks(device: str | None, environment: Mapping[str, str] = os.environ) -> Generator[Ranks]:
    """All processes that torchrun has started, until the block ends; without torchrun this one alone."""
    if int(environment.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield Ranks.here()
        return
    cuda = (device or "cpu").startswith("cuda")
    if cuda:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if cuda else "gloo")
    except (RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"the processes of torchrun cannot find each other: {reason}", "torchrun --nproc-per-node 2 …"
        ) from None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Grad strides do not match")  # a layout of its own is no error
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
        try:
            yield Ranks.here()
        except RuntimeError as error:
            if "by peer" not in str(error):
                raise
            raise EngineError(
                "another process of this run has died",
                "its own message says why; the same command goes on from the state last written",
            ) from None
        finally:
            dist.destroy_process_group()


@contextmanager
def unsynced(net: nn.Module, quiet: bool) -> Generator[None]:
    """Backward passes that keep their gradients to themselves, where ``quiet``."""
    if quiet and isinstance(net, DistributedDataParallel):
        with net.no_sync():
            yield
    else:
        yield
