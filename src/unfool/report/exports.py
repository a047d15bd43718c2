"""A map for other tools: TensorBoard's projector; one table for Embedding Atlas, Spotlight and FiftyOne."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from torch import Tensor

from ..analysis.imagemap import Charted
from ..analysis.neighbours import name_of
from ..errors import DataError
from ..runs.work import atomically
from ..show.image import colour, encoded
from ..show.thumbs import thumbnails
from ..views import to_picture

WIDEST = 8192
"""A wider sprite breaks TensorBoard's page."""
THUMB = 64


def write_slice(path: Path, ids: Sequence[str]) -> None:
    """Ids, one a line, as ``?only=`` takes them."""
    text = "".join(f"{i}\n" for i in ids)
    atomically(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_exports(found: Charted, x: Sequence[Tensor], folder: Path) -> None:
    """``projector/``, ``images/`` and ``map.parquet``; ``x`` are the images in the order of the map."""
    for name in ("projector", "images"):
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make {folder / name}: {error.strerror}", "is the disk full?") from None
    _write_projector(found, x, folder / "projector")
    paths = _write_images(x, folder / "images")
    table = pa.table(columns(found, paths))
    atomically(folder / "map.parquet", lambda draft: pq.write_table(table, draft))


def columns(found: Charted, paths: Sequence[str]) -> dict[str, Any]:
    """One row an image: what it is, what the network says, where the map has it, and its vector."""
    space, view = found.mapped.space, found.shown.view
    vectors = space.vectors["features"]
    return {
        "id": list(space.ids),
        "path": list(paths),
        "label": [name_of(y, found.classes) if y >= 0 else None for y in space.y.tolist()],
        "prediction": [name_of(k, found.classes) for k in found.mapped.said.tolist()],
        "confidence": found.mapped.sure.double().tolist(),
        "x": view[:, 0].double().tolist(),
        "y": view[:, 1].double().tolist(),
        "embedding": pa.FixedSizeListArray.from_arrays(
            pa.array(vectors.flatten().numpy(), pa.float32()), vectors.shape[1]
        ).cast(pa.list_(pa.float32())),
    }


def _write_images(x: Sequence[Tensor], folder: Path) -> list[str]:
    """Every image as a file; their absolute paths, which other tools open."""
    digits = len(str(len(x)))
    paths = [(folder / f"{k:0{digits}d}.png").absolute() for k in range(len(x))]
    for path, image in zip(paths, x, strict=True):
        drawn = encoded(to_picture(colour(image)))
        atomically(path, lambda draft, drawn=drawn: draft.write_bytes(drawn))
    return [str(path) for path in paths]


def _write_projector(found: Charted, x: Sequence[Tensor], folder: Path) -> None:
    space = found.mapped.space
    rows = ["\t".join(f"{v:.6g}" for v in row) for row in space.vectors["features"].tolist()]
    told = columns(found, [""] * len(x))
    header = ("id", "label", "prediction")
    cells = zip(*([_plain(str(v or "")) for v in told[name]] for name in header), strict=True)
    meta = ["\t".join(header), *("\t".join(row) for row in cells)]
    side = sprite_side(len(x))
    config = (
        'embeddings {\n  tensor_path: "tensors.tsv"\n  metadata_path: "metadata.tsv"\n  sprite {\n'
        f'    image_path: "sprite.png"\n    single_image_dim: {side}\n    single_image_dim: {side}\n  }}\n}}\n'
    )
    texts = {
        "tensors.tsv": "\n".join(rows) + "\n",
        "metadata.tsv": "\n".join(meta) + "\n",
        "projector_config.pbtxt": config,
    }
    for name, text in texts.items():
        atomically(folder / name, lambda draft, text=text: draft.write_text(text, encoding="utf-8"))
    drawn = encoded(sprite(x))
    atomically(folder / "sprite.png", lambda draft: draft.write_bytes(drawn))


def _plain(text: str) -> str:
    """A cell of a table parted by tabs."""
    return " ".join(text.split())


def sprite_side(n: int) -> int:
    """How large each picture of a sprite may be."""
    return max(1, min(THUMB, WIDEST // math.ceil(math.sqrt(n))))


def sprite(x: Sequence[Tensor]) -> Image.Image:
    """All images in a square, row by row."""
    columns, side = math.ceil(math.sqrt(len(x))), sprite_side(len(x))
    whole = Image.new("RGB", (columns * side, columns * side), "white")
    for k, thumb in enumerate(thumbnails(x, side)):
        whole.paste(thumb, (k % columns * side, k // columns * side))
    return whole
