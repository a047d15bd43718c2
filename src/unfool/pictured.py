"""How results show themselves. What draws them is found as methods are, and loaded when somebody looks."""

import base64
import io
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file
from torch import Tensor

from .errors import DataError, UnknownName

if TYPE_CHECKING:
    from PIL.Image import Image

Drawer = Callable[[Any], "Image"]


@cache
def drawers() -> dict[type, Drawer]:
    """By kind of result: the package's own and those of every installed ``unfool.pictures``."""
    found: dict[type, Drawer] = {}
    for plugin in sorted(entry_points(group="unfool.pictures"), key=lambda p: p.name):
        found |= plugin.load()
    return found


def plot(result: Any) -> "Image":
    """A picture of the first images, each with what was found of it, or of all together."""
    return drawers()[type(result)](result)


def html(result: Any) -> str:
    """The same for a notebook's page."""
    buffer = io.BytesIO()
    plot(result).save(buffer, "PNG", optimize=True)
    of = f"the first of {len(result.x)}" if "x" in result._fields else f"{len(result[0])} images"
    text = f"{type(result).__name__}: {of}"
    return f'<img alt="{text}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def save(result: Any, path: Path | str) -> None:
    """The picture as ``.png`` or ``.pdf``, or every tensor as ``.safetensors``."""
    path = Path(path)
    kinds = {".png": _save_picture, ".pdf": _save_picture, ".safetensors": _save_tensors}
    if path.suffix not in kinds:
        raise UnknownName("kind of file", path.suffix or path.name, kinds)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kinds[path.suffix](result, path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}", "is the disk full?") from None


def _save_picture(result: Any, path: Path) -> None:
    plot(result).save(path)


def _save_tensors(result: Any, path: Path) -> None:
    fields = {**result._asdict(), **getattr(result, "notes", {})}
    tensors = {name: t.cpu().contiguous().clone() for name, t in fields.items() if isinstance(t, Tensor)}
    save_file(tensors, path)
