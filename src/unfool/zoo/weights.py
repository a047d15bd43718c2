"""Weights from a file into a network, without running anything in the file."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import DataError, suggestion


def load_weights(net: nn.Module, path: Path, trust: bool = False) -> None:
    """Put the tensors of a .safetensors, .pth or .pt file into ``net``; keys that do not fit are named."""
    tensors = _tensors(_read(path, trust), path)
    own = net.state_dict()
    missing = [k for k in own if k not in tensors and not k.endswith("num_batches_tracked")]
    extra = [k for k in tensors if k not in own]
    shapes = [
        f"{k} is {list(tensors[k].shape)}, not {list(own[k].shape)}"
        for k in own
        if k in tensors and tensors[k].shape != own[k].shape
    ]
    if missing or extra or shapes:
        problems = [f"missing {_some(missing)}"] * bool(missing) + [f"unexpected {_some(extra)}"] * bool(
            extra
        )
        raise DataError(
            f"{path} does not fit the network: {'; '.join(problems + shapes[:3])}", "is it another one's?"
        )
    net.load_state_dict(tensors, strict=False)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")


def _read(path: Path, trust: bool) -> Any:
    if not path.is_file():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"there is no weights file {path}", suggestion(path.name, beside) if beside else "")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return _unpickled(path) if trust else torch.load(path, weights_only=True, map_location="cpu")
    except (UnpicklingError, AttributeError):
        raise DataError(
            f"{path} needs unpickling, which can run any code in it",
            "save its state_dict, or --trust",
        ) from None
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, LookupError) as error:
        raise DataError(
            f"cannot read the weights in {path}: {_reason(error)}",
            "a .safetensors file, or .pth of torch.save",
        ) from None


def _reason(error: Exception) -> str:
    """The first line of what a reader says, or where it says nothing what it is."""
    if isinstance(error, LookupError):  # an opcode or an entry that the reader does not know
        return "it is no file of weights"
    return (str(error).splitlines() or ["the file ends too soon"])[0].split(". ")[0][:200]


def _unpickled(path: Path) -> Any:
    """A file of the user's own, whose code they have said may run."""
    return torch.load(path, weights_only=False, map_location="cpu")


def _tensors(found: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name: of a plain dictionary, a checkpoint around one, or a whole trusted network."""
    if isinstance(found, nn.Module):
        found = found.state_dict()
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise DataError(f"{path} holds no dictionary of tensors", "save net.state_dict()")
    prefix = "module." if found and all(str(k).startswith("module.") for k in found) else ""
    return {str(k).removeprefix(prefix): v for k, v in found.items()}
