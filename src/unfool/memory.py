"""Whether an error says that memory did not suffice, on whatever device."""

import torch

SAYINGS = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED", "bad_alloc")


def out_of_memory(error: BaseException) -> bool:
    """Of the processor torch says so in a RuntimeError, and cuBLAS in one of its own."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in SAYINGS)


def give_back() -> None:
    """Let go of what torch keeps of a GPU's memory for later."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
