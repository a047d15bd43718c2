"""What every door checks of what it is given: one clear sentence each."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .errors import InputError, Lacking


def checked_images(x: Any) -> Tensor:
    """Images as every method takes them, or one sentence on what is wrong with them."""
    if not isinstance(x, Tensor):
        raise InputError(f"images must be a torch tensor, not {type(x).__name__}", "torch.from_numpy(…)")
    if x.ndim < 3:
        raise InputError(
            f"images must be [B, C, *space], not {list(x.shape)}", "x[None] makes one image a batch"
        )
    if not x.is_floating_point():
        raise InputError(f"images must be floats in [0, 1], not {x.dtype}", "x.float() / 255")
    if not x.numel():
        raise InputError(f"there are no images in {list(x.shape)}")
    low, high = (float(v) for v in x.detach().aminmax())
    if low != low or high != high or torch.isinf(x).any():
        raise InputError(
            "images hold NaN or infinite values", "torch.nan_to_num(x) or leave those images out"
        )
    if low < -1e-6 or high > 1 + 1e-6:
        hint = (
            "x / 255"
            if low >= 0 and high > 8
            else "undo the normalisation: Model(net, mean=…, std=…) does it"
        )
        raise InputError(f"images must lie in [0, 1], these span [{low:.3g}, {high:.3g}]", hint)
    return x.detach().clamp(0, 1)  # rounding of a normalisation undone


def checked_labels(y: Any, x: Tensor, classes: int | None, what: str = "labels") -> Tensor:
    """One class per image: from a tensor, a list or a single number."""
    t = as_numbers(y, what).to(x.device)
    if t.is_floating_point() or t.dtype == torch.bool:
        raise InputError(f"{what} must be whole numbers, not {t.dtype}", "y.long()")
    if t.ndim == 0:
        t = t.expand(len(x))
    if t.shape != x.shape[:1]:
        raise InputError(f"{what} must be one per image, {len(x)}, not {list(t.shape)}")
    if len(t) and (t.min() < 0 or (classes and t.max() >= classes)):
        top = f"0 to {classes - 1}" if classes else "0 or more"
        low, high = int(t.min()), int(t.max())
        came = f"this is {low}" if low == high else f"these span {low} to {high}"
        raise InputError(f"{what} must be {top}, {came}", "number classes as the network's outputs are")
    return t.long()


def as_numbers(y: Any, what: str) -> Tensor:
    """A tensor, a list or a single number as a tensor."""
    try:
        return torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{what} must be whole numbers, not {y!r}", "give the classes' indices") from None


def row_ids(ids: Sequence[Any] | None, n: int) -> Sequence[Any]:
    """The ids that seed each row's random stream."""
    if ids is None:
        return range(n)
    if len(ids) != n:
        raise InputError(f"ids must be one per image, {n}, not {len(ids)}")
    return ids


def check_all_there(lacking: Mapping[str, Tensor], y: Tensor, names: Sequence[str]) -> None:
    """Raise where images lack what is asked about: rows [B] bool by the reason, where {} stands for the class."""
    told: dict[int, str] = {}
    for reason, rows in lacking.items():
        for k, number in zip(rows.nonzero()[:, 0].tolist(), y[rows].tolist(), strict=True):
            name = names[number] if number < len(names) else f"class {number}"
            told.setdefault(k, reason.format(name))
    if told:
        raise Lacking(told)
