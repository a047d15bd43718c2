"""Images in one .npz file."""

from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from ..errors import DataError, InputError
from ..views import View
from .base import Sample, Source
from .remembered import remembered


class Arrays(Source):
    """``x`` as bytes or floats in [0, 1], ``y``, and optionally ``masks``, ``artefacts``, columns of words as groups.

    ``x`` may be [N, H, W], [N, H, W, 3] or [N, C, *space].
    """

    path: str

    def ids(self) -> tuple[str, ...]:
        return tuple(map(str, range(len(_arrays(self.path)["x"]))))

    def sample(self, id: str, view: View) -> Sample:
        found = _arrays(self.path)
        x = torch.from_numpy(np.array(found["x"][int(id)]))
        x = x.float() / 255 if x.dtype == torch.uint8 else _in_range(x.float())
        mask, artefact = (_mask(found, name, int(id), x.ndim) for name in ("masks", "artefacts"))
        return Sample(View(channels=view.channels).of(x), mask, artefact=artefact)

    def label(self, id: str) -> str | int | None:
        found = _arrays(self.path)
        return found["y"][int(id)].item() if "y" in found else None

    def groups(self, id: str) -> dict[str, str]:
        found = _arrays(self.path)
        words = [name for name, values in found.items() if values.dtype.kind in "US" and name != "y"]
        return {name: str(found[name][int(id)]) for name in words}


def _mask(found: dict[str, Any], name: str, row: int, dims: int) -> torch.Tensor | None:
    if name not in found:
        return None
    mask = torch.from_numpy(np.array(found[name][row]))
    return mask if mask.ndim == dims else mask[None]


@remembered
def _arrays(path: str) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (
        OSError,
        ValueError,
        BadZipFile,
        EOFError,
        AttributeError,
    ) as error:  # AttributeError: a lone array
        reason = (
            error.strerror
            if isinstance(error, OSError) and error.strerror
            else "it is broken or holds objects"
        )
        raise DataError(f"cannot read {path}: {reason}", "an .npz of plain arrays, x and y") from None
    if "x" not in found or found["x"].ndim < 3 or not len(found["x"]) or found["x"].dtype.kind not in "fiub":
        raise DataError(
            f"{path} holds no images", "x must be numbers [N, H, W], [N, H, W, 3] or [N, C, *space]"
        )
    for name, values in found.items():
        if values.ndim == 0 or len(values) != len(found["x"]):
            raise DataError(f"{path}: {name} has {np.size(values)} entries for {len(found['x'])} images")
    if "y" in found and (found["y"].ndim != 1 or found["y"].dtype.kind not in "iuUb"):
        kind = f"{found['y'].dtype} {list(found['y'].shape)}"
        raise DataError(f"{path}: y must be one class number or name per image, not {kind}")
    x = _channels_first(found["x"])
    masks = {name: _masks(path, name, found[name], x) for name in ("masks", "artefacts") if name in found}
    return found | {"x": x} | masks


def _masks(path: str, name: str, values: Any, x: Any) -> Any:
    """Masks as bool, or where there are several numbers beside 0 as those: maps of classes."""
    k = min(2, x.ndim - 2, values.ndim - 1)
    if values.shape[values.ndim - k :] != x.shape[x.ndim - k :]:
        raise DataError(
            f"{path}: {name} {list(values.shape)} do not fit images {list(x.shape)}", "one each, as large"
        )
    several = name == "masks" and values.dtype.kind in "iu" and len(np.unique(values[values != 0])) > 1
    return values.astype(np.int64 if several else bool)


def _in_range(x: torch.Tensor) -> torch.Tensor:
    if torch.isfinite(x).all() and x.min() >= 0 and x.max() <= 1:
        return x
    span = f"[{float(x.min()):.3g}, {float(x.max()):.3g}]"
    raise InputError(f"images must lie in [0, 1] or be bytes, this one spans {span}", _way_out(x))


def _way_out(x: torch.Tensor) -> str:
    if not torch.isfinite(x).all():
        return "it holds NaN or infinite values: leave it out"
    return "save them as uint8, or divide by 255" if x.max() > 8 else "undo the normalisation: Model does it"


def _channels_first(x: Any) -> Any:
    if x.ndim == 3:
        return x[:, None]
    colour_last = x.ndim == 4 and x.shape[-1] in (1, 3) and x.shape[1] not in (1, 3)
    return np.moveaxis(x, -1, 1) if colour_last else x
