"""Maps of medical files written back where their images lie: NIfTI with the numbers, DICOM with pictures of them."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .pictures import Shown, file_name
from .shared import opened

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.place import Place
    from ..views import View


def check_writing(kind: str, data: str, view: "View | None") -> None:
    """Refuse before anything is computed what cannot be written in the end."""
    from ..data.nifti import nibabel
    from ..views import View

    if kind not in ("nifti", "dicom"):
        raise InputError(f"--write must be nifti or dicom, not {kind}")
    if kind == "nifti":
        nibabel()
    source = opened(data)
    for id in source.ids():
        if id in source.batch([id], view).errors:
            continue
        _place(source.sample(id, view or View()).place, kind, data)
        return


def write_maps(kind: str, shown: Shown) -> str:
    """Every map of a run; what was written, in a sentence."""
    from ..views import View

    source, view, series = opened(shown.recipe.data), shown.model.view or View(), series_of(shown)
    rows = [r for r, fine in enumerate(shown.table.readable.tolist()) if fine]
    names = names_of(shown.table.ids)
    for row in rows:
        id = shown.table.ids[row]
        place = _place(source.sample(id, view).place, kind, id)
        heat, target = place.back(shown.table.at("heat", row))[0], shown.folder / kind / names[id]
        if kind == "nifti":
            _write_nifti(target.with_name(f"{target.name}.nii.gz"), heat, place, told(shown, row))
        else:
            _write_dicom(target, source.sample(id, View()).x, heat, place, told(shown, row), series)
    many = "1 map" if len(rows) == 1 else f"{len(rows)} maps"
    return f"{many} in {shown.folder / kind}"


def names_of(ids: Sequence[str]) -> dict[str, str]:
    """A file's name for each sample, without the ending of its own where no other sample is called so."""
    short = {
        id: file_name(re.sub(r"(?i)(\.nii(\.gz)?|\.dcm)(?=#|$)", "", id).replace("#", "-")) for id in ids
    }
    times = Counter(short.values())
    return {id: name if times[name] == 1 else file_name(id) for id, name in short.items()}


def series_of(shown: Shown) -> tuple[str, str]:
    """What a series of pictures is called, and what tells it from all others: the recipe and the weights."""
    weights = json.loads((shown.folder / "manifest.json").read_text())["weights"]
    return f"unfool {shown.recipe.method}", f"{shown.recipe!r} {weights}"


def told(shown: Shown, row: int) -> str:
    """Method, target, model and version of one map."""
    recipe, label = shown.recipe, shown.model.label_name(int(shown.table.at("target", row)))
    what = f"{recipe.objective} of {label}" if recipe.objective else f"logit of {label}"
    return f"{recipe.method}: {what}, {recipe.model}, unfool {version('unfool')}"


def _place(place: "Place | None", kind: str, what: str) -> "Place":
    if place is None:
        raise InputError(
            f"{what} has no place in a patient to write maps to", "--write is for DICOM and NIfTI"
        )
    if kind == "dicom" and not place.frames:
        raise InputError(f"{what} is NIfTI: it has no study that pictures could be filed in", "--write nifti")
    return place


def _write_nifti(path: Path, heat: "Tensor", place: "Place", text: str) -> None:
    from ..data.nifti import map_file

    _write(path, map_file(heat, place, text))


def _write_dicom(
    target: Path, image: "Tensor", heat: "Tensor", place: "Place", text: str, series: tuple[str, str]
) -> None:
    """A file, or a folder with one for each plane, all of a sample on one scale, which its description tells."""
    import numpy as np

    from ..data.dicom import overlay_file
    from ..show.heat import laid_over
    from ..show.image import colour
    from ..views import to_uint8

    scale = float(np.quantile(heat.abs().numpy(), 0.99)) or float(heat.abs().max())
    signed = bool((heat < 0).any())
    values = (heat / (scale or 1.0)).clamp(-1 if signed else 0, 1)
    text = f"{text}, colour is full at {scale:.3g}"
    for k, frame in enumerate(place.frames):
        plane = values if values.ndim == 2 else values[k]
        picture = image if values.ndim == 2 else image[:, k]
        grey = colour(picture).mean(0, keepdim=True).expand(3, -1, -1)
        pixels = to_uint8(laid_over(grey, plane, signed)).permute(1, 2, 0).numpy()
        path = target / f"{k + 1:04d}" if values.ndim > 2 else target
        _write(path.with_name(f"{path.name}.dcm"), overlay_file(frame, pixels, text, series))


def _write(path: Path, content: bytes) -> None:
    from ..runs.work import atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    atomically(path, lambda draft: draft.write_bytes(content))
