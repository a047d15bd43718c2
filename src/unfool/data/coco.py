"""Pictures with boxes, as COCO lists them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import DataError
from ..views import View
from .base import Sample, Source
from .folder import open_picture
from .remembered import remembered


class Coco(Source):
    """A .json with ``images``, ``annotations`` (bbox: left, top, width, height) and ``categories`` (Lin et al., 2014).

    Of every picture the largest object comes first; crowds are left out. A picture as a whole has no label.
    """

    path: str
    images: str = ""
    """The folder of the pictures; empty: the one of the file."""

    def ids(self) -> tuple[str, ...]:
        return tuple(_listed(self.path).objects)

    def sample(self, id: str, view: View) -> Sample:
        home = Path(self.images) if self.images else Path(self.path).parent
        if not (home / id).is_file():
            raise DataError(
                f"{home / id}: there is no such file", f"{self.path}?images=FOLDER says where they are"
            )
        with open_picture(home / id) as picture:
            x, objects = view(picture), _listed(self.path).objects[id].clone()
            objects[:, :4] = view.boxes(objects[:, :4], picture.size)
        return Sample(x, None, _largest_first(objects))

    def label(self, id: str) -> str | int | None:
        del id
        return None

    def object_names(self) -> dict[int, str]:
        return _listed(self.path).names

    def object_classes(self, id: str) -> tuple[int, ...]:
        return tuple(_listed(self.path).objects[id][:, 4].int().tolist())


class _Listed(NamedTuple):
    """The objects [n, 5] of each picture by its file's name, and the names of their classes by number."""

    objects: dict[str, Tensor]
    names: dict[int, str]


@remembered
def _listed(path: str) -> _Listed:
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        files = {int(one["id"]): str(one["file_name"]) for one in told["images"]}
        names = {int(one["id"]): str(one["name"]) for one in told["categories"]}
        found: dict[str, list[Sequence[float]]] = {name: [] for name in files.values()}
        for one in told["annotations"]:
            if not one.get("iscrowd"):
                found[files[int(one["image_id"])]].append(_row(one))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        hint = "a .json with images, annotations and categories"
        raise DataError(f"{path} does not list boxes as COCO does ({reason})", hint) from None
    if not files:
        raise DataError(f"{path} lists no pictures")
    return _Listed({name: torch.tensor(rows).reshape(-1, 5) for name, rows in found.items()}, names)


def _row(annotation: dict[str, Any]) -> Sequence[float]:
    left, top, width, height = map(float, annotation["bbox"])
    return (left, top, left + width, top + height, float(int(annotation["category_id"])))


def _largest_first(objects: Tensor) -> Tensor:
    """By area, without those of which nothing is left."""
    areas = (objects[:, 2:4] - objects[:, :2]).prod(1)
    order = areas.argsort(descending=True, stable=True)
    return objects[order[areas[order] > 0]]
